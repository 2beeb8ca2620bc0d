/* SPDX-License-Identifier: MIT */
/*
 * What the machine can compute with: processors, memory, and devices beside them, and the
 * choice of one.
 *
 * Both libraries have these functions, so a program and its workers see the same. What is
 * found comes from /proc, /sys and, for what those do not say, from the vendors' own tools
 * (nvidia-smi, rocm-smi), which are run when they are on PATH and their driver is loaded.
 * They take up to a second, so what was found is remembered.
 */
#ifndef SNAKEPIT_HARDWARE_H
#define SNAKEPIT_HARDWARE_H

#include "base.h"
#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    SP_DEVICE_CPU = 1,
    SP_DEVICE_CUDA = 2, /* NVIDIA */
    SP_DEVICE_ROCM = 3, /* AMD */
    SP_DEVICE_MPS = 4   /* Apple's Metal */
};

/* A figure that nobody could tell. */
#define SP_HARDWARE_UNKNOWN (-1.0)

typedef struct sp_device {
    int kind;            /* SP_DEVICE_ */
    uint32_t index;      /* among those of its kind that this process may use */
    char text[16];       /* "cuda:1"; "cpu" and "mps" have no number */
    char name[96];       /* "NVIDIA A100-SXM4-40GB" */
    char id[64];         /* the vendor's, such as a UUID; "" when there is none */
    char capability[16]; /* CUDA: "8.0"; ROCm: "gfx90a"; else "" */
    uint64_t memory_total_bytes; /* 0: unknown, as for the next */
    uint64_t memory_free_bytes;
    double busy_percent; /* SP_HARDWARE_UNKNOWN as those that follow */
    double memory_busy_percent;
    double celsius;
    double watts;
    double watts_limit;
} sp_device;

typedef struct sp_hardware_options {
    size_t size;
    int refresh;      /* look again, whatever is remembered */
    const char *root; /* where /proc, /sys and /opt are, for tests; NULL: "". Nothing is
                         remembered of another root */
    const char *path; /* where the vendors' tools are searched; NULL: $PATH */
    uint64_t timeout_ms; /* for each of them, default 5 000 */
} sp_hardware_options;

/* `json` is borrowed until it returns. */
typedef void (*sp_hardware_cb)(sp_bytes json, void *user_data);

/*
 * What there is, as a JSON object: `version` 1, `cpu` (model, vendor, sockets, cores,
 * threads, usable, features), `memory` (total_bytes, available_bytes, limit_bytes: the
 * control group's, or null), `cpu_limit` (processors' worth of time, or null), `numa` (a
 * list of nodes), `devices` (those above, the best first, the processor last), `drivers`
 * (cuda, rocm: versions, or null), `notes` (what could not be found out, and why) and
 * `capabilities` (a flag for each kind of device and each feature of processors).
 *
 * options  NULL for defaults
 *
 * Errors: SP_ERR_INVAL, SP_ERR_NOMEM. What is not there, or not readable, is no error but
 * missing. Thread: any; blocks while tools run. Since: 0.1
 */
SP_API int sp_hardware_json(const sp_hardware_options *options, sp_hardware_cb cb,
                            void *user_data, sp_error *err);

/*
 * Choose a device.
 *
 * wanted  "auto" (CUDA, then MPS, then ROCm, then the processor), "cpu", "cuda", "cuda:1",
 *         "rocm:0", "mps", or several with commas: the first that is there
 *
 * Errors: SP_ERR_INVAL (what is no device, with the word), SP_ERR_NOT_FOUND (none of them
 * is there; the message says why of each), SP_ERR_NOMEM. Thread: as above. Since: 0.1
 */
SP_API int sp_hardware_select(const char *wanted, const sp_hardware_options *options,
                              sp_device *ret_device, sp_error *err);

#ifdef __cplusplus
}
#endif
#endif
