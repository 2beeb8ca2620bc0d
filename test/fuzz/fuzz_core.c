/* SPDX-License-Identifier: MIT */
/*
 * The pool's decisions under an enemy's events: the first byte chooses one of the small
 * pools of test/sim, every other byte what happens next among all that may. No rule may
 * be broken, however long it goes on.
 */
#include <stdio.h>
#include <stdlib.h>

#include "play.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct move moves[PLAY_MOVES_MAX];
    struct play play;
    struct play_budget budget = {PLAY_WITHOUT_END, PLAY_WITHOUT_END};
    if (size == 0) {
        return 0;
    }
    if (play_init(&play, &play_options[data[0] % play_options_count], budget) < 0) {
        abort();
    }
    play.again = 1;
    for (size_t i = 1; i < size; i++) {
        size_t count = play_moves(&play, moves);
        if (count == 0) {
            break; /* closed, and everything is gone */
        }
        if (play_do(&play, &moves[data[i] % count]) < 0) {
            (void)fprintf(stderr, "%s: %s\n", play.rules.broken, play.rules.text);
            abort();
        }
    }
    play_fini(&play);
    return 0;
}
