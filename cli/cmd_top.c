/* SPDX-License-Identifier: MIT */
/*
 * top: a daemon's pools and workers as they are now, again and again.
 *
 * On a terminal it is a screen with keys (top_screen.c). One that cannot place text gets
 * the tables again for each sample; anything else, and --once, get them once. What is a
 * rate needs two samples, so the first table comes after the delay.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "top_screen.h"

enum { DELAY_MS = 1000, DELAY_MIN_MS = 100, WIDTH = 200 };

/* ---- without a screen ---- */

/* As wide as the terminal; where there is none nothing is left out. */
static size_t width(void)
{
    struct winsize size;
    const char *columns = environment_text("COLUMNS");
    unsigned long wished = columns != NULL ? strtoul(columns, NULL, 10) : 0;
    if (wished > 0) {
        return wished;
    }
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                           : WIDTH;
}

static void print_grid(struct grid *grid)
{
    struct text text = {0};
    grid_fit(grid, width());
    grid_heading(grid, &text);
    (void)printf("%s%s%s\n", paint("bold"), text_c(&text), paint(""));
    for (size_t i = 0; i < grid->count; i++) {
        grid_line(grid, i, &text);
        (void)puts(text_c(&text));
    }
    text_free(&text);
    grid_free(grid);
}

static void print_sample(const struct cli *cli, const struct top_sample *now,
                         const struct top_sample *before, int sort)
{
    struct text text = {0};
    struct grid grid;
    if (wants_json(cli)) {
        json_t *json = top_json(now, before);
        print_json(json);
        json_decref(json);
        return;
    }
    top_head(now, before, &text);
    (void)printf("%s\n\n", text_c(&text));
    text_free(&text);
    top_pools(now, before, &grid);
    print_grid(&grid);
    (void)puts("");
    top_workers(now, before, "", sort, &grid);
    print_grid(&grid);
}

/* Tables, once or until it is interrupted. */
static int print_on(const struct cli *cli, struct view *view, uint64_t delay_ms,
                    int sort, int once)
{
    struct top_sample before = {0};
    struct top_sample now = {0};
    sp_error err = {0};
    int rc = top_sample_take(view, &before, &err);
    int code = CODE_OK;
    for (int i = 0; rc == 0 && (i == 0 || !once) && code == CODE_OK; i++) {
        (void)poll(NULL, 0, (int)delay_ms); /* a signal ends it */
        if (watch_interrupted()) {
            break;
        }
        rc = top_sample_take(view, &now, &err);
        if (rc == 0) {
            (void)fputs(i == 0 ? "" : "\n", stdout);
            print_sample(cli, &now, &before, sort);
            code = print_flush();
            top_sample_free(&before);
            before = now;
        }
    }
    top_sample_free(&before);
    code = rc < 0 ? report(&err) : watch_interrupted() ? CODE_INTERRUPTED : code;
    sp_error_clear(&err);
    return code;
}

/* ---- the command ---- */

static int sort_of(const char *name, int *ret_sort)
{
    struct nearest nearest;
    const char *word;
    int column = TOP_WORKER;
    *ret_sort = name == NULL ? TOP_WORKER : top_sort_by_name(name);
    if (*ret_sort >= 0) {
        return CODE_OK;
    }
    nearest_init(&nearest, name);
    do {
        word = top_sort_name(column);
        nearest_offer(&nearest, word);
        column = top_sort_next(column);
    } while (column != TOP_WORKER);
    return complain(CODE_USAGE,
                    "top cannot sort by \"%s\"%s%s; it can by worker, calls, running, "
                    "cpu, memory, age and restarts",
                    name, nearest.name != NULL ? ", did you mean " : "",
                    nearest.name != NULL ? nearest.name : "");
}

int cmd_top(struct cli *cli)
{
    struct view view;
    int sort;
    uint64_t delay_ms = cli->delay_ms != 0 ? cli->delay_ms : DELAY_MS;
    int code = sort_of(cli->sort, &sort);
    if (code == CODE_OK && cli->words_count > 0) {
        code = complain(CODE_USAGE, "top takes no \"%s\"; / filters on the screen",
                        cli->words[0]);
    }
    if (code == CODE_OK && delay_ms < DELAY_MIN_MS) {
        code = complain(CODE_USAGE, "--delay takes 100ms to 1h, not %llums",
                        (unsigned long long)delay_ms);
    }
    if (code == CODE_OK) {
        code = view_open_daemon(cli, &view);
    }
    if (code != CODE_OK) {
        return code;
    }
    if (!cli->once && !wants_json(cli) && top_screen_is_possible()) {
        const struct top_options options = {.delay_ms = delay_ms,
                                            .sort = sort,
                                            .with_color = paint("bold")[0] != '\0',
                                            .view = &view};
        code = top_screen_run(&options);
    } else {
        int once = cli->once || wants_json(cli) || !isatty(STDOUT_FILENO);
        code = print_on(cli, &view, delay_ms, sort, once);
    }
    view_close(&view);
    return code;
}
