/* SPDX-License-Identifier: MIT */
/*
 * Lines of a script and words of a call, as the command line reads them: whatever is
 * typed, the outcome is a complaint or arguments that are JSON.
 * Words that name files are left out: the fuzzer should not read the machine.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { WORDS_MAX = 64 };

/* What the reader needs of the rest: what would have been said is dropped, and nobody
 * presses Ctrl-C. */
int watch_interrupted(void)
{
    return 0;
}

int complain(int code, const char *format, ...)
{
    return code;
}

static int names_a_file(char **words, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(words[i], "-") == 0 || strchr(words[i], '@') != NULL) {
            return 1;
        }
    }
    return 0;
}

static int jansson_reads(const struct text *text)
{
    json_t *value = json_loadb(text->data, text->size, JSON_DECODE_INT_AS_REAL, NULL);
    json_decref(value);
    return value != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words[WORDS_MAX];
    char *line = strndup((const char *)data, size);
    if (line == NULL) {
        return 0;
    }
    int count = line_split(line, words, WORDS_MAX);
    if (count > 0 && !names_a_file(words, count)) {
        struct text json = {0};
        int as_it_is = count == 1 && (words[0][0] == '{' || words[0][0] == '[');
        if (arguments_build(words, count, &json) == CODE_OK && !as_it_is &&
            !jansson_reads(&json)) {
            __builtin_trap();
        }
        text_free(&json);
    }
    free(line);
    return 0;
}
