/* SPDX-License-Identifier: MIT */
/*
 * The inside of a worker: its slots, connections and jobs, and who may touch them.
 *
 * Threads. A *slot* is a thread that calls sp_worker_next(). Its `seq` is odd while it
 * is away (in user code, or waiting for its interpreter's lock) and even while it
 * attends. The *leader* is the one thread that may sleep in poll on the sockets and
 * read them: a slot without work, the helper thread while every slot is away for long,
 * or nobody while slots run short jobs. `leader` changes under smu only.
 *
 * Locking. One mutex, `smu`, guards everything marked so below; it is never held across
 * a wait, user code or a callback that may block. A RUNNING job's request, its output
 * area and its data belong to the thread that runs it.
 */
#ifndef SP_RUNTIME_RUNTIME_H
#define SP_RUNTIME_RUNTIME_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/apart.h"
#include "base/buf.h"
#include "base/duplex.h"
#include "base/grpc_status.h"
#include "base/list.h"
#include "base/spin.h"
#include "snakepit/worker.h"
#include "snakepit/worker_host.h"
#include "wire/h2.h"
#include "wire/page.h"
#include "wire/proto.h"
#include "wire/stubs.h"

enum {
    LEADER_NONE = -1,
    LEADER_HELPER = -2,
    THREADS_MAX = WORKER_PAGE_SLOTS,
    SPREAD_US = 50,  /* ten times what waking a thread costs */
    CONNS_MAX = 256, /* strangers connected at once */
    POLLED_MAX = 2 * CONNS_MAX + 8,
    TELEMETRY_MAX = 8, /* telemetry streams at once; bits of sp_job.sampled */
    TELEMETRY_QUEUE_MAX = 256 * 1024,
    TELEMETRY_CONTROL_MAX = 64 * 1024,
    WISH_RATES_MAX = 8, /* of one listener, for events by name */
    WISH_PATTERNS_MAX = 64,
    SESSIONS_MAX = 1024,
    SPARE_MAX = 256,         /* ended jobs kept for use again */
    SPARE_BYTES = 4096,      /* input such a job may keep */
    READ_BYTES = 128 * 1024, /* one recv; a read of a pipe gets half of the room */
    WRITE_BYTES = 64 * 1024, /* one send */
    FLUSH_JOBS = 16,         /* answers gathered before a write, */
    FLUSH_JOBS_MIN = 4,      /* or so many, when their host has nothing else to do */
    FLUSH_PARTS = 4,
    FLUSH_BYTES = 16 * 1024,
    QUICK_US = 5,                  /* less than waking a process takes */
    QUICK_JOBS = 16,               /* so many were, so the next will be */
    HIGH_WATER = 256 * 1024,       /* a stream with more queued must wait */
    PEND_BYTES = 32 * 1024,        /* a stream's area for chunks not yet published */
    SLOT_BUFFER_KEEP = 256 * 1024, /* of an answer's memory, for the next one */
    EXIT_HOST_GONE = 75, /* EX_TEMPFAIL: the status of a worker without a host */
    UNDERTAKER_MS = 2000 /* from the host's death, seen while idle, to _exit */
};

enum rpc_method {
    RPC_EXECUTE,
    RPC_STREAM,
    RPC_PING,
    RPC_TELEMETRY,
    RPC_HEALTH_CHECK,
    RPC_HEALTH_WATCH,
    RPC_SESSION_INITIALIZE,
    RPC_SESSION_CLEANUP,
    RPC_SESSION_GET,
    RPC_SESSION_HEARTBEAT,
    RPC_METHODS
};

/* What a server stream's user pointer points to; the first member of whatever it is. */
struct rpc {
    enum rpc_method method;
};

enum conn_role {
    CONN_CALLS,   /* inherited: the host calls; its end is the host's death */
    CONN_HOST,    /* inherited: we call the host */
    CONN_STRANGER /* accepted: a stock gRPC client */
};

