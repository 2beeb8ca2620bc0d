/* SPDX-License-Identifier: MIT */
/*
 * Taking until it is refused. Each trial has a bound and a time; all it has taken is in an
 * array of descriptors, or in a child that ends, so it is given back whatever stopped it.
 *
 * What a daemon does is found with one: a pit that listens on a socket in a folder of its
 * own, and that closes idle clients for new ones when it has as many as may be.
 */
#include "scaling_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scaling.h"
#include "view.h"

union place {
    sa_family_t family;
    struct sockaddr any;
    struct sockaddr_un local;
    struct sockaddr_in tcp;
};

/* What is held of one thing. */
struct held {
    struct probe *probe;
    int *fds;
    size_t count;
    uint64_t end_ms;
};

static void hold_begin(struct held *held, struct probe *probe, size_t fds_max)
{
    *held = (struct held){.probe = probe,
                          .fds = need(calloc(fds_max, sizeof *held->fds)),
                          .end_ms = clock_ms() + PROBE_TIME_MS};
}

static void stopped_by_bound(struct probe *probe)
{
    (void)snprintf(probe->stopped_by, PROBE_TEXT_MAX, "the bound of this trial");
}

static void stopped_by_time(struct probe *probe)
{
    (void)snprintf(probe->stopped_by, PROBE_TEXT_MAX, "the time of this trial");
}

static int is_over(uint64_t end_ms)
{
    return clock_ms() >= end_ms || watch_interrupted();
}

static int left_ms(uint64_t end_ms)
{
    uint64_t now_ms = clock_ms();
    return now_ms < end_ms ? (int)(end_ms - now_ms) : 0;
}

/* 1: another one may be tried. */
static int may_go_on(const struct held *held)
{
    if (held->probe->reached >= held->probe->bound) {
        stopped_by_bound(held->probe);
        return 0;
    }
    if (is_over(held->end_ms)) {
        stopped_by_time(held->probe);
        return 0;
    }
    return 1;
}

static void refused(struct probe *probe, const char *why, const char *format, ...)
    SP_PRINTF(3, 4);

static void refused(struct probe *probe, const char *why, const char *format, ...)
{
    va_list args;
    probe->is_refused = 1;
    (void)snprintf(probe->stopped_by, PROBE_TEXT_MAX, "%s", why);
    va_start(args, format);
    (void)vsnprintf(probe->set, PROBE_TEXT_MAX, format, args);
    va_end(args);
}

/* A call that gives descriptors has failed: whose limit that is, and what raises it. */
static void refused_by(struct probe *probe, int error, const char *else_set)
{
    unsigned long long files = 2 * (probe->reached + kernel_descriptors());
    if (error == EMFILE) {
        refused(probe, "EMFILE: the limit of descriptors",
                "ulimit -n %llu, or LimitNOFILE=%llu in its unit", files, files);
    } else if (error == ENFILE) {
        refused(probe, "ENFILE: the machine's limit of open files",
                "sysctl -w fs.file-max=%llu", files);
    } else {
        refused(probe, strerror(error), "%s", else_set);
    }
}

static void hold(struct held *held, int fd)
{
    held->fds[held->count++] = fd;
}

static void give_back(struct held *held)
{
    while (held->count > 0) {
        (void)close(held->fds[--held->count]);
    }
    free(held->fds);
}

/* ---- descriptors ---- */

static void try_descriptors(struct probe *probe)
{
    struct held held;
    hold_begin(&held, probe, PROBE_DESCRIPTORS);
    while (may_go_on(&held)) {
        int fd = dup(STDERR_FILENO);
        if (fd < 0) {
            refused_by(probe, errno, "");
            break;
        }
        hold(&held, fd);
        probe->reached++;
    }
    give_back(&held);
}

/* ---- connections ---- */

/* A listener: over TCP on a port of the loopback device, or one whose name the kernel has
 * chosen. -1: errno says why there is none. */
static int listen_at(int family, union place *ret_place, socklen_t *ret_size)
{
    union place place = {.family = (sa_family_t)family};
    socklen_t size = family == AF_INET ? sizeof place.tcp : sizeof place.family;
    place.tcp.sin_addr.s_addr = htonl(family == AF_INET ? INADDR_LOOPBACK : 0);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *ret_size = sizeof *ret_place;
    if (fd >= 0 && (bind(fd, &place.any, size) < 0 || listen(fd, INT32_MAX) < 0 ||
                    getsockname(fd, &ret_place->any, ret_size) < 0)) {
        int error = errno;
        (void)close(fd);
        errno = error;
        fd = -1;
    }
    return fd;
}

/* Connect once more: 0, or an error. */
static int connect_one(struct held *held, int family, const union place *place,
                       socklen_t size)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return errno;
    }
    hold(held, fd);
    return connect(fd, &place->any, size) == 0 || errno == EINPROGRESS ? 0 : errno;
}

