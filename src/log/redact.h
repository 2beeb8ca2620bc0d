/* SPDX-License-Identifier: MIT */
/* Secrets are taken out of text before it is written anywhere. */
#ifndef SP_LOG_REDACT_H
#define SP_LOG_REDACT_H

#include <regex.h>
#include <stddef.h>

#include "snakepit/error.h"

enum { REDACT_PATTERNS_MAX = 32 };

/* Expressions of the configuration. */
struct redact {
    regex_t patterns[REDACT_PATTERNS_MAX];
    size_t count;
};

/* `patterns`: POSIX extended, NULL-terminated, or NULL. SP_ERR_CONFIG with the one that is
 * none. */
int sp__redact_init(struct redact *redact, const char *const *patterns,
                    sp_error *err) SP_MUST_CHECK;
void sp__redact_fini(struct redact *redact);

/* Copy `text` without its secrets, at most max - 1 bytes and a NUL; "[redacted]" stands
 * where one was. Returns the length. */
size_t sp__redact(const struct redact *redact, const char *text, char *out, size_t max);

/* What stands under such a name is a secret: "db_password", "X-Api-Key". */
int sp__redact_is_secret(const char *name, size_t size);

#endif
