/* SPDX-License-Identifier: MIT */
/*
 * A stream: one question, many chunks, read at the program's own pace.
 *
 * `stream_fibonacci` is a Python generator. It runs ahead of this loop by about a
 * mebibyte and then waits, however slowly the loop reads. Closing a stream that has not
 * ended cancels it, and the generator's `finally` runs: the second half reads five chunks
 * of a stream without an end and leaves.
 */
#include <snakepit/snakepit.h>
#include <stdio.h>

static int print_chunks(sp_pit *pit, const char *tool, const char *args, int at_most,
                        sp_error *err)
{
    sp_stream *stream = NULL;
    sp_chunk chunk;
    int rc = sp_stream_open(pit, tool, sp_text(args), NULL, &stream, err);
    for (int i = 0; rc >= 0 && i < at_most; i++) {
        rc = sp_stream_next(stream, &chunk, err);
        if (rc <= 0) {
            break; /* 0: the end; negative: `err` says why */
        }
        printf("%.*s\n", (int)chunk.size, chunk.data);
    }
    sp_stream_close(stream);
    return rc < 0 ? rc : 0;
}

int main(void)
{
    sp_pit *pit = NULL;
    sp_error err = {0};
    int rc = sp_pit_open(NULL, &pit, &err);
    if (rc == 0) {
        rc = print_chunks(pit, "stream_fibonacci", "{\"count\": 10}", 1000, &err);
    }
    if (rc == 0) {
        rc = print_chunks(pit, "infinite_stream", "{\"delay_ms\": 1}", 5, &err);
    }
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", sp_error_name(rc), err.message);
    }
    sp_error_clear(&err);
    sp_pit_close(pit);
    return rc == 0 ? 0 : 1;
}