static int accept_one(struct held *held, int listener)
{
    struct pollfd ready = {.fd = listener, .events = POLLIN};
    if (poll(&ready, 1, PROBE_TIME_MS) <= 0) {
        return ETIMEDOUT;
    }
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    hold(held, fd);
    return 0;
}

/* Both ends of each; or, not accepted, as many as may wait. */
static void try_connections(struct probe *probe, int family, int accepts)
{
    static const char more_ports[] =
        "sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"";
    struct held held;
    union place place;
    socklen_t size;
    hold_begin(&held, probe, 2 * PROBE_CONNECTIONS + 2);
    int listener = listen_at(family, &place, &size);
    int error = listener < 0 ? errno : 0;
    while (error == 0 && may_go_on(&held)) {
        error = connect_one(&held, family, &place, size);
        if (error == 0 && accepts) {
            error = accept_one(&held, listener);
        }
        probe->reached += error == 0;
    }
    if (error == EAGAIN && !accepts) {
        refused(probe, "the kernel's queue is full",
                "sysctl -w net.core.somaxconn=%llu",
                (unsigned long long)(2 * probe->reached));
    } else if (error != 0) {
        refused_by(probe, error, family == AF_INET ? more_ports : "");
    }
    give_back(&held);
    if (listener >= 0) {
        (void)close(listener);
    }
}

static void try_unix(struct probe *probe)
{
    try_connections(probe, AF_UNIX, 1);
}

static void try_tcp(struct probe *probe)
{
    try_connections(probe, AF_INET, 1);
}

static void try_waiting(struct probe *probe)
{
    try_connections(probe, AF_UNIX, 0);
}

/* Ports as the kernel gives them to whoever asks for any. */
static void try_ports(struct probe *probe)
{
    struct held held;
    union place place = {.tcp = {.sin_family = AF_INET}};
    int error = 0;
    place.tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    hold_begin(&held, probe, PROBE_PORTS + 1);
    while (error == 0 && may_go_on(&held)) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, &place.any, sizeof place.tcp) < 0) {
            error = errno;
        } else {
            probe->reached++;
        }
        if (fd >= 0) {
            hold(&held, fd);
        }
    }
    if (error != 0) {
        refused_by(probe, error,
                   "sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"");
    }
    give_back(&held);
}

/* ---- clients of a daemon ---- */

static const char socket_name[] = "/pit.sock";

enum { FOLDER_MAX = sizeof((struct sockaddr_un *)NULL)->sun_path - sizeof socket_name };

/* Until the daemon has heard of so many. 0: not in time. */
static int await_clients(sp_pit *pit, const struct held *held, uint64_t wanted,
                         sp_listen_stats *ret_stats)
{
    for (;;) {
        if (sp_pit_listen_stats(pit, ret_stats, NULL) < 0) {
            return 0;
        }
        if (ret_stats->clients_total + ret_stats->clients_turned_away >= wanted) {
            return 1;
        }
        if (is_over(held->end_ms)) {
            return 0;
        }
        (void)poll(NULL, 0, 1); /* it accepts them on a thread of its own */
    }
}

/* As many as it has at once: one more closes one that is idle. */
static void connect_clients(struct probe *probe, sp_pit *pit, const union place *place)
{
    struct held held;
    sp_listen_stats stats = {0};
    uint64_t asked = 0;
    hold_begin(&held, probe, PROBE_CLIENTS + 1);
    while (may_go_on(&held)) {
        int error = connect_one(&held, AF_UNIX, place, sizeof place->local);
        if (error != 0) {
            refused_by(probe, error, "");
            break;
        }
        if (!await_clients(pit, &held, ++asked, &stats)) {
            stopped_by_time(probe);
            break;
        }
        probe->reached = stats.clients;
        if (stats.clients_shed + stats.clients_turned_away > 0) {
            refused(probe, "listen.clients: idle ones are closed for more",
                    "listen.clients: %llu", (unsigned long long)(2 * probe->reached));
            break;
        }
    }
    give_back(&held);
}

/* That there is no daemon is as good an answer: what it needs is not there. */
static void refused_daemon(struct probe *probe, const char *why)
{
    struct rlimit files = {0};
    (void)getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur == RLIM_INFINITY) {
        refused(probe, why, "what it says");
    } else {
        refused(probe, why, "ulimit -n %llu, or LimitNOFILE= of its unit",
                2 * (unsigned long long)files.rlim_cur);
    }
}

static void serve_and_connect(const struct opened *opened, struct probe *probe,
                              const char *folder)
{
    union place place = {.local = {.sun_family = AF_UNIX}};
    char address[128];
    sp_error err = {0};
    sp_listen_options limits = sp_config_service(opened->config)->listen;
    limits.size = sizeof limits;
    (void)snprintf(place.local.sun_path, sizeof place.local.sun_path, "%s%s", folder,
                   socket_name);
    (void)snprintf(address, sizeof address, "unix:%s", place.local.sun_path);
    if (sp_pit_listen(opened->pit, address, &limits, &err) < 0) {
        refused_daemon(probe, err.message);
    } else {
        connect_clients(probe, opened->pit, &place);
    }
    sp_error_clear(&err);
}