struct conn { /* all under smu */
    struct sp_worker *worker;
    enum conn_role role;
    struct duplex duplex;
    struct h2 *h2;
    int hot;         /* may have input */
    int guessed;     /* that is a guess, after an answer */
    uint32_t misses; /* guesses in a row that were wrong; many: then several answers */
    uint32_t passed; /* are let pass between two, and so many have been */
    int dirty;       /* h2 may have output */
    int stuck;       /* no more is taken: wait for POLLOUT */
    int ended;       /* all is said: the peer reads it and closes */
    int broken;      /* dropped by the next pump */
    struct {
        uint32_t in, out, socket;
    } watched; /* what the poller watches each of duplex for, 0: not yet */
};

/*
 *  INCOMING ──message──▶ QUEUED ──popped──▶ RUNNING ──reply, fail, end──▶ (freed)
 *      │                    │                │   ▲
 *      │                    │        chunk: 0│   │popped
 *      │                    │                ▼   │
 *      │                    │   PARKED ──▶ TURN ─┘
 *      │                    │     drained, cancelled, or at once for fairness
 *      │                    │   ASIDE  ──▶ TURN
 *      │                    │     set aside; cancelled; or answered from there
 *      └── reset, deadline, stop: freed without running
 */
enum job_state {
    JOB_INCOMING, /* on incoming: the message has not come whole */
    JOB_QUEUED,   /* on ready */
    JOB_RUNNING,  /* a slot's cur; owned by its thread */
    JOB_PARKED,   /* a stream whose peer must read first */
    JOB_ASIDE,    /* on aside: its thread goes on with others and answers it later */
    JOB_TURN      /* on ready: a stream that may go on */
};

enum cancel_why { CANCEL_NONE, CANCEL_PEER, CANCEL_DEADLINE, CANCEL_GONE };

struct memory; /* shared with the host */

/* Places there that are in use. */
struct held {
    struct memory *memory; /* NULL: none */
    uint64_t slots;        /* a bit for each */
};

/* The memory of a request that its binding keeps. Any thread. */
struct sp_kept {
    atomic_uint references; /* the job's, and the binding's */
    struct held held;
    struct sp_buffer input;
    struct sp_buffer args;
};

struct sp_job {
    struct rpc rpc;
    struct sp_worker *worker;

    /* under smu */
    enum job_state state;
    struct h2_stream *stream; /* NULL: nobody waits for the answer any more */
    struct conn *conn;        /* as long as stream */
    struct link on_list;      /* incoming, ready or aside */
    struct link on_timed;
    uint32_t slot;        /* where it runs */
    uint32_t place;       /* ASIDE: where the page shows it, 0: nowhere */
    uint64_t raise_at_ms; /* the next on_cancel, 0: none */
    uint32_t raise_pause_ms;
    size_t pend_off;  /* pend[pend_off .. pend_n) is not published */
    struct list asks; /* its questions to the host that are open */
    uint8_t sampled;  /* telemetry streams that were told of its start */

    /* set before RUNNING, then constant */
    uint64_t deadline_ms; /* SP_UNLIMITED: none */
    uint32_t stream_id;
    int trusted;

    /* written under smu (the first) or by the owner, read by both */
    _Atomic int cancelled;   /* enum cancel_why */
    _Atomic int interrupted; /* the binding has acted on on_cancel */
    _Atomic size_t pend_n;   /* stored (release) by the owner after the bytes */

