/* SPDX-License-Identifier: MIT */
/*
 * A pool's zygote: a process of the pool's program that has loaded everything and forks
 * each worker when the guard asks it to (guard/fork.c).
 *
 * The normal course: the first worker that shall start starts the zygote, and waits for it
 * with the others that come meanwhile (parked). The zygote says over a socket of its own
 * that it is ready, in one message, an announcement without tools. From then on starting
 * a worker means to ask it; that is launch.c's business and goes through the guard.
 *
 * How it fails. Before it was ever ready: as a worker that cannot start, and those parked
 * fail with what it said, unless the pool may do without it; then they are executed. Later:
 * it is started anew with a growing pause, and until it is ready workers are executed,
 * which is slower and nothing else. One that leaves requests unanswered for ANSWER_MS is
 * killed. Workers never need it again after their birth.
 */
#include "worker/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "wire/proto.h"
#include "worker/internal.h"

enum {
    ANSWER_MS = 5000, /* without any answer while some are due: it hangs */
    ANSWER_LOOKS = 5, /* in that time */
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 30 * 1000,
    STEADY_MS = 10 * 1000, /* ready for so long: it died of something new */
    MESSAGE_MAX = 256 * 1024,
    TAIL_LINES = 12,
    ZYGOTE_FDS = 4 /* 0, 1, 2 and its socket */
};

#define TO(state) (1u << ZYGOTE_##state)
static const unsigned next_states[] = {
    [ZYGOTE_NONE] = TO(STARTING) | TO(STOPPED),
    [ZYGOTE_STARTING] = TO(READY) | TO(WAITING) | TO(NONE) | TO(STOPPED),
    [ZYGOTE_READY] = TO(WAITING) | TO(NONE) | TO(STOPPED),
    [ZYGOTE_WAITING] = TO(STARTING) | TO(NONE) | TO(STOPPED),
    [ZYGOTE_STOPPED] = 0,
};
#undef TO

/* The only writer of zygote->state. */
static void move(struct zygote *z, enum zygote_state next)
{
    assert(next_states[z->state] & (1u << next));
    z->state = next;
}

static void tell(struct zygote *z, const char *what, const char *why)
{
    char text[SP_ERROR_MESSAGE_MAX];
    (void)snprintf(text, sizeof text, "the zygote of pool %s %s: %.300s", z->spec->pool,
                   what, why);
    z->events->on_told(z->user, text);
}

/* ---- those that wait for it ---- */

static void take_parked(struct zygote *z, struct list *ret)
{
    struct link *link;
    while ((link = sp__list_pop(&z->parked)) != NULL) {
        sp__list_append(ret, link);
    }
}

/* Their deaths make the pool start others, which may come back to this zygote: its state
 * is settled before. */
static void fail_parked(struct zygote *z, const sp_error *why, int permanent)
{
    struct list parked = {0};
    struct link *link;
    take_parked(z, &parked);
    while ((link = sp__list_pop(&parked)) != NULL) {
        sp__worker_fail_start(ITEM(link, struct worker, on_zygote), why, permanent);
    }
}

static void start_parked(struct zygote *z)
{
    struct list parked = {0};
    struct link *link;
    take_parked(z, &parked);
    while ((link = sp__list_pop(&parked)) != NULL) {
        sp__worker_unpark(ITEM(link, struct worker, on_zygote));
    }
}

void sp__zygote_park(struct zygote *z, struct worker *worker)
{
    sp__list_append(&z->parked, &worker->on_zygote);
}

/* ---- its process ---- */

static void let_go(struct zygote *z)
{
    if (z->watch != NULL) {
        sp__watch_close(z->watch);
        z->watch = NULL;
    }
    if (z->fd >= 0) {
        (void)close(z->fd);
        z->fd = -1;
    }
    sp__timer_stop(z->shop->loop, &z->timer);
    z->id = 0;
    z->pid = 0;
    z->unanswered = 0;
}

