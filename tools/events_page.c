/* SPDX-License-Identifier: MIT */
/*
 * Writes snakepit-events(7), as scdoc reads it, from the table of events; run by the build.
 */
#include <stdio.h>

#include "snakepit/event_table.h"

#include "scdoc.h"

enum { WORDS_MAX = 24 };

static void put_words(const char *title, const char *const *words)
{
    if (words[0] == NULL) {
        return;
    }
    (void)printf("\t%s: ", title);
    for (int i = 0; words[i] != NULL; i++) {
        (void)fputs(i > 0 ? ", " : "", stdout);
        put_escaped(words[i]);
    }
    (void)puts(".\n");
}

static void put_measurements(const char *const *words)
{
    if (words[0] == NULL) {
        return;
    }
    (void)printf("\tMeasurements: ");
    for (int i = 0; words[i] != NULL; i += 3) {
        (void)fputs(i > 0 ? ", " : "", stdout);
        put_escaped(words[i]);
        (void)printf(" (%s, ", words[i + 1]);
        put_escaped(words[i + 2]);
        (void)fputs(")", stdout);
    }
    (void)puts(".\n");
}

#define LIST(...) __VA_ARGS__
#define ROW(constant, number, name, flow, about, aliases, measurements, metadata, \
            since, meaning)                                                       \
    {                                                                             \
        static const char *const also[WORDS_MAX] = {LIST aliases};                \
        static const char *const measured[WORDS_MAX] = {LIST measurements};       \
        static const char *const texts[WORDS_MAX] = {LIST metadata};              \
        (void)fputs("*", stdout);                                                 \
        put_escaped(name);                                                        \
        (void)fputs("* (" #flow ", " #about ")\n\t", stdout);                     \
        put_escaped(meaning);                                                     \
        (void)puts(".\n");                                                        \
        put_measurements(measured);                                               \
        put_words("Metadata", texts);                                             \
        put_words("Also called", also);                                           \
    }

int main(void)
{
    (void)puts(
        "snakepit-events(7)\n\n"
        "# NAME\n\nsnakepit-events - what happens in a pit, and how it is told\n\n"
        "# DESCRIPTION\n\n"
        "A program attaches handlers to events by name or prefix with\n"
        "_sp_events_attach_(), or gets the few that matter by the callback of its\n"
        "pit (_snakepit/event.h_). *snakepit events* shows those that a daemon\n"
        "keeps, and with *--follow* those that come; *--list* lists all.\n\n"
        "Each has a name, the time, measurements (numbers) and metadata (texts).\n"
        "Where it concerns them, the metadata also have _pool_, _worker_ (its\n"
        "slot), _pid_, _session_ and _message_, one line for people. The names\n"
        "below each event that it is also called are those of other versions;\n"
        "they are taken wherever a name is, as is _snakepit._ in front of any.\n\n"
        "In brackets: how many there are, and what they are about. TOLD are few,\n"
        "and also come to the callback and the log of *snakepitd*(8). FEW are, as\n"
        "those are, in the history that a daemon keeps for *snakepit events*.\n"
        "MANY come up to several times for each call, are told to those who ask\n"
        "for them, and are in no history. What is behind _worker:_ is made by the\n"
        "worker itself, while a handler wants it and as far as\n"
        "_sp_telemetry_control_() has it. It may have more metadata: those of a\n"
        "call say which _tool_ it is of, its number as _call_, its _trace_id_ and\n"
        "_span_id_ when it is in a trace, and its _correlation_id_ when it has\n"
        "one. *worker.telemetry* has the name that user code gave it as _event_,\n"
        "and that tells its measurements and metadata in _message_ too.\n\n"
        "# EVENTS\n");
    SP_EVENT_TABLE(ROW)
    (void)puts("# SEE ALSO\n\n*snakepit*(1), *snakepit*(7), *snakepitd*(8)");
    return 0;
}
