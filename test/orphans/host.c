/* SPDX-License-Identifier: MIT */
/*
 * A host that is made to be killed: opens a pit, waits until its workers are ready, says
 * so with the numbers of its guards, and waits for its end.
 *
 *     orphans_host LEVEL WORKERS [leak] [zygote] COMMAND...   hostile workers
 *     orphans_host LEVEL WORKERS [leak] [zygote] python FILE  probes; one holds the lock
 *                                                             in C
 *
 * With "zygote" they are forked by one.
 *
 * With "leak" it has a child that executes nothing and so keeps every descriptor of the
 * host open, as programs that fork without exec do.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "snakepit/snakepit.h"

static void say(const char *what)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *path = getenv("ORPHANS_SOCKET");
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)snprintf(to.sun_path, sizeof to.sun_path, "%s", path != NULL ? path : "");
    if (fd < 0 ||
        sendto(fd, what, strlen(what), 0, (struct sockaddr *)&to, sizeof to) < 0) {
        perror("orphans_host");
        exit(3);
    }
    (void)close(fd);
}

static void must(int rc, const sp_error *err)
{
    if (rc < 0) {
        char text[600];
        (void)snprintf(text, sizeof text, "failed %s", err->message);
        say(text);
        exit(1);
    }
}

static int level_of(const char *word)
{
    return strcmp(word, "namespace") == 0  ? SP_SAFETY_NAMESPACE
           : strcmp(word, "cgroup") == 0   ? SP_SAFETY_CGROUP
           : strcmp(word, "lifeline") == 0 ? SP_SAFETY_LIFELINE
                                           : SP_SAFETY_SUBREAPER;
}

/* One worker in C with the interpreter's lock held, two with children. */
static void keep_busy(sp_pit *pit)
{
    char args[300];
    sp_error err = {0};
    sp_id call;
    const char *socket = getenv("ORPHANS_SOCKET");
    for (int own_session = 0; own_session < 2; own_session++) {
        sp_result result = {0};
        must(sp_execute(pit, "grandchild", sp_text(own_session ? "[true]" : "[]"), NULL,
                        &result, &err),
             &err);
        sp_result_clear(&result);
    }
    (void)snprintf(args, sizeof args, "{\"path\":\"%s.hangs\"}", socket);
    must(sp_call_start(pit, "hang", sp_text(args), NULL, NULL, NULL, &call, &err),
         &err);
    (void)snprintf(args, sizeof args, "%s.hangs", socket);
    while (access(args, F_OK) != 0) {
        (void)sp_pit_dispatch(pit, 5, NULL);
    }
    (void)unlink(args);
}

int main(int argc, char **argv)
{
    int leaks = argc > 3 && strcmp(argv[3], "leak") == 0;
    int forks = argc > 3 + leaks && strcmp(argv[3 + leaks], "zygote") == 0;
    char **command = argv + 3 + leaks + forks;
    if (argc < 4 + leaks + forks) {
        (void)fputs("orphans_host is started by orphans\n", stderr);
        return 2;
    }
    int is_python = strcmp(command[0], "python") == 0;
    sp_pool_options pool = {.size = sizeof pool,
                            .runtime = is_python ? "python" : "exec",
                            .command = (const char *const *)command,
                            .adapter = is_python ? command[1] : NULL,
                            .zygote = forks ? SP_ZYGOTE_ON : SP_ZYGOTE_OFF,
                            .workers = (uint32_t)strtoul(argv[2], NULL, 10)};
    sp_pit_options options = {.size = sizeof options,
                              .pools = &pool,
                              .pools_count = 1,
                              .guard_level = level_of(argv[1]),
                              .guard_require = level_of(argv[1])};
    sp_pit *pit;
    sp_error err = {0};
    sp_safety safety;
    char text[64];
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* should the rounds fail */
    must(sp_pit_open(&options, &pit, &err), &err);
    must(sp_pit_await_ready(pit, 0, &err), &err);
    must(sp_pit_safety(pit, &safety, &err), &err);
    if (is_python) {
        keep_busy(pit);
    }
    if (leaks && fork() == 0) {
        say("sibling");
        for (;;) {
            (void)pause();
        }
    }
    (void)snprintf(text, sizeof text, "host %d %d", safety.guard_pid, safety.inner_pid);
    say(text);
    for (;;) {
        (void)pause();
    }
}