static void kill_process(struct zygote *z)
{
    if (z->id == 0 || z->shop->guard == NULL ||
        sp__guard_kill(z->shop->guard, z->id, SIGKILL, 1, NULL) < 0) {
        return; /* there is none, or it is dying with the guard */
    }
}

static void wait_for_another(struct zygote *z)
{
    uint64_t now_ms = sp__loop_now_ms(z->shop->loop);
    int was_steady = z->ready_ms > 0 && now_ms - z->ready_ms >= STEADY_MS;
    z->backoff_ms = was_steady || z->backoff_ms == 0     ? BACKOFF_MIN_MS
                    : z->backoff_ms * 2 < BACKOFF_MAX_MS ? z->backoff_ms * 2
                                                         : BACKOFF_MAX_MS;
    z->ready_ms = 0;
    sp__timer_set(z->shop->loop, &z->timer, now_ms + z->backoff_ms);
}

/* Nothing came of its first start. */
static void give_up(struct zygote *z, const sp_error *why, int permanent)
{
    move(z, ZYGOTE_NONE);
    if (!z->may_do_without) {
        fail_parked(z, why, permanent);
        return;
    }
    z->is_unfit = 1;
    tell(z, "is done without", why->message);
    start_parked(z);
}

static void describe_end(struct zygote *z, const struct guard_exit *exit, sp_error *ret)
{
    char how[80];
    if (z->refusal.code != SP_OK) {
        sp_error_move(ret, &z->refusal);
    } else {
        (void)sp__guard_describe_exit(exit, how, sizeof how);
        sp__fail(ret, SP_ERR_START_FAILED, "the zygote of pool %s (pid %d) %s%s",
                 z->spec->pool, z->pid, how,
                 z->state == ZYGOTE_STARTING ? " before it was ready" : "");
    }
    sp__free(ret->worker_stderr);
    ret->worker_stderr = sp__output_tail(&z->output, TAIL_LINES);
}

/* It has ended, or never came to be. */
static void end(struct zygote *z, const struct guard_exit *exit)
{
    sp_error why = {0};
    int permanent = z->refused_for_good;
    sp__output_drain(&z->output);
    describe_end(z, exit, &why);
    sp__output_close(&z->output);
    let_go(z);
    z->refused_for_good = 0;
    if (z->state == ZYGOTE_STARTING && !z->was_ready) {
        give_up(z, &why, permanent);
    } else if (z->state != ZYGOTE_STOPPED && z->state != ZYGOTE_NONE) {
        if (z->state != ZYGOTE_WAITING) {
            move(z, ZYGOTE_WAITING);
            tell(z, "has ended, workers are executed until there is another",
                 why.message);
        }
        wait_for_another(z);
    }
    sp_error_clear(&why);
}

/* ---- what it says ---- */

static void read_refusal(struct zygote *z, const struct proto_announce *announce)
{
    sp_error_clear(&z->refusal);
    z->refused_for_good = announce->permanent;
    sp__fail(&z->refusal, SP_ERR_START_FAILED, "%s: %s",
             announce->error_type != NULL ? announce->error_type : "failed",
             announce->error_message != NULL ? announce->error_message : "");
    z->refusal.remote_type = sp__strdup(announce->error_type);
    z->refusal.remote_message = sp__strdup(announce->error_message);
    z->refusal.remote_trace = sp__strdup(announce->error_trace);
    /* It ends by itself; should it not, the start's deadline ends it. */
}

static void become_ready(struct zygote *z, const struct proto_announce *announce)
{
    (void)snprintf(z->runtime, sizeof z->runtime, "%s",
                   announce->runtime != NULL ? announce->runtime : "");
    move(z, ZYGOTE_READY);
    z->was_ready = 1;
    z->ready_ms = sp__loop_now_ms(z->shop->loop);
    sp__timer_stop(z->shop->loop, &z->timer);
    start_parked(z);
}