/* Where TMPDIR says, unless a socket there had too long a path. */
static int make_folder(char folder[FOLDER_MAX])
{
    static const char name[] = "snakepit-scaling-XXXXXX";
    const char *base = environment_text("TMPDIR");
    if (base == NULL || strlen(base) + 1 + sizeof name > FOLDER_MAX) {
        base = "/tmp";
    }
    (void)snprintf(folder, FOLDER_MAX, "%s/%s", base, name);
    return mkdtemp(folder) != NULL;
}

static void try_clients(const struct cli *cli, struct probe *probe)
{
    struct opened opened;
    char folder[FOLDER_MAX];
    if (!make_folder(folder)) {
        refused(probe, strerror(errno), "TMPDIR=DIR, a folder that can be written to");
        return;
    }
    if (pit_open(cli, OPEN_ONE_POOL | OPEN_ONE_WORKER, &opened) == CODE_OK) {
        serve_and_connect(&opened, probe, folder);
        pit_close(&opened);
    } else {
        refused_daemon(probe, "no pit could be opened; the error is above");
    }
    (void)rmdir(folder);
}

/* ---- memory ---- */

enum { STRIDE_MIB = 16 };

/* In a child, so that whatever the kernel does about it is done to that. It writes a byte
 * for each stride that it has. */
static void take_memory(int fd, uint64_t strides)
{
    size_t size = (size_t)STRIDE_MIB << 20;
    FILE *score = fopen("/proc/self/oom_score_adj", "we");
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (score != NULL) {
        (void)fputs("1000", score); /* the first to go */
        (void)fclose(score);
    }
    for (uint64_t i = 0; i < strides; i++) {
        char *data = mmap(NULL, size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (data == MAP_FAILED) {
            _exit(1);
        }
        memset(data, 1, size);
        if (write(fd, "", 1) != 1) {
            _exit(2);
        }
    }
    _exit(0);
}

static void try_memory(struct probe *probe)
{
    uint64_t end_ms = clock_ms() + PROBE_TIME_MS;
    int fds[2];
    char byte;
    if (pipe2(fds, O_CLOEXEC) != 0) {
        refused_by(probe, errno, "");
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        take_memory(fds[1], probe->bound / STRIDE_MIB);
    }
    (void)close(fds[1]);
    struct pollfd ready = {.fd = fds[0], .events = POLLIN};
    while (pid > 0 && !is_over(end_ms)) {
        if (poll(&ready, 1, left_ms(end_ms)) <= 0) {
            continue;
        }
        if (read(fds[0], &byte, 1) != 1) {
            break;
        }
        probe->reached += STRIDE_MIB;
    }
    int status = 0;
    int is_cut_off = is_over(end_ms);
    if (pid > 0 && is_cut_off) {
        (void)kill(pid, SIGKILL);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    (void)close(fds[0]);
    if (pid < 0) {
        refused(probe, strerror(errno), "ulimit -u, or TasksMax= of its unit");
    } else if (is_cut_off) {
        stopped_by_time(probe);
    } else if (status == 0) {
        stopped_by_bound(probe);
    } else {
        refused(probe, WIFSIGNALED(status) ? "the kernel killed who took it" : "ENOMEM",
                "MemoryMax= of its unit, ulimit -v, or more memory");
    }
}

/* ---- all of them ---- */

static struct probe *add(struct probes *probes, const char *name, uint64_t bound)
{
    struct probe *probe = &probes->list[probes->count++];
    *probe = (struct probe){.name = name, .unit = "", .bound = bound};
    progress("taking %s", name);
    return probe;
}

int probe_all(const struct cli *cli, struct probes *ret)
{
    static const struct {
        const char *name;
        uint64_t bound;
        void (*run)(struct probe *probe);
    } plain[] = {{"descriptors", PROBE_DESCRIPTORS, try_descriptors},
                 {"connections (unix)", PROBE_CONNECTIONS, try_unix},
                 {"connections (TCP)", PROBE_CONNECTIONS, try_tcp},
                 {"connections not accepted", PROBE_CONNECTIONS, try_waiting},
                 {"ports", PROBE_PORTS, try_ports}};
    *ret = (struct probes){0};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0] && !watch_interrupted();
         i++) {
        plain[i].run(add(ret, plain[i].name, plain[i].bound));
    }
    if (!watch_interrupted()) {
        uint64_t left_mib = kernel_memory_left() >> 20;
        struct probe *memory =
            add(ret, "memory",
                left_mib / 4 < PROBE_MEMORY_MIB ? left_mib / 4 : PROBE_MEMORY_MIB);
        memory->unit = "MiB";
        try_memory(memory);
    }
    if (!watch_interrupted()) {
        try_clients(cli, add(ret, "clients of a daemon", PROBE_CLIENTS));
    }
    progress_erase();
    return watch_interrupted() ? CODE_INTERRUPTED : CODE_OK;
}
