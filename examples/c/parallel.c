/* SPDX-License-Identifier: MIT */
/*
 * A program with an event loop of its own: calls are started, and their answers come
 * through one descriptor.
 *
 * sp_pit_fd() is readable when there is something to do; sp_pit_dispatch() then runs the
 * callbacks on this thread. The poll() below could as well be epoll, a GUI's loop or
 * another language's, and watch other descriptors too.
 */
#include <poll.h>
#include <snakepit/snakepit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS = 100 };

struct progress {
    int open;
    int failed;
    long sum;
};

static void on_reply(const sp_reply *reply, void *user_data)
{
    struct progress *progress = user_data;
    progress->open--;
    if (reply->error != NULL) {
        progress->failed++;
        fprintf(stderr, "%s: %s\n", sp_error_name(reply->error->code),
                reply->error->message);
        return;
    }
    const char *colon = strchr(reply->result->json, ':'); /* {"result":5} */
    progress->sum += colon != NULL ? strtol(colon + 1, NULL, 10) : 0;
}

int main(void)
{
    sp_pit *pit = NULL;
    sp_error err = {0};
    struct progress progress = {0};
    int rc = sp_pit_open(NULL, &pit, &err);
    for (int i = 0; rc == 0 && i < CALLS; i++) {
        char args[64];
        snprintf(args, sizeof args, "{\"a\": %d, \"b\": 1}", i);
        rc = sp_call_start(pit, "add", sp_text(args), NULL, on_reply, &progress, NULL,
                           &err);
        progress.open += rc == 0;
    }
    while (rc >= 0 && progress.open > 0) {
        struct pollfd ready = {.fd = sp_pit_fd(pit), .events = POLLIN};
        poll(&ready, 1, -1);
        rc = sp_pit_dispatch(pit, 0, &err);
    }
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", sp_error_name(rc), err.message);
    } else {
        printf("%d calls, the sum of their results is %ld\n", CALLS - progress.failed,
               progress.sum);
    }
    sp_error_clear(&err);
    sp_pit_close(pit);
    return rc >= 0 && progress.failed == 0 ? 0 : 1;
}
