/* SPDX-License-Identifier: MIT */
/*
 * A scene: one pit of evil workers, the ledgers of its run, and what the process looked
 * like before, so that it can be compared afterwards.
 */
#ifndef CHAOS_SCENE_H
#define CHAOS_SCENE_H

#include "ledger.h"
#include "snakepit/snakepit.h"

/* How much of everything; from the command line. */
struct amounts {
    uint64_t seed;
    uint64_t calls;
    uint64_t streams;
    uint64_t chunks; /* of each stream */
    uint64_t chunk_bytes;
    uint64_t idempotent; /* per cent of calls and streams */
    uint64_t work_us;    /* of a call, and of a chunk a hundredth */
    uint64_t clients;
    uint64_t workers;
    uint64_t kills;
    uint64_t hangs;
    uint64_t guards; /* kills of the guard */
    uint64_t recycles;
    uint64_t cancels; /* per cent of calls and streams that are cancelled */
    uint64_t rounds;
    uint64_t bytes;
    uint64_t seconds;
    uint64_t health_ms;
    uint64_t pause_us; /* of a client between two calls */
    uint64_t evils;    /* calls that do something else too */
    const char *folder;
};

struct scene {
    const struct amounts *amounts;
    struct ledger host;
    struct ledger client;
    sp_pit *pit;
    uint64_t ids_max;
    char evil[512];
    char ids_text[24];
    char cgroup[512]; /* where memory is short, "" when the machine has none to give */
};

/* The pool every phase begins with: patient, and not to be discouraged by deaths. */
sp_pool_options scene_pool(struct scene *scene);

/* Ledgers, folders, the environment; a pit is opened and closed once, so that what
 * libraries open for good is open. Ends the process when it cannot. */
void scene_open(struct scene *scene, const struct amounts *amounts, uint64_t ids_max);
void scene_close(struct scene *scene);

/* Open the pit and wait until it is ready; note what there is. */
void scene_pit_open(struct scene *scene, const sp_pool_options *pool);
/* Wait for quiet, note what has grown. */
void scene_heal(struct scene *scene);
/* Close it and note what is left. */
void scene_pit_close(struct scene *scene);
/* The same within a limit, by sp_pit_shutdown(). Returns the microseconds it took. */
uint64_t scene_pit_shutdown(struct scene *scene, uint64_t timeout_ms);
/* Descriptors, processes, bytes and resident memory at the moment, to print. */
void scene_print_sample(const struct scene *scene);

/* Run the callbacks that are due within that time: the events are noted. */
void scene_dispatch(struct scene *scene, uint64_t ms);

sp_pool_stats scene_stats(const struct scene *scene);

/* "KIND CODE" may happen in this run, or an event of this name. */
void scene_expect_answer(const struct scene *scene, const char *kind, int code);
void scene_expect_event(const struct scene *scene, int kind);

/* How many processes the kernel ended in scene->cgroup because memory ran out. */
unsigned long scene_oom_kills(const struct scene *scene);

/* Bytes of the library in use. */
int64_t scene_bytes(void);

/* End the process with a message. */
void scene_fail(const char *what, const sp_error *err) __attribute__((noreturn));

#endif
