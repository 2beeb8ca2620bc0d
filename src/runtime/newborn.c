/* SPDX-License-Identifier: MIT */
/*
 * A worker that a zygote has forked, from its first instruction until it is what an
 * executed worker is when its program begins.
 *
 * Its parent, a process made only to end, has ended; the kernel has given the newborn to the
 * nearest subreaper, which is the guard. A newborn that asked for PDEATHSIG before that
 * would be killed for the end of the wrong parent, so it waits at a gate: the zygote opens
 * it when it has waited for the process between. From then on the death of the parent
 * means the death of the guard, and PDEATHSIG is what guard/spawn.c makes it.
 *
 * Until it leads a group of its own it is in the zygote's and dies with that; from then on
 * its own lifeline is armed. At no moment does nothing hold it.
 *
 * How it fails: the stage and the errno go through the status pipe, and it ends with 127.
 * A newborn that finds another parent than the guard ends without a word: nobody is left
 * to hear it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/zygote.h"

enum { END_FAILED = 127, END_UNHEARD = 126 };

void sp__newborn_say(const struct newborn *n, int stage, int value)
{
    struct zygote_word word = {.stage = stage, .value = value};
    /* Eight bytes into an empty pipe: all or, when the guard is dead, nothing. */
    (void)!write(n->fds[0], &word, sizeof word);
}

static _Noreturn void give_up(const struct newborn *n, int stage, int os_errno)
{
    sp__newborn_say(n, stage, os_errno);
    _exit(END_FAILED);
}

/* ---- ties ---- */

/* As in guard/spawn.c: the kernel kills this group when the host's pipe closes. */
static int arm_lifeline(int fd)
{
    if (fcntl(fd, F_SETSIG, SIGKILL) != 0 || fcntl(fd, F_SETOWN, -getpid()) != 0 ||
        fcntl(fd, F_SETFL, O_RDONLY | O_NONBLOCK | O_ASYNC) != 0) {
        return -1;
    }
    struct pollfd lifeline = {.fd = fd};
    if (poll(&lifeline, 1, 0) > 0) {
        _exit(END_UNHEARD); /* it closed before it was armed: the host is dead */
    }
    return 0;
}

/* A gate that closes without a byte is that of a dead zygote. */
static void pass(const int gate[2])
{
    char word;
    ssize_t n;
    (void)close(gate[1]);
    do {
        n = read(gate[0], &word, 1);
    } while (n < 0 && errno == EINTR);
    (void)close(gate[0]);
    if (n != 1) {
        _exit(END_UNHEARD);
    }
}

static void become_the_guards(const struct newborn *n)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        give_up(n, n->request.setup_stage, errno);
    }
    if (getppid() != n->request.guard) {
        _exit(END_UNHEARD); /* the guard died before PDEATHSIG was set */
    }
}

/* ---- what it has ---- */

/* None is in the way of another: all are above the numbers they go to (zygote.c). */
static int place_fds(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (dup2(fds[i], (int)i) < 0) {
            return -1;
        }
    }
    return 0;
}

static int split_variables(struct sp_zygote *z, const struct zygote_request *request)
{
    char *at = z->block;
    const char *end = z->block + request->block_bytes;
    for (uint32_t i = 0; i < request->envc; i++) {
        char *nul = memchr(at, '\0', (size_t)(end - at));
        char *equals = nul != NULL ? memchr(at, '=', (size_t)(nul - at)) : NULL;
        if (equals == NULL) {
            errno = EINVAL;
            return -1;
        }
        *equals = '\0';
        int rc = setenv(at, equals + 1, 1);
        *equals = '=';
        if (rc != 0) {
            return -1;
        }
        z->variables[i] = at;
        at = nul + 1;
    }
    return 0;
}

static int take_variables(struct sp_zygote *z, const struct newborn *n)
{
    const struct zygote_request *request = &n->request;
    z->block = sp__malloc(request->block_bytes + 1u);
    z->variables = sp__calloc(request->envc + 1u, sizeof *z->variables);
    if (z->block == NULL || z->variables == NULL) {
        errno = ENOMEM;
        return -1;
    }
    ssize_t got = pread(n->fds[1], z->block, request->block_bytes, 0);
    if (got != (ssize_t)request->block_bytes) {
        errno = got < 0 ? errno : EINVAL;
        return -1;
    }
    return split_variables(z, request);
}

static int enter_groups(const int *groups, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (write(groups[i], "0", 1) != 1) {
            return -1;
        }
    }
    return 0;
}

void sp__newborn_tie(struct sp_zygote *z, struct newborn *n, const int gate[2])
{
    const struct zygote_request *request = &n->request;
    const int *groups = n->fds + 2 + (request->has_lifeline != 0);
    pass(gate);
    if (setsid() < 0 || (request->has_lifeline && arm_lifeline(n->fds[2]) != 0)) {
        give_up(n, request->setup_stage, errno);
    }
    become_the_guards(n);
    /* In its own groups it no longer dies with the zygote's: before that it is not born. */
    if (enter_groups(groups, request->groups) != 0) {
        give_up(n, request->limits_stage, errno);
    }
    sp__newborn_say(n, ZYGOTE_BORN, getpid());
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    sp__zygote_let_go(z); /* its numbers may be the worker's */
    if (take_variables(z, n) != 0 ||
        place_fds(groups + request->groups, request->fds) != 0) {
        give_up(n, request->setup_stage, errno);
    }
    for (size_t i = 1; i < n->fds_count; i++) {
        (void)close(n->fds[i]);
    }
    (void)close(n->fds[0]); /* the last: that is how the guard knows that it runs */
}
