/* SPDX-License-Identifier: MIT */
/* What the files of `snakepit doctor` share. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "cli.h"

enum level { LEVEL_OK, LEVEL_WARN, LEVEL_FAIL };

enum { FIX_MAX = 512 };

struct doctor {
    struct cli *cli;
    json_t *checks; /* with -o json, else NULL */
    int worst;
    const char *pool;  /* its name */
    char python[4096]; /* the pool's, once it is known to run */
};

/* One line: what was looked at, what was found, and what mends it: a command to type, or a
 * key to set; "" where nothing is amiss. */
void note(struct doctor *doctor, enum level level, const char *what, const char *hint,
          const char *format, ...) SP_PRINTF(5, 6);

/* ---- doctor_machine.c ---- */

void doctor_kernel(struct doctor *doctor);
void doctor_limits(struct doctor *doctor, unsigned workers);
/* Those of a daemon of this configuration. */
void doctor_folders(struct doctor *doctor, const sp_pit_options *options);

/* ---- doctor_fix.c ---- */

/* What mends a failure with these facts; never "". */
void doctor_fix(const struct doctor *doctor, const char *what, const sp_error *err,
                const char *facts, char fix[FIX_MAX]);

/* ---- doctor_language.c ---- */

/* The interpreter of a pool, by itself; 0 when there is none that will do. */
int doctor_interpreter(struct doctor *doctor, const sp_pool_options *pool);

/* What a Python adapter's imports have brought along. */
void doctor_imports(struct doctor *doctor, const sp_pool_options *pool);

/* A line for each language that the pool is not of: whether there could be one. */
void doctor_other_languages(struct doctor *doctor, const sp_pool_options *pool);

#endif
