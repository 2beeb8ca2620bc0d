/* SPDX-License-Identifier: MIT */
/*
 * A registry of any bytes, and a mark of any bytes: rows are read, judged against some
 * processes, and nobody is condemned but by a row that is whole and fits, or by the
 * instance's mark.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guard/sweep.h"

enum { ROWS = 16, PROCESSES = 4 };

/* What the input may find: numbers, starts and serials that its rows can hit. */
static void set_scene(struct left_query *query, struct process *processes)
{
    *query = (struct left_query){.uid = 1, .self = 999};
    memset(query->run.mark.instance, 'i', RUN_ID_BYTES);
    memset(query->run.mark.run, 'r', RUN_ID_BYTES);
    memset(query->run.boot, 'b', RUN_ID_BYTES);
    query->run.pid_space = 7;
    for (int i = 0; i < PROCESSES; i++) {
        processes[i] =
            (struct process){.id = {i + 2, 5, i % 2 == 0 ? (uint64_t)i + 1 : 0},
                             .parent = 1,
                             .uid = 1,
                             .state = 'S'};
    }
    processes[3].marked = 1;
    processes[3].mark = query->run.mark;
    processes[3].mark.run[0]++;
}

/* The rows as the input has them; every second input has its sums set right. */
static size_t make_rows(const uint8_t *data, size_t size, struct row *rows)
{
    size_t count = size / ROW_BYTES > ROWS ? ROWS : size / ROW_BYTES;
    memcpy(rows, data, count * ROW_BYTES);
    for (size_t i = 0; size % 2 == 1 && i < count; i++) {
        rows[i].place = (uint32_t)i;
        sp__row_seal(&rows[i]);
    }
    return count;
}

static void check(int condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct row rows[ROWS];
    static struct left lefts[ROWS + PROCESSES];
    struct process processes[PROCESSES];
    struct left_query query;
    struct mark mark;
    set_scene(&query, processes);
    size_t count = make_rows(data, size, rows);
    size_t n = sp__sweep_judge(&query, rows, count, processes, PROCESSES, lefts);
    int marked = 0;
    for (size_t i = 0; i < n; i++) {
        const struct left *left = &lefts[i];
        check(left->why != NULL && strlen(left->name) <= ROW_NAME_MAX);
        check(sp__left_verdict_word(left->verdict) != NULL);
        if (left->verdict == LEFT_OURS) {
            check(left->process.pid >= 2 && left->process.pid < 2 + PROCESSES);
            check(memcmp(left->run, query.run.mark.run, RUN_ID_BYTES) != 0);
            marked += left->process.pid == 5;
        }
    }
    check(marked >= 1 || n > 0); /* the mark is always seen */
    (void)sp__mark_parse((const char *)data, size, &mark);
    return 0;
}
