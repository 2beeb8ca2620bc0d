/* SPDX-License-Identifier: MIT */
/*
 * Calling a daemon that runs already, for `snakepit bench --connect`.
 *
 * To a pit a daemon is what any gRPC server is, a worker of the runtime grpc: something
 * that answers at the address it is given. Here that address is a link to the daemon's
 * socket, made by a shell that then only waits; so the pit speaks with the daemon itself,
 * and nothing is between them. Pools of the configuration play no part.
 *
 * Nobody listening is found out before a pit is opened.
 */
#include "bench.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONCURRENCY_MAX = 10000 };

/* 0, or an exit code when nobody listens there. */
static int knock(const char *address, const char *path)
{
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof place.sun_path) {
        return complain(CODE_USAGE, "--connect: the path is longer than %zu bytes: %s",
                        sizeof place.sun_path - 1, path);
    }
    memcpy(place.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = fd < 0 ? -1 : connect(fd, (const struct sockaddr *)&place, sizeof place);
    int error = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (rc < 0) {
        return complain(CODE_UNREACHABLE, "no daemon at %s: %s", address,
                        strerror(error));
    }
    return CODE_OK;
}

/* As one word of a shell. */
static void add_quoted(struct text *out, const char *word)
{
    text_add(out, "'", 1);
    for (; *word != '\0'; word++) {
        if (*word == '\'') {
            text_add(out, "'\\''", 4);
        } else {
            text_add(out, word, 1);
        }
    }
    text_add(out, "'", 1);
}

/* Its own settings end up last, and so win. */
static int add_setting(struct cli *cli, const char *key, const char *value)
{
    if (cli->sets_count == SETS_MAX) {
        return complain(CODE_USAGE, "--set: too many beside --connect");
    }
    cli->sets[cli->sets_count++] = (struct setting){key, value};
    return CODE_OK;
}

int bench_connect(struct cli *cli, uint32_t calls, struct text *settings)
{
    static const char scheme[] = "unix:";
    const char *path = cli->address + strlen(scheme);
    if (strncmp(cli->address, scheme, strlen(scheme)) != 0 || path[0] != '/') {
        return complain(CODE_USAGE, "--connect: expected unix:/path, not \"%s\"",
                        cli->address);
    }
    if (cli->adapter != NULL || cli->function != NULL || cli->python != NULL ||
        cli->workers != NULL || cli->pool != NULL) {
        return complain(CODE_USAGE,
                        "-p, -a, -m, --python and --size are for a pool that "
                        "is started; --connect calls one that runs");
    }
    int code = knock(cli->address, path);
    if (code != CODE_OK) {
        return code;
    }
    text_printf(settings, "%u", calls < CONCURRENCY_MAX ? calls : CONCURRENCY_MAX);
    text_add(settings, "", 1); /* two texts, one behind the other */
    size_t command = settings->size;
    text_printf(settings, "%s",
                "sh -c 'ln -s \"$1\" \"${2#unix:}\" && exec sleep infinity' sh ");
    add_quoted(settings, path);
    text_printf(settings, "%s", " {address}");
    cli->config_path = "/dev/null";
    const struct setting sets[] = {{"pool.runtime", "grpc"},
                                   {"pool.size", "1"},
                                   {"pool.max_concurrency", settings->data},
                                   {"pool.command", settings->data + command}};
    for (size_t i = 0; code == CODE_OK && i < sizeof sets / sizeof sets[0]; i++) {
        code = add_setting(cli, sets[i].key, sets[i].value);
    }
    return code;
}
