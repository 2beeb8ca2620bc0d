/* SPDX-License-Identifier: MIT */
/* Cells of a table made of a report's members; one that is missing is "" or 0. */
#ifndef SNAKEPIT_CLI_FIELDS_H
#define SNAKEPIT_CLI_FIELDS_H

#include "cli.h"

void number_cell(struct table *table, const json_t *object, const char *key);
void words_cell(struct table *table, const json_t *object, const char *key);
void duration_cell(struct table *table, const json_t *object, const char *key);

/* "12.5MiB"; "-" for 0: nobody has looked. */
const char *format_bytes(uint64_t bytes, char *text, size_t max);

#endif
