/* SPDX-License-Identifier: MIT */
/* A worker that announces itself as none of ours would: announces version|twice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/h2.h"
#include "wire/proto.h"

static void nothing_came(void *user, struct h2_stream *stream, const uint8_t *data,
                         size_t size)
{
}

static void ended(void *user, struct h2_stream *stream, const struct h2_status *status)
{
}

static int announce(struct h2 *h2, uint32_t version)
{
    struct sp_buffer message;
    struct h2_stream *stream;
    char id[] = "stranger";
    struct proto_announce words = {
        .protocol_version = version, .worker_id = id, .capacity = 1};
    sp__buf_init(&message, 4096);
    int rc = sp__proto_put_announce(&message, &words, NULL);
    if (rc == 0) {
        rc =
            sp__h2_open(h2, SP__PATH_ANNOUNCE, SP_UNLIMITED, NULL, 0,
                        (sp_bytes){message.data, message.size}, 1, NULL, &stream, NULL);
    }
    sp__buf_fini(&message);
    return rc;
}

static int talk(struct h2 *h2, int fd)
{
    static uint8_t data[65536];
    for (;;) {
        struct sp_buffer out;
        sp__buf_init(&out, sizeof data);
        int rc = sp__h2_send(h2, &out, sizeof data / 2, NULL);
        ssize_t n = out.size > 0 ? write(fd, out.data, out.size) : 0;
        sp__buf_fini(&out);
        if (rc > 0) {
            continue;
        }
        if (rc < 0 || n < 0 || (n = read(fd, data, sizeof data)) <= 0) {
            return 1;
        }
        if (sp__h2_receive(h2, data, (size_t)n, NULL) < 0) {
            return 1;
        }
    }
}

int main(int argc, char **argv)
{
    static const struct h2_events events = {.on_message = nothing_came,
                                            .on_end = ended};
    static const struct h2_options options = {.trusted = 1, .message_max = 4096};
    const char *number = getenv("SNAKEPIT_HOST_FD");
    int fd = number != NULL ? (int)strtol(number, NULL, 10) : 1;
    int twice = argc > 1 && strcmp(argv[1], "twice") == 0;
    struct h2 *h2;
    (void)fprintf(stderr, "I am %s\n", twice ? "two" : "from the future");
    if (sp__h2_new(H2_CLIENT, &options, &events, NULL, &h2, NULL) < 0 ||
        announce(h2, twice ? SP__PROTOCOL_VERSION : 99) < 0 ||
        (twice && announce(h2, SP__PROTOCOL_VERSION) < 0)) {
        return 1;
    }
    int rc = talk(h2, fd);
    sp__h2_free(h2);
    return rc;
}