    /* the owner's: smu's holders before RUNNING, then the running thread */
    struct proto_request request; /* borrows from input */
    struct held held;             /* its large arguments */
    struct sp_kept *kept;         /* has all three, and then they are empty; or NULL */
    int answer_shared;            /* the answer is in shared memory: ... */
    uint32_t answer_slot;         /* ... there */
    sp_bytes args_json;
    const char *tool;
    const char *session;
    int turn;
    int is_aside;         /* as its thread last knew: ASIDE, or a turn since */
    _Atomic(void *) data; /* the binding's; on_cancel may read it on another thread */
    uint64_t started_us;  /* 0 when nobody wants to know */
    int is_traced;        /* the host wants to know when it began and ended */
    uint8_t *pend;        /* PEND_BYTES, from the first chunk on */
    uint64_t chunks;
    uint64_t publish_us; /* when it last published */
    uint64_t clock_us;   /* when it last read the clock ... */
    uint32_t unclocked;  /* ... and chunks since */
    int brisk;           /* chunks come fast: read the clock for every 8th */

    /* likewise; what is before them is nothing again when the job is used again */
    struct sp_buffer input;
    struct sp_buffer args; /* put together from the parameters of a stranger */
    struct proto_scratch scratch;
};

struct slot {
    _Alignas(64) _Atomic uint32_t seq; /* odd: away. Written under smu by its thread;
                                          only a hint without it */
    _Atomic uint32_t wake;             /* futex a parked thread sleeps on */
    /* under smu */
    struct sp_job *cur;
    int parked;
    int asking;            /* waits for the host's answer: runs no other job */
    int look;              /* something came for the one that asks */
    int active;            /* counted in sp_worker.active */
    struct link on_askers; /* while parked and asking */
    /* the slot's thread only */
    struct sp_buffer out;
    sp_error failure;      /* of the job in hand; kept, because zeroing one costs */
    pthread_t thread;      /* when there are several */
    uint64_t handed_us;    /* likewise: when its job was handed out, 0: it has none */
    struct pollfd *polled; /* POLLED_MAX */
    uint32_t index;
    uint32_t pops;
    int is_guest; /* of a thread without a slot that asks; not one of sp_worker.slots */
    /* the helper only */
    uint32_t seen;
    int late; /* it watches, and something had come already at the last look */
};

struct watcher { /* a Health/Watch stream */
    struct rpc rpc;
    struct h2_stream *stream;
    struct link on_watchers;
    int known; /* the service asked for is ours */
    int told;  /* the status it was last told */
};

/* How many of some events are told. */
struct wish_rate {
    struct proto_control of; /* its patterns name them */
    double rate;
    double credit; /* an event is told when the sum of rates reaches one */
};

/* What a listener wishes to hear. */
struct wish {
    struct proto_control filter;
    struct wish_rate others; /* what no pattern names */
    struct wish_rate rates[WISH_RATES_MAX];
    size_t rates_count;
};

/* What was asked of an event, by its name. */
struct telemetry_answer {
    char name[48]; /* longer ones are not kept */
    int stamp;     /* what it was asked at */
    int is_wanted;
};

struct telemetry_answers {
    pthread_mutex_t lock; /* before smu */
    struct telemetry_answer at[64];
};

/* What an event of a job says of it. */
enum { JOB_FACTS = 5 };
struct job_facts {
    const char *pairs[2 * JOB_FACTS]; /* key and value of each */
    size_t count;
    const char *correlation; /* or NULL */
    char trace_id[33];
    char span_id[17];
    char call[12];
};

struct telemetry {
    struct rpc rpc;
    struct h2_stream *stream;
    uint32_t index;
    int enabled;
    int wants_jobs; /* the filter lets through what jobs do */
    struct wish wish;
};

struct session {
    struct link on_sessions;
    char *id;
    char *metadata; /* a JSON object */
    uint64_t created_ns;
};

struct tool {
    char *name;
    size_t name_size;
};

/*
 * A question to the host: one stream of the host connection. On the stack of the thread
 * that waits for its answer, or in an sp_host_stream.
 */
