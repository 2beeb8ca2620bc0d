/* SPDX-License-Identifier: MIT */
/* Records of one session and what is read back of them, as text. */
#ifndef TEST_UNIT_STORE_ROWS_H
#define TEST_UNIT_STORE_ROWS_H

#include "store/store.h"

/* Commit these; fails the test when that fails. */
void rows_commit(struct store *store, const struct record *records, size_t count);

struct record rows_session(uint64_t key, const char *id);
struct record rows_variable(uint64_t session, uint64_t number, const char *name);
struct record rows_version(uint64_t session, uint64_t number, uint64_t version,
                           const char *value);

/* Everything in the store in short words, "session 1 a; variable 1.1 x; ..."; borrowed
 * until the next call. Before the start. */
const char *rows_read(struct store *store);

#endif
