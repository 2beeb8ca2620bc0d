/* SPDX-License-Identifier: MIT */
/*
 * A zygote whose workers execute misbehave, as their variable HOW says: hatch MISBEHAVE
 * [MANNER], where the manner is nothing, or
 *
 *     mute     it takes no request
 *     liar     it answers each with the number of a process that is not the guard's
 *     deaf     it lets go of each request without a word
 *     wrong    it answers each with a failure of its own
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "snakepit/zygote.h"
#include "wire/zygote.h"

static int variables_are_told(const sp_zygote *zygote)
{
    const char *const *variables = sp_zygote_variables(zygote);
    for (; *variables != NULL; variables++) {
        if (strncmp(*variables, "HOW=", 4) == 0) {
            return strcmp(*variables + 4, getenv("HOW")) == 0;
        }
    }
    return 0;
}

static int become_worker(sp_zygote *zygote, char *misbehave)
{
    char *const argv[] = {misbehave, getenv("HOW"), getenv("MORE"), NULL};
    if (!variables_are_told(zygote)) {
        return 3;
    }
    sp_zygote_close(zygote);
    (void)execv(misbehave, argv);
    return 4;
}

/* Read requests by hand and answer them wrongly. */
static int answer_badly(int fd, const char *manner)
{
    for (;;) {
        union {
            char bytes[CMSG_SPACE(sizeof(int) * ZYGOTE_FDS_MAX)];
            struct cmsghdr align;
        } space;
        struct zygote_request request;
        struct iovec part = {.iov_base = &request, .iov_len = sizeof request};
        struct msghdr header = {.msg_iov = &part,
                                .msg_iovlen = 1,
                                .msg_control = space.bytes,
                                .msg_controllen = sizeof space.bytes};
        if (recvmsg(fd, &header, 0) <= 0) {
            return 0;
        }
        int fds[ZYGOTE_FDS_MAX];
        const struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
        size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(cmsg), count * sizeof(int));
        struct zygote_word word = {.stage = ZYGOTE_BORN, .value = getpid()};
        if (strcmp(manner, "wrong") == 0) {
            word = (struct zygote_word){.stage = request.setup_stage, .value = EMFILE};
        }
        if (strcmp(manner, "deaf") != 0) {
            (void)!write(fds[0], &word, sizeof word);
        }
        for (size_t i = 0; i < count; i++) {
            (void)close(fds[i]);
        }
    }
}

int main(int argc, char **argv)
{
    const char *manner = argc > 2 ? argv[2] : "";
    int guard_fd = (int)strtol(getenv("SNAKEPIT_ZYGOTE_FD"), NULL, 10);
    static sp_zygote *zygote; /* some manners never close it */
    sp_error err = {0};
    int rc = sp_zygote_open(NULL, &zygote, &err);
    if (rc == SP_OK) {
        rc = sp_zygote_announce(zygote, &err);
    }
    if (rc < 0) {
        fprintf(stderr, "hatch: %s\n", err.message);
        return 2;
    }
    if (strcmp(manner, "mute") == 0) {
        for (;;) {
            (void)pause();
        }
    }
    if (manner[0] != '\0') {
        return answer_badly(guard_fd, manner);
    }
    rc = sp_zygote_next(zygote, &err);
    if (rc == 1) {
        return become_worker(zygote, argv[1]);
    }
    sp_zygote_close(zygote);
    return rc < 0;
}