struct ask { /* all under smu */
    struct sp_worker *worker;
    struct sp_job *job; /* whose it is, or NULL: start-up, or the job has ended */
    struct link on_job;
    struct h2_stream *stream; /* NULL: over, or given up */
    struct slot *waiter;      /* which thread waits for it, or NULL */
    struct sp_buffer inbox;   /* messages with their lengths before them */
    size_t inbox_off;         /* what has been taken */
    uint32_t answers;         /* that came */
    int held;         /* a stream of messages: the host sends what was granted */
    int awaits_begin; /* not a message is waited for, but that the host begins */
    int begun;        /* the host has */
    int over;         /* the status has come */
    sp_error failure; /* what it said; code 0: OK */
};

/* What is asked: borrowed while it is sent. */
struct question {
    const char *path; /* a constant */
    sp_bytes request;
    uint64_t timeout_ms; /* 0: as long as the job has */
    const char *pool;    /* where a tool is looked for; NULL or "": anywhere */
};

/* Where a thread waits that asks: its own slot, or a guest's. */
struct seat {
    struct sp_worker *worker;
    struct slot *slot;
    int idle; /* on_idle was called */
    struct slot guest;
    struct pollfd polled[POLLED_MAX]; /* the guest's */
};

enum helper_state { HELPER_AWAKE, HELPER_ASLEEP, HELPER_STOP };

/* The descriptor on which a thread with an event loop of its own waits. */
struct poller {
    int fd;       /* an epoll, -1: the thread waits in sp_worker_next() */
    int timer_fd; /* under smu, like the rest */
    uint64_t armed_ms;
    uint32_t stop, listen; /* what those two are watched for */
    _Atomic int watching;  /* it leads and waits there, as far as it says */
};

struct sp_worker {
    /* set by open, then constant (tools: until announced) */
    sp_worker_options options; /* its strings are not kept: see below */
    char *runtime;
    char *name;
    char *address;      /* what listen_fd is bound to, or NULL */
    char *unlink_path;  /* removed by close, or NULL */
    int is_open;        /* its descriptors are its own */
    uint64_t opened_us; /* when it was made */
    struct worker_page *page;
    int page_mapped;
    struct spin spin;      /* whoever leads */
    struct memory *memory; /* shared with the host for large values, or NULL */
    uint64_t serial;       /* tells workers at one address apart, for find_slot() */
    int stop_fd;
    int kick_fd;        /* wakes the slot that leads */
    int helper_kick_fd; /* wakes the helper when it leads */
    struct slot *slots; /* options.threads, and one more: the start-up before next() */
    void *slots_memory; /* theirs, before alignment */
    uint32_t slots_count;
    pthread_t helper;
    struct link on_workers;
    struct tool *tools;
    size_t tools_count;
    size_t tools_capacity;
    struct sp_buffer tools_message; /* what the announcement says of them */
    int accept_any;
    uint32_t capacity; /* announced; 0: options.threads */

    _Atomic int waiters; /* threads waiting for smu */
    _Atomic int active;  /* slots that are not idle; seq_cst with helper_state */
    _Atomic uint32_t helper_state;
    _Atomic int forgotten; /* this is a forked child */

