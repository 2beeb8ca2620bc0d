/* SPDX-License-Identifier: MIT */
/*
 * Many short lives: every worker's end is reported, once, also to a host that is slow.
 *
 *     records GUARD LEVEL COUNT PROGRAM
 *
 * COUNT workers run PROGRAM, at most WINDOW at a time, and the host pauses now and then
 * for longer than the guard can hold reports back in its socket. The last line is one of
 * figures; the exit status is 0 when there is exactly one record for each.
 */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard/guard.h"
#include "guard/protocol.h"

enum { WINDOW = 64, TURNS_BETWEEN_PAUSES = 5000, PAUSE_MS = 100, COUNT_MAX = 1000000 };

static struct {
    unsigned answered;
    unsigned exited;
    unsigned wrong; /* failed starts, and records that say something else than exit 0 */
    int lost;
    unsigned char told[COUNT_MAX + 1]; /* records of each worker */
} seen;

static void on_spawned(void *user, uint64_t id, int pid, int pidfd,
                       const sp_error *failure)
{
    (void)user;
    (void)id;
    (void)pid;
    seen.answered++;
    seen.wrong += failure != NULL;
    if (pidfd >= 0) {
        (void)close(pidfd);
    }
}

static void on_exited(void *user, uint64_t id, const struct guard_exit *exit)
{
    (void)user;
    seen.exited++;
    seen.told[id]++;
    seen.wrong += exit->exit_code != 0 || exit->pid <= 0;
}

static void on_lost(void *user, const sp_error *err)
{
    (void)user;
    seen.lost = 1;
    (void)printf("records: %s\n", err->message);
}

static const struct guard_events listener = {
    .on_spawned = on_spawned, .on_exited = on_exited, .on_lost = on_lost};

static void serve(struct guard *guard)
{
    short out = sp__guard_wants_write(guard) ? POLLOUT : 0;
    struct pollfd socket = {.fd = sp__guard_fd(guard), .events = (short)(POLLIN | out)};
    (void)poll(&socket, 1, 1000);
    if ((socket.revents & POLLOUT) != 0) {
        sp__guard_on_writable(guard);
    }
    sp__guard_on_readable(guard);
}

static int live_and_die(struct guard *guard, unsigned count, const char *program)
{
    const char *const argv[] = {program, NULL};
    const char *const env[] = {"RECORDS=1", NULL};
    const struct guard_command command = {.argv = argv, .env = env};
    sp_error err = {0};
    unsigned begun = 0;
    for (unsigned turn = 1; seen.exited + seen.wrong < count && !seen.lost; turn++) {
        while (begun < count && begun - seen.exited < WINDOW) {
            begun++;
            if (sp__guard_spawn(guard, begun, &command, &err) < 0) {
                (void)printf("records: %s\n", err.message);
                return -1;
            }
        }
        if (turn % TURNS_BETWEEN_PAUSES == 0) {
            (void)poll(NULL, 0, PAUSE_MS);
        }
        serve(guard);
    }
    return 0;
}

static int level_of(const char *word)
{
    return strcmp(word, "namespace") == 0 ? GUARD_LEVEL_NAMESPACE
           : strcmp(word, "cgroup") == 0  ? GUARD_LEVEL_CGROUP
                                          : GUARD_LEVEL_SUBREAPER;
}

int main(int argc, char **argv)
{
    unsigned long count = argc == 5 ? strtoul(argv[3], NULL, 10) : 0;
    struct guard *guard = NULL;
    sp_error err = {0};
    if (count == 0 || count > COUNT_MAX) {
        (void)fputs("usage: records GUARD LEVEL COUNT PROGRAM\n", stderr);
        return 2;
    }
    struct guard_options options = {.path = argv[1], .level = level_of(argv[2])};
    if (sp__guard_open(&options, &listener, NULL, &guard, &err) < 0 ||
        live_and_die(guard, (unsigned)count, argv[4]) < 0) {
        (void)printf("records: %s\n", err.message);
        sp__guard_close(guard);
        return 1;
    }
    unsigned once = 0;
    for (unsigned long id = 1; id <= count; id++) {
        once += seen.told[id] == 1;
    }
    (void)printf(
        "records: level=%s workers=%lu answered=%u records=%u once=%u wrong=%u\n",
        argv[2], count, seen.answered, seen.exited, once, seen.wrong);
    sp__guard_close(guard);
    return once == count && seen.wrong == 0 ? 0 : 1;
}