static void hear(struct zygote *z, const uint8_t *message, size_t size)
{
    struct proto_announce announce = {0};
    sp_error err = {0};
    if (sp__proto_get_announce(message, size, &announce, &err) < 0) {
        sp_error_move(&z->refusal, &err);
        kill_process(z);
    } else if (announce.failed) {
        read_refusal(z, &announce);
    } else if (z->state == ZYGOTE_STARTING) {
        become_ready(z, &announce);
    }
    sp__proto_announce_fini(&announce);
    sp_error_clear(&err);
}

static void socket_ready(void *user, int events)
{
    struct zygote *z = user;
    (void)events;
    uint8_t *message = sp__malloc(MESSAGE_MAX);
    ssize_t n = message != NULL ? recv(z->fd, message, MESSAGE_MAX, MSG_DONTWAIT) : 0;
    if (n > 0) {
        hear(z, message, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        /* It is dying; the guard's word with the cause is on its way. */
        sp__watch_close(z->watch);
        z->watch = NULL;
        kill_process(z);
    }
    sp__free(message);
}

/* ---- starting ---- */

struct zygote_ends {
    int null;
    int output[2];  /* of what it prints: the ends that are read, */
    int printed[2]; /* and those that are written */
    int socket[2];
};

static void close_ends(struct zygote_ends *ends)
{
    const int fds[] = {ends->null,       ends->output[0],  ends->output[1],
                       ends->printed[0], ends->printed[1], ends->socket[0],
                       ends->socket[1]};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
}

static int make_ends(struct zygote *z, struct zygote_ends *ends, sp_error *err)
{
    ends->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (ends->null < 0 || sp__output_pipes(ends->output, ends->printed) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends->socket) < 0 ||
        fcntl(ends->socket[0], F_SETFL, O_NONBLOCK) < 0) {
        return sp__fail_errno(err, errno, "make the socket of a zygote");
    }
    int rc = sp__output_open(&z->output, z->shop->loop, ends->output,
                             z->events->on_line, z->user, err);
    if (rc == SP_OK) {
        ends->output[0] = ends->output[1] = -1;
        rc = sp__watch_open(z->shop->loop, ends->socket[0], socket_ready, z, &z->watch,
                            err);
    }
    if (rc == SP_OK) {
        z->fd = ends->socket[0];
        ends->socket[0] = -1;
    }
    return rc;
}

static int spawn(struct zygote *z, const struct zygote_ends *ends, sp_error *err)
{
    char name[80];
    char id[112];
    (void)snprintf(name, sizeof name, "%.64s/zygote", z->spec->pool);
    (void)snprintf(id, sizeof id, "SNAKEPIT_WORKER_ID=%s", name);
    const char *const own[] = {id, "SNAKEPIT_ZYGOTE_HOST_FD=3", "SNAKEPIT_ZYGOTE_FD=4",
                               NULL};
    const int fds[ZYGOTE_FDS] = {ends->null, ends->printed[0], ends->printed[1],
                                 ends->socket[1]};
    const char **env = NULL;
    int rc = sp__worker_compose_env(z->shop, z->spec, own, 1, &env, err);
    if (rc < 0) {
        return rc;
    }
    struct guard_command command = {
        .argv = (const char *const *)z->spec->argv,
        .env = env,
        .working_dir = z->spec->working_dir,
        .limits = z->spec->limits,
        .fds = fds,
        .fds_count = ZYGOTE_FDS,
        .is_zygote = 1,
    };
    rc = sp__worker_spawn(z->shop, z->id, name, &command, err);
    sp__free(env);
    return rc;
}

