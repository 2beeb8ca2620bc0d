/* SPDX-License-Identifier: MIT */
/*
 * What travels between the host and the guard, one message at a time.
 *
 * A spawn request's strings go into a memfd that is sealed before it is sent, so that
 * the guard checks the very bytes it will use. Sending never raises SIGPIPE and never
 * waits; descriptors that arrive are close-on-exec from birth.
 */
#include "guard/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3; kernels can be told to insist on it */
#define MFD_NOEXEC_SEAL 0x0008u
#endif

enum { FDS_OUT = 1 + GUARD_FDS_MAX };

int sp__channel_send(int socket, const struct guard_message *message, const int *fds,
                     size_t fds_count)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * FDS_OUT)];
        struct cmsghdr align;
    } space = {{0}};
    struct iovec part = {.iov_base = (void *)message, .iov_len = sizeof *message};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fds_count > 0) {
        size_t size = fds_count * sizeof *fds;
        header.msg_control = space.bytes;
        header.msg_controllen = CMSG_SPACE(size);
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(cmsg), fds, size);
    }
    ssize_t n;
    do {
        n = sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? errno : 0;
}

/* Keep the first descriptor that came, close the others: no reply carries two. */
static int take_fd(struct msghdr *header)
{
    int kept = -1;
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg != NULL;
         cmsg = CMSG_NXTHDR(header, cmsg)) {
        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof fd, sizeof fd);
            if (kept < 0) {
                kept = fd;
            } else {
                (void)close(fd);
            }
        }
    }
    return kept;
}

int sp__channel_receive(int socket, struct guard_message *message, int *ret_fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } space;
    struct iovec part = {.iov_base = message, .iov_len = sizeof *message};
    struct msghdr header = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = space.bytes,
        .msg_controllen = sizeof space.bytes,
    };
    ssize_t n;
    do {
        n = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno;
    }
    int fd = take_fd(&header);
    if (n != (ssize_t)sizeof *message || (header.msg_flags & MSG_TRUNC) != 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return n == 0 ? EPIPE : EPROTO;
    }
    *ret_fd = fd;
    return 0;
}

/* ---- the block ---- */

static int append_all(struct sp_buffer *block, const char *const *strings,
                      uint32_t *ret_count, sp_error *err)
{
    uint32_t count = 0;
    for (; strings != NULL && strings[count] != NULL; count++) {
        if (count == GUARD_STRINGS_MAX) {
            return sp__fail(err, SP_ERR_TOO_BIG,
                            "a worker's command and environment have more than %d "
                            "entries",
                            GUARD_STRINGS_MAX);
        }
        int rc = sp__buf_append(block, strings[count], strlen(strings[count]) + 1, err);
        if (rc < 0) {
            return rc;
        }
    }
    *ret_count = count;
    return SP_OK;
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

static int create_sealed(const struct sp_buffer *block, int *ret_fd, sp_error *err)
{
    static const char name[] = "snakepit-spawn";
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) {
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    if (fd < 0) {
        return sp__fail_errno(err, errno, "memfd for a spawn request");
    }
    int wrong = write_all(fd, block->data, block->size);
    if (wrong == 0 &&
        fcntl(fd, F_ADD_SEALS,
              F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        wrong = errno;
    }
    if (wrong != 0) {
        (void)close(fd);
        return sp__fail_errno(err, wrong, "spawn request");
    }
    *ret_fd = fd;
    return SP_OK;
}

int sp__channel_pack(const struct guard_command *command, struct guard_message *message,
                     int *ret_fd, sp_error *err)
{
    const char *const *env = command->env;
    if (env == NULL && command->zygote == 0) {
        env = (const char *const *)environ;
    }
    const char *const *argv = command->zygote == 0 ? command->argv : NULL;
    const char *working_dir = command->working_dir != NULL ? command->working_dir : "";

    struct sp_buffer block;
    sp__buf_init(&block, GUARD_BLOCK_MAX);
    int rc = append_all(&block, argv, &message->argc, err);
    if (rc == SP_OK) {
        rc = append_all(&block, env, &message->envc, err);
    }
    if (rc == SP_OK && message->argc + message->envc > GUARD_STRINGS_MAX) {
        rc = sp__fail(err, SP_ERR_TOO_BIG,
                      "a worker's command and environment have %u entries, more than "
                      "%d",
                      message->argc + message->envc, GUARD_STRINGS_MAX);
    }
    if (rc == SP_OK) {
        rc = sp__buf_append(&block, working_dir, strlen(working_dir) + 1, err);
    }
    if (rc == SP_OK) {
        message->block_bytes = (uint32_t)block.size;
        rc = create_sealed(&block, ret_fd, err);
    }
    sp__buf_fini(&block);
    return rc;
}
