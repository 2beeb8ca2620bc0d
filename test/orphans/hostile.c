/* SPDX-License-Identifier: MIT */
/*
 * A worker that wants to outlive its host, with two processes of its own: one in its
 * group and one that left it (double fork, a session of its own). All three ignore every
 * signal that can be ignored, and each says who it is on the socket in $ORPHANS_SOCKET,
 * where the kernel adds its number. As a worker it is an ordinary one without tools.
 * Started as a zygote it makes such workers.
 */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "snakepit/worker.h"
#include "snakepit/zygote.h"

static void say(const char *who)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *path = getenv("ORPHANS_SOCKET");
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)snprintf(to.sun_path, sizeof to.sun_path, "%s", path != NULL ? path : "");
    if (fd < 0 ||
        sendto(fd, who, strlen(who), 0, (struct sockaddr *)&to, sizeof to) < 0) {
        perror("orphans_hostile");
        _exit(3);
    }
    (void)close(fd);
}

static _Noreturn void stay(const char *who)
{
    for (int i = 1; i < NSIG; i++) {
        (void)signal(i, SIG_IGN);
    }
    say(who);
    for (;;) {
        (void)pause();
    }
}

static void beget(void)
{
    if (fork() == 0) {
        stay("group");
    }
    if (fork() == 0) {
        (void)setsid();
        if (fork() == 0) {
            stay("escaped");
        }
        _exit(0);
    }
}

/* 1: this process is to be a worker. */
static int hatch(sp_error *err)
{
    sp_zygote *zygote;
    if (!sp_zygote_is_wanted()) {
        return 1;
    }
    int rc = sp_zygote_open(NULL, &zygote, err);
    if (rc == 0) {
        say("worker"); /* it must not outlive anybody either */
        rc = sp_zygote_announce(zygote, err);
        rc = rc < 0 ? rc : sp_zygote_next(zygote, err);
        sp_zygote_close(zygote);
    }
    return rc;
}

int main(void)
{
    sp_worker *worker;
    sp_job *job;
    sp_error err = {0};
    sp_worker_options options = {.size = sizeof options};
    int rc = hatch(&err);
    if (rc != 1) {
        return rc < 0;
    }
    beget();
    rc = sp_worker_open(&options, &worker, &err);
    if (rc == 0) {
        for (int i = 1; i < NSIG; i++) {
            (void)signal(i, SIG_IGN);
        }
        rc = sp_worker_announce(worker, &err);
        say("worker");
        while (rc >= 0 && (rc = sp_worker_next(worker, &job, &err)) > 0) {
            rc = sp_job_reply(job, sp_text("null"), NULL, (sp_bytes){0}, &err);
        }
        sp_worker_close(worker);
    }
    sp_error_clear(&err);
    return rc < 0;
}