    pthread_mutex_t smu;
    /* under smu */
    int leader; /* slot, LEADER_NONE or LEADER_HELPER */
    int listen_fd;
    int listen_hot;
    uint64_t listen_again_ms; /* no descriptor was left: not before, 0: now */
    struct conn *conns[CONNS_MAX + 2];
    size_t conns_count;
    uint8_t *read_buffer;
    struct list incoming;
    struct list ready;
    struct list aside; /* jobs ASIDE */
    struct list timed;
    uint64_t next_deadline_ms; /* no deadline is earlier; may be too early itself */
    uint64_t now_ms;           /* when the last bytes came */
    struct sp_job *spare[SPARE_MAX]; /* ended jobs to use again */
    size_t spare_count;
    uint32_t queued;     /* jobs QUEUED or INCOMING */
    uint32_t begun;      /* jobs RUNNING, PARKED, ASIDE or TURN */
    uint32_t parked;     /* slots that could run a job */
    uint32_t typical_us; /* what a job takes, with several threads */
    uint64_t since_us; /* with one: when it began the job it runs, or ended the last; 0:
                            not known */
    struct poller poller;
    struct apart apart;      /* from its host */
    struct list askers;      /* those and guests that ask */
    struct sp_buffer report; /* an event as it leaves; its memory is kept */
    int rested;              /* its thread has slept since it last took a job */
    uint32_t quick;          /* so many jobs in a row took QUICK_US at most */
    uint32_t flush_at;       /* so many answers are gathered before a write */
    uint32_t unflushed;
    size_t unflushed_bytes;
    int started_up; /* some thread has called sp_worker_next() */
    int announced;
    int serving;
    int stopping;
    int gone;             /* the host is */
    _Atomic int mourning; /* exit_at_ms is set: for the helper, without smu */
    uint64_t exit_at_ms;  /* when the undertaker strikes, 0: never */
    struct list watchers;
    struct telemetry *telemetry[TELEMETRY_MAX];
    _Atomic int telemetry_stamp; /* of what they want by now; 0: nothing at all */
    struct telemetry_answers answers;
    _Atomic int telemetry_jobs;      /* those that want to hear of jobs */
    _Atomic uint64_t events_dropped; /* that they did not read */
    struct list sessions;
    uint32_t slots_taken;
};

/* ---- loop.c: the lock, slots, waiting ---- */
void sp__runtime_lock(struct sp_worker *w);
void sp__runtime_unlock(struct sp_worker *w);
void sp__slot_back(struct sp_worker *w, struct slot *slot); /* unlocked -> locked */
void sp__slot_away(struct sp_worker *w, struct slot *slot); /* locked -> unlocked */
void sp__slot_start_up_away(struct sp_worker *w, struct slot *front);
/* Make the leader, if it sleeps in poll, look again. */
void sp__runtime_nudge(struct sp_worker *w);
/* Sleep as leader, or until the leader's place is free. 1: a signal came. */
int sp__slot_wait(struct sp_worker *w, struct slot *slot, uint64_t until_ms);
/* Whether it may read the sockets, and sleep in poll on them. */
int sp__slot_may_lead(const struct sp_worker *w, const struct slot *slot);
/* Let parked threads look again: one that could run a job, one that asks, or all. */
int sp__slots_wake_one(struct sp_worker *w);
void sp__asker_wake(struct sp_worker *w, struct slot *slot);
void sp__slots_wake_all(struct sp_worker *w);
/* The slot of the calling thread, or NULL when it never called sp_worker_next(). */
struct slot *sp__slot_mine(const struct sp_worker *w);

/* ---- poll.c: waiting in another event loop; under smu unless said ---- */
int sp__poll_open(struct sp_worker *w, sp_error *err) SP_MUST_CHECK;
void sp__poll_close(struct sp_worker *w);
/* The thread is about to wait: watch everything, and lead. */
void sp__poll_watch(struct sp_worker *w, struct slot *slot, uint64_t next_ms);
/* It is back: take note of what has come, and lead no more. */
void sp__poll_unwatch(struct sp_worker *w);
void sp__poll_forget(struct conn *c); /* its descriptors are about to be closed */
int sp__poll_has_input(const struct sp_worker *w); /* any thread, without smu */
void sp__poll_kick(struct sp_worker *w);

/* ---- conn.c: descriptors and h2; all under smu ---- */
/* Takes the descriptors when it succeeds. */
int sp__conn_add(struct sp_worker *w, enum conn_role role, const struct duplex_fds *fds,
                 sp_error *err) SP_MUST_CHECK;
struct conn *sp__conn_find(struct sp_worker *w, enum conn_role role);
void sp__conn_flush(struct conn *c);
/* An answer was given: look for input, if that is worth it. */
void sp__conn_guess(struct conn *c);
void sp__conns_flush(struct sp_worker *w);
/* Read what came, without waiting; 1 when something did. `slot` is who asks, NULL the
 * helper. */
