/* SPDX-License-Identifier: MIT */
/* What was found of the machine, and those who look for it. */
#ifndef SP_HARDWARE_HARDWARE_H
#define SP_HARDWARE_HARDWARE_H

#include "snakepit/hardware.h"

enum {
    DEVICES_MAX = 64, /* of all kinds together */
    NODES_MAX = 64,
    NOTES_BYTES = 1024,
    FEATURES_BYTES = 256
};

struct node { /* of memory near some processors */
    uint32_t number;
    char cpus[128]; /* "0-7,16-23" */
    uint64_t memory_bytes;
};

struct hardware {
    char model[128];
    char vendor[64];
    char architecture[32];
    uint32_t sockets;
    uint32_t cores;
    uint32_t threads;
    uint32_t usable;               /* by this process */
    char features[FEATURES_BYTES]; /* "avx avx2 sse4_2" */
    uint64_t memory_total_bytes;
    uint64_t memory_available_bytes;
    uint64_t memory_limit_bytes; /* 0: none */
    double cpu_limit;            /* 0: none */
    struct node nodes[NODES_MAX];
    size_t nodes_count;
    sp_device devices[DEVICES_MAX]; /* the best first, the processor last */
    size_t devices_count;
    char cuda_driver[32];
    char rocm_version[32];
    char notes[NOTES_BYTES]; /* lines */
};

/* Where to look. */
struct search {
    const char *root; /* "" or a folder */
    const char *path; /* of the vendors' tools */
    uint64_t timeout_ms;
};

/* A copy of what there is, from sp__malloc(); as sp_hardware_json(), with its errors. */
int sp__hardware_look(const sp_hardware_options *options,
                      struct hardware **ret_hardware, sp_error *err) SP_MUST_CHECK;
/* What sp_hardware_select() does with it. */
int sp__hardware_choose(const struct hardware *hardware, const char *wanted,
                        sp_device *ret_device, sp_error *err) SP_MUST_CHECK;
/* 1 when it is remembered. */
int sp__hardware_is_known(void);

/* Each finds its part and adds its devices. Nothing fails: what is not there stays zero,
 * what could not be found out is a note. */
void sp__hardware_find_cpu(const struct search *search, struct hardware *hardware);
void sp__hardware_find_limits(const struct search *search, struct hardware *hardware);
void sp__hardware_find_cuda(const struct search *search, struct hardware *hardware);
void sp__hardware_find_mps(const struct search *search, struct hardware *hardware);
void sp__hardware_find_rocm(const struct search *search, struct hardware *hardware);

/* A device whose figures are unknown, named and numbered within its kind; NULL when there
 * are too many. */
sp_device *sp__hardware_add(struct hardware *hardware, int kind);
/* What a program sees of the devices from `first` on, which are all of one kind: those that
 * an environment variable names, in its order and up to the first that there is none of, by
 * numbers or, `by_id`, the beginnings of ids. Without the variable all. `kind`: for the
 * note about it. */
void sp__hardware_hide(struct hardware *hardware, size_t first, const char *variable,
                       const char *kind, int by_id);
/* "cuda" */
const char *sp__hardware_kind(int kind);
void sp__hardware_note(struct hardware *hardware, const char *format, ...)
    SP_PRINTF(2, 3);

/* ---- reading (files.c) ---- */

/* The text of a file under the root, cut at max - 1, without blanks at its end. 0, or -1
 * when it is not there; `text` is "" then. */
int sp__hardware_read(const struct search *search, const char *path, char *text,
                      size_t max);
/* The value of the line "key : value" or "key value" in it; 0, or -1. */
int sp__hardware_value(const char *text, const char *key, char *value, size_t max);
/* 1 when it is among words with blanks between. */
int sp__hardware_has_word(const char *words, const char *word);
int sp__hardware_exists(const struct search *search, const char *path);

/* ---- running (program.c) ---- */

/* What a program on the search's path prints, cut at max - 1. 0; -1 with a note when it
 * is there and does not say anything of use; 1 when there is none. */
int sp__hardware_run(const struct search *search, const char *const *argv, char *text,
                     size_t max, struct hardware *hardware);

/* ---- lines of comma-separated values ---- */

/* Cut the next line out of *at, which is moved behind it; NULL at the end. */
char *sp__hardware_line(char **at);
/* Cut the next field out of *at, which is moved behind it; NULL at the end. */
char *sp__hardware_field(char **at);

#endif
