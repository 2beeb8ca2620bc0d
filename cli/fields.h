/* SPDX-License-Identifier: MIT */
/* Members of an object, read and made cells; one that is missing is "" or 0. */
#ifndef SNAKEPIT_CLI_FIELDS_H
#define SNAKEPIT_CLI_FIELDS_H

#include "cli.h"

const char *field_words(const json_t *object, const char *key);
long long field_number(const json_t *object, const char *key);
double field_real(const json_t *object, const char *key);

void number_cell(struct table *table, const json_t *object, const char *key);
void words_cell(struct table *table, const json_t *object, const char *key);
void duration_cell(struct table *table, const json_t *object, const char *key);

/* " key=value": a word as it is, anything else as JSON. */
void field_put(struct text *text, const char *key, const json_t *value);

/* "12.5MiB"; "-" for 0: nobody has looked. */
const char *format_bytes(uint64_t bytes, char *text, size_t max);

/* What a line of a log tells, but for its time and level: "api/7 it died pid=4121". */
void log_line_put(struct text *text, const json_t *line);

#endif