int sp__conns_pump(struct sp_worker *w, struct slot *slot);
void sp__conns_linger(struct sp_worker *w);
void sp__conns_close(struct sp_worker *w);
/* How many answers one write carries, after something has been read. A host that has woken
 * its worker (it rested) has sent what it had, and sleeps itself by now: it gets the answers
 * to what is queued in parts, so that both have something to do at once. One whose calls
 * lie there already when the last are done is busy, and has the less to do the fewer parts
 * it gets. */
static inline uint32_t sp__answers_to_gather(int rested, uint32_t queued)
{
    uint32_t part = queued / FLUSH_PARTS;
    if (!rested || part > FLUSH_JOBS) {
        return FLUSH_JOBS;
    }
    return part > FLUSH_JOBS_MIN ? part : FLUSH_JOBS_MIN;
}

/* What to poll (at most POLLED_MAX; returns how many), and what poll said. */
nfds_t sp__conns_poll_fill(struct sp_worker *w, struct pollfd *polled, int kick_fd);
void sp__conns_poll_kick(const struct pollfd *polled); /* take the kick that woke it */
void sp__conns_poll_read(struct sp_worker *w, const struct pollfd *polled, nfds_t n);

/* ---- memory.c ---- */
/* Map what was inherited; *ret_memory NULL when that is not possible here.
 * SP_ERR_INVAL: it is not what it must be. */
int sp__memory_open(int fd, struct memory **ret_memory, sp_error *err) SP_MUST_CHECK;
void sp__memory_drop(struct memory *memory);
/* Shared arguments become binaries of the request, held. */
int sp__memory_hold(struct memory *memory, struct proto_request *request,
                    struct held *held, sp_error *err) SP_MUST_CHECK;
void sp__held_drop(struct held *held); /* any thread */
/* Copy a large value there. 0: it is small, or there is no place. */
int sp__memory_put(struct memory *memory, sp_bytes value, uint32_t stream,
                   struct arena_ref *ret);
/* Nobody will be told of it. */
void sp__memory_take_back(struct memory *memory, uint32_t slot);

/* ---- listen.c ---- */
int sp__listen_open(const char *where, int *ret_fd, char **ret_address, char **ret_path,
                    sp_error *err) SP_MUST_CHECK;
void sp__listen_accept(struct sp_worker *w);

/* ---- service.c: what peers may call; under smu, called by h2 ---- */
extern const struct h2_events sp__service_events;
void sp__service_stop(struct sp_worker *w); /* no new calls from now on */
void sp__service_end(struct sp_worker *w);  /* and no streams that only tell */

/* ---- health.c, telemetry.c, session.c: under smu ---- */
int sp__health_status(const struct sp_worker *w);
void sp__health_check(struct conn *c, struct h2_stream *stream, const uint8_t *data,
                      size_t size);
struct watcher *sp__health_watcher_new(struct h2_stream *stream);
void sp__health_watch(struct conn *c, struct watcher *watcher, const uint8_t *data,
                      size_t size);
void sp__health_watcher_free(struct watcher *watcher);
void sp__health_changed(struct sp_worker *w);

struct telemetry *sp__telemetry_new(struct sp_worker *w, struct h2_stream *stream);
void sp__telemetry_control(struct sp_worker *w, struct telemetry *t,
                           const uint8_t *data, size_t size);
void sp__telemetry_free(struct sp_worker *w, struct telemetry *t);
/* Tell an event; 1 when somebody gets it. span as sp_emission's. */
int sp__telemetry_emit(struct sp_worker *w, const struct proto_telemetry *event,
                       uint32_t *span);
void sp__telemetry_start(struct sp_job *job);
/* Its texts are the job's, or in `ret`. */
void sp__telemetry_describe(const struct sp_job *job, struct job_facts *ret);
void sp__telemetry_stop(struct sp_job *job, size_t bytes, int failed);