static int start(struct zygote *z, sp_error *err)
{
    struct zygote_ends ends = {-1, {-1, -1}, {-1, -1}, {-1, -1}};
    if (z->shop->guard == NULL) {
        return sp__fail(err, SP_ERR_GUARD, "the guard process is gone");
    }
    sp_error_clear(&z->refusal);
    z->id = sp__workshop_next_id(z->shop);
    int rc = make_ends(z, &ends, err);
    if (rc == SP_OK) {
        rc = spawn(z, &ends, err);
    }
    close_ends(&ends);
    if (rc < 0) {
        sp__output_close(&z->output);
        let_go(z);
        return rc;
    }
    z->starts++;
    move(z, ZYGOTE_STARTING);
    sp__timer_set(z->shop->loop, &z->timer,
                  sp__loop_now_ms(z->shop->loop) + z->spec->init_timeout_ms);
    return SP_OK;
}

static void start_again(struct zygote *z)
{
    sp_error err = {0};
    if (start(z, &err) < 0) {
        tell(z, "cannot be started", err.message);
        wait_for_another(z);
    }
    sp_error_clear(&err);
}

enum zygote_word sp__zygote_ask(struct zygote *z)
{
    sp_error err = {0};
    switch (z->state) {
    case ZYGOTE_NONE:
        if (z->is_unfit || z->shop->guard == NULL) {
            return ZYGOTE_EXECUTE;
        }
        if (start(z, &err) < 0) {
            tell(z, "cannot be started", err.message);
            sp_error_clear(&err);
            return ZYGOTE_EXECUTE;
        }
        return ZYGOTE_PARK;
    case ZYGOTE_STARTING:
        return z->was_ready ? ZYGOTE_EXECUTE : ZYGOTE_PARK;
    case ZYGOTE_READY:
        return ZYGOTE_FORK;
    case ZYGOTE_WAITING:
    case ZYGOTE_STOPPED:
        break;
    }
    return ZYGOTE_EXECUTE;
}

/* ---- its answers ---- */

static void expect_answer(struct zygote *z)
{
    z->silent_looks = 0;
    if (z->state == ZYGOTE_READY && z->unanswered > 0) {
        sp__timer_set(z->shop->loop, &z->timer,
                      sp__loop_now_ms(z->shop->loop) + ANSWER_MS / ANSWER_LOOKS);
    } else if (z->state == ZYGOTE_READY) {
        sp__timer_stop(z->shop->loop, &z->timer);
    }
}

void sp__zygote_asked(struct zygote *z)
{
    if (z->unanswered++ == 0) {
        expect_answer(z);
    }
}

void sp__zygote_answered(struct zygote *z, uint64_t id, int is_born)
{
    z->forked += is_born != 0;
    if (z->id == id && z->unanswered > 0) { /* else another one had been asked */
        z->unanswered--;
        expect_answer(z);
    }
}

/* Whether it hangs. While another zygote does, requests wait for the guard: it cannot
 * answer what it has not been sent. */
static int is_silent(struct zygote *z)
{
    struct guard *guard = z->shop->guard;
    if (guard != NULL && sp__guard_unsent(guard, z->id) >= z->unanswered) {
        z->silent_looks = 0;
    } else {
        z->silent_looks++;
    }
    return z->silent_looks >= ANSWER_LOOKS;
}

static void timer_due(struct timer *timer, uint64_t now_ms)
{
    struct zygote *z = ITEM(timer, struct zygote, timer);
    char text[64];
    switch (z->state) {
    case ZYGOTE_STARTING:
        if (z->refusal.code == SP_OK) {
            sp__fail(&z->refusal, SP_ERR_START_TIMEOUT,
                     "the zygote of pool %s was not ready after %llu ms and was killed",
                     z->spec->pool, (unsigned long long)z->spec->init_timeout_ms);
        }
        kill_process(z);
        break;
    case ZYGOTE_READY:
        if (!is_silent(z)) {
            sp__timer_set(z->shop->loop, &z->timer, now_ms + ANSWER_MS / ANSWER_LOOKS);
            break;
        }
        move(z, ZYGOTE_WAITING);
        (void)snprintf(text, sizeof text, "no answer for %d ms", ANSWER_MS);
        tell(z, "hangs and is killed, workers are executed until there is another",
             text);
        kill_process(z);
        break;
    case ZYGOTE_WAITING:
        start_again(z);
        break;
    case ZYGOTE_NONE:
    case ZYGOTE_STOPPED:
        break; /* a stale firing means nothing */
    }
}

