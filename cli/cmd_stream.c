/* SPDX-License-Identifier: MIT */
/*
 * stream: one question, many lines, each written out as it comes.
 *
 * The reader of standard output sets the pace: while a write blocks no chunk is taken,
 * and the tool in the worker is held up in turn. On a terminal a progress line on
 * standard error counts chunks and rate, and shows "progress_percent" when chunks have
 * one. Ctrl-C and --count close the generator in the worker.
 */
#include "daemon_call.h"

#include <stdlib.h>
#include <string.h>

struct streaming {
    const struct cli *cli;
    uint64_t chunks;
    double started; /* seconds */
    double shown;   /* when the progress line was written last */
    int code;       /* of the output */
};

/* "progress_percent": 12.5 in a chunk, -1 when there is none. */
static double percent_of(const char *data, size_t size)
{
    json_error_t error;
    json_t *value = json_loadb(data, size, JSON_DECODE_INT_AS_REAL, &error);
    json_t *percent = json_object_get(value, "progress_percent");
    double result = json_is_number(percent) ? json_number_value(percent) : -1;
    json_decref(value);
    return result;
}

static void show_progress(struct streaming *s, const char *data, size_t size)
{
    enum { WIDTH = 24 };
    double now = (double)clock_ns() / 1e9;
    if (!s->cli->has_line || now - s->shown < 0.1) {
        return;
    }
    double elapsed = now - s->started;
    double percent = percent_of(data, size);
    s->shown = now;
    if (percent >= 0 && percent <= 100) {
        char bar[WIDTH + 1];
        memset(bar, '.', WIDTH);
        memset(bar, '#', (size_t)(percent / 100 * WIDTH));
        bar[WIDTH] = '\0';
        progress("[%s] %5.1f %%  %llu chunks  %.1f s", bar, percent,
                 (unsigned long long)s->chunks, elapsed);
    } else {
        progress("%llu chunks  %.0f/s  %.1f s", (unsigned long long)s->chunks,
                 elapsed > 0 ? (double)s->chunks / elapsed : 0, elapsed);
    }
}

static int chunk_cb(const char *data, size_t size, void *user_data)
{
    struct streaming *s = user_data;
    if (s->cli->has_line && s->cli->has_color) {
        progress_erase(); /* both on one terminal */
    }
    (void)fwrite(data, 1, size, stdout);
    if (!s->cli->binary) {
        (void)fputc('\n', stdout);
    }
    s->code = print_flush();
    s->chunks++;
    show_progress(s, data, size);
    return s->code != CODE_OK || (s->cli->count > 0 && s->chunks >= s->cli->count);
}

/* What there is to say when it is over, with the exit code. */
static int say_end(struct streaming *s, int rc, const sp_error *err)
{
    progress_erase();
    if (rc == 0 || rc == SP_ERR_STOPPED_BY_CALLBACK) {
        return s->code;
    }
    if (watch_interrupted()) {
        talk("interrupted after %llu chunks", (unsigned long long)s->chunks);
        return CODE_INTERRUPTED;
    }
    return report(err);
}

static int stream_in(struct cli *cli, struct opened *opened, const char *tool,
                     const struct text *args)
{
    struct streaming s = {.cli = cli};
    sp_error err = {0};
    int code = pit_wait(opened);
    if (code != CODE_OK) {
        return code;
    }
    cli->pool = opened->options.pools[0].name;
    s.started = (double)clock_ns() / 1e9;
    progress("streaming %s", tool);
    sp_bytes bytes = {args->data, args->size};
    int rc = perform_stream(opened->pit, cli, tool, bytes, 0, chunk_cb, &s, &err);
    code = say_end(&s, rc, &err);
    sp_error_clear(&err);
    return code;
}

/* The same of a daemon. */
static int stream_at(const struct cli *cli, sp_daemon *daemon, const char *tool,
                     const struct text *args)
{
    struct streaming s = {.cli = cli, .started = (double)clock_ns() / 1e9};
    sp_error err = {0};
    progress("streaming %s", tool);
    int rc = daemon_stream(cli, daemon, tool, args, chunk_cb, &s, &err);
    int code = say_end(&s, rc, &err);
    sp_error_clear(&err);
    return code;
}

int cmd_stream(struct cli *cli)
{
    return daemon_is_named(cli)
               ? daemon_words(cli, "stream", stream_at)
               : perform_words(cli, "stream", OPEN_ONE_POOL | OPEN_ONE_WORKER,
                               stream_in);
}