/* telemetry_wish.c */
void sp__wish_init(struct wish *wish);
void sp__wish_fini(struct wish *wish);
void sp__wish_take(struct wish *wish, struct proto_control *control); /* owns it now */
int sp__wish_allows(const struct wish *wish, const char *event);
/* Whether its rate picks this one; counts it. */
int sp__wish_samples(struct wish *wish, const char *event);

void sp__session_call(struct conn *c, struct h2_stream *stream, enum rpc_method method,
                      const uint8_t *data, size_t size);
void sp__sessions_free(struct sp_worker *w);

/* ---- queue.c: jobs until they run; under smu ---- */
struct sp_job *sp__job_new(struct conn *c, struct h2_stream *stream,
                           enum rpc_method method, uint64_t timeout_ms);
int sp__job_message(struct sp_job *job, const uint8_t *data, size_t size);
void sp__job_free(struct sp_job *job);
/* The next job to run, already RUNNING on `slot`, or NULL. */
struct sp_job *sp__job_pop(struct sp_worker *w, struct slot *slot);
void sp__job_push_turn(struct sp_job *job);
/* Whether sp__job_pop() has something to give. */
int sp__job_waits(const struct sp_worker *w);
/* The end of a session, in the line behind the jobs that wait: a job that is none, of
 * method RPC_SESSION_CLEANUP, with the session's id as its input. */
int sp__job_push_session_end(struct sp_worker *w, const char *session,
                             sp_error *err) SP_MUST_CHECK;
/* The job's thread is done with it for now: it is no slot's any more. */
void sp__job_leave(struct sp_job *job);
/* Tell the host what a call took that is about to be answered. */
void sp__job_tell_time(const struct sp_job *job);
/* The same of a job that its thread will end later. */
void sp__job_put_aside(struct sp_job *job);
void sp__jobs_free(struct sp_worker *w);

/* ---- cancel.c: why a job ends early; under smu ---- */
void sp__job_detach(struct sp_job *job);
void sp__job_stream_ended(struct sp_job *job, enum cancel_why why);
void sp__job_revoked(struct sp_job *job);
/* Do what is due; returns when to look again (ms, monotonic), SP_UNLIMITED: never. */
uint64_t sp__runtime_timers(struct sp_worker *w);
/* The call connection is at its end. */
void sp__runtime_host_gone(struct sp_worker *w, struct slot *slot);

/* ---- request.c: the request of a RUNNING job, outside smu ---- */
/* Read it and find its tool. SP_ERR_NO_TOOL, BAD_JSON, BAD_ARGS ... */
int sp__job_prepare(struct sp_job *job, sp_error *err) SP_MUST_CHECK;

/* ---- job.c, chunk.c: answers ---- */
/* End a stream of any job with a failure's status; under smu. */
void sp__job_put_status(struct sp_job *job, int grpc_status, const sp_error *failure);
/* End the stream of a job, of which more than a status is said when it is traced; under
 * smu. */
int sp__job_finish(struct sp_job *job, int grpc_status, const char *message,
                   sp_bytes details, sp_error *err) SP_MUST_CHECK;
/* A job of the calling thread that failed before user code began. */
void sp__job_refuse(struct sp_job *job, const sp_error *failure);
/* The job is over: forget it and write as the policy has it. Under smu. */
void sp__job_end(struct sp_job *job, size_t bytes, int failed);
void sp__job_answered(struct sp_worker *w, struct conn *c, size_t bytes);
/* End a stream, after one more chunk unless last is NULL; its thread. */
int sp__chunk_finish(struct sp_job *job, const sp_bytes *last, sp_bytes binary,
                     sp_error *err);
/* Move published-but-unsent chunks of running jobs to h2. 1 when there were any. */
int sp__job_publish(struct sp_job *job);
int sp__jobs_publish(struct sp_worker *w);
/* The same by the job's own thread, which empties the area. */
void sp__job_publish_own(struct sp_job *job);

/* ---- tools.c ---- */
const struct tool *sp__tool_find(const struct sp_worker *w, const char *name,
                                 size_t size);
