/* SPDX-License-Identifier: MIT */
/* What the files of `snakepit doctor` share. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "cli.h"

enum level { LEVEL_OK, LEVEL_WARN, LEVEL_FAIL };

struct doctor {
    struct cli *cli;
    json_t *checks; /* with -o json, else NULL */
    int worst;
};

/* One line: what was looked at, what was found, and what to do, which may be "". */
void note(struct doctor *doctor, enum level level, const char *what, const char *hint,
          const char *format, ...) SP_PRINTF(5, 6);

/* ---- doctor_language.c ---- */

/* The interpreter of a pool, by itself; 0 when there is none that will do. */
int doctor_interpreter(struct doctor *doctor, const sp_pool_options *pool);

/* What a Python adapter's imports have brought along. */
void doctor_imports(struct doctor *doctor, const sp_pool_options *pool);

/* A line for each language that the pool is not of: whether there could be one. */
void doctor_other_languages(struct doctor *doctor, const sp_pool_options *pool);

#endif