/* ---- what the guard says ---- */

/* The guard is no subreaper: what is forked would become the init's. */
static void say_what_is_needed(struct zygote *z)
{
    z->refused_for_good = 1;
    sp__fail(
        &z->refusal, SP_ERR_START_FAILED,
        "pool %s: a zygote needs the orphan-safety subreaper, and this program has "
        "only the lifeline",
        z->spec->pool);
}

int sp__zygote_on_spawned(struct zygote *z, uint64_t id, int pid,
                          const sp_error *failure)
{
    if (z->id != id) {
        return 0;
    }
    z->pid = pid;
    if (failure != NULL) {
        struct guard_exit exit = {.exit_code = -1, .oom_killed = -1};
        sp__error_copy(&z->refusal, failure);
        z->refused_for_good = sp__worker_is_hopeless(failure->os_errno);
        if (failure->os_errno == EOPNOTSUPP) {
            say_what_is_needed(z);
        }
        end(z, &exit);
    }
    return 1;
}

int sp__zygote_on_exited(struct zygote *z, uint64_t id, const struct guard_exit *exit)
{
    if (z->id != id) {
        return 0;
    }
    end(z, exit);
    return 1;
}

void sp__zygote_on_guard_lost(struct zygote *z)
{
    if (z->id == 0) {
        return;
    }
    sp__output_close(&z->output);
    let_go(z);
    sp_error_clear(&z->refusal);
    if (z->state == ZYGOTE_STARTING && !z->was_ready) {
        move(z, ZYGOTE_NONE); /* those parked die as all workers do now */
    } else if (z->state != ZYGOTE_STOPPED) {
        if (z->state != ZYGOTE_WAITING) {
            move(z, ZYGOTE_WAITING);
        }
        wait_for_another(z);
    }
}

/* ---- from the beginning to the end ---- */

int sp__zygote_init(struct zygote *z, struct workshop *shop,
                    const struct worker_spec *spec, const struct zygote_events *events,
                    void *user, sp_error *err)
{
    *z = (struct zygote){
        .shop = shop, .spec = spec, .events = events, .user = user, .fd = -1};
    if (sp__timer_init(shop->loop, &z->timer, timer_due) < 0) {
        *z = (struct zygote){0};
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the zygote of pool %s",
                        spec->pool);
    }
    sp__list_append(&shop->zygotes, &z->on_shop);
    return SP_OK;
}

void sp__zygote_stop(struct zygote *z)
{
    if (z->state == ZYGOTE_STOPPED) {
        return;
    }
    move(z, ZYGOTE_STOPPED);
    kill_process(z);
    sp__timer_stop(z->shop->loop, &z->timer);
}

void sp__zygote_renew(struct zygote *z)
{
    if (z->state == ZYGOTE_NONE || z->state == ZYGOTE_STOPPED) {
        z->is_unfit = 0; /* the next worker finds out */
        return;
    }
    kill_process(z);
    sp__output_close(&z->output);
    let_go(z);
    z->was_ready = 0;
    z->refused_for_good = 0;
    z->backoff_ms = 0;
    move(z, ZYGOTE_NONE);
    start_parked(z); /* and wait for the next one: this one has loaded what was */
}

void sp__zygote_fini(struct zygote *z)
{
    if (z->shop == NULL) {
        return;
    }
    assert(z->parked.length == 0);
    sp__output_close(&z->output);
    let_go(z);
    sp__list_remove(&z->on_shop);
    sp__timer_fini(z->shop->loop, &z->timer);
    sp_error_clear(&z->refusal);
    *z = (struct zygote){0};
}