int sp__tool_unknown(const struct sp_worker *w, const char *name, sp_error *err);
void sp__tools_free(struct sp_worker *w);

/* ---- ask.c: questions to the host ---- */
extern const struct h2_events sp__host_events;
/* Where the calling thread waits: locks, and unlocks again. */
void sp__seat_take(struct seat *seat, struct sp_worker *w);
void sp__seat_leave(struct seat *seat);
/* Under smu. A question that was opened is closed, however it ended. */
void sp__ask_init(struct ask *ask, struct sp_worker *w, struct sp_job *job);
int sp__ask_open(struct ask *ask, const struct question *question,
                 sp_error *err) SP_MUST_CHECK;
void sp__ask_close(struct ask *ask);
/* Until the status has come, or a message of a held one: ask->failure is not looked at.
 * Otherwise why the wait ended. Gives up smu meanwhile. */
int sp__ask_await(struct ask *ask, struct seat *seat, uint64_t until_ms,
                  sp_error *err) SP_MUST_CHECK;
/* The next message of a held one, borrowed until smu is given up: 1, or 0. */
int sp__ask_take(struct ask *ask, sp_bytes *ret_message);
/* The job was cancelled: let those who wait look. It is over: its questions are too. */
void sp__asks_wake(struct sp_job *job);
void sp__asks_orphan(struct sp_job *job);

/* Outside smu. When a time from now is over; SP_UNLIMITED stays that. */
uint64_t sp__until_ms(uint64_t timeout_ms);
/* Whether the job may ask. */
int sp__ask_check(const struct sp_job *job, sp_error *err) SP_MUST_CHECK;
/* Ask and wait for the one answer, which is appended to `reply`. */
int sp__ask(struct sp_job *job, const struct question *question,
            struct sp_buffer *reply, sp_error *err) SP_MUST_CHECK;

/* ---- host_call.c, host_stream.c ---- */
int sp__host_call_encode(struct sp_buffer *out, const struct sp_job *job,
                         const char *tool, sp_bytes args_json,
                         const sp_host_call_options *o, sp_error *err) SP_MUST_CHECK;
/* A stream of any messages, and the next of them: as sp_host_stream_next(). Whether it
 * goes on after SP_ERR_TIMEOUT: only the wait was over. */
int sp__host_stream_open(struct sp_job *job, const struct question *question,
                         sp_host_stream **ret, sp_error *err) SP_MUST_CHECK;
int sp__host_stream_take(sp_host_stream *stream, uint64_t timeout_ms,
                         sp_bytes *ret_message, sp_error *err) SP_MUST_CHECK;
/* Until the host has begun to answer, or the stream is over. */
int sp__host_stream_await_begin(sp_host_stream *stream, sp_error *err) SP_MUST_CHECK;
int sp__host_stream_goes_on(sp_host_stream *stream);

/* ---- job_programs.c: what the files about state share ---- */
/* Who carries the questions of wire/stubs.h for a job. */
struct caller sp__job_caller(sp_job *job);
/* Options of any size, which may be NULL, as `ret`. INVAL. */
int sp__job_options(void *ret, size_t ret_size, const void *given,
                    sp_error *err) SP_MUST_CHECK;

/* ---- helper.c ---- */
int sp__helper_start(struct sp_worker *w, sp_error *err) SP_MUST_CHECK;
void sp__helper_stop(struct sp_worker *w);
void sp__helper_wake(struct sp_worker *w);
/* 1: a signal came. */
int sp__futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_us);
void sp__futex_wake(_Atomic uint32_t *word);

/* ---- stacks.c ---- */
/* Its descriptor is about to be closed: no signal touches it any more. */
void sp__stacks_end(const struct sp_worker *w);

/* ---- fork.c ---- */
void sp__fork_register(struct sp_worker *w);
void sp__fork_unregister(struct sp_worker *w);

#endif
