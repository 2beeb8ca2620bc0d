/* SPDX-License-Identifier: MIT */
/* A record as it is written: its facts in their order, without secrets. */
#ifndef SP_LOG_FACTS_H
#define SP_LOG_FACTS_H

#include "log/line.h"
#include "log/redact.h"
#include "snakepit/log.h"

enum {
    FIELDS_MAX = 16,
    FACTS_MAX = 14 + FIELDS_MAX,
    NAME_BYTES = 64,        /* of a field; more is cut */
    VALUE_BYTES = 8 * 1024, /* of one value; more is cut */
    FACTS_BYTES = 32 * 1024 /* of all values together */
};

struct fact {
    const char *name;
    const char *text; /* NULL: it is a number */
    uint64_t number;
};

struct facts {
    uint64_t time_unix_ms;
    int level;
    size_t count;
    struct fact list[FACTS_MAX];
    size_t used; /* of: */
    char bytes[FACTS_BYTES];
};

void sp__facts_take(struct facts *facts, const sp_log_record *record,
                    const struct redact *redact);

/* The line in one of the forms, with its newline. `is_stamped`: whoever takes it knows
 * the time and wants the level as "<6>" in front. */
void sp__facts_logfmt(const struct facts *facts, int is_stamped, struct line *line);
void sp__facts_text(const struct facts *facts, int is_stamped, struct line *line);
void sp__facts_json(const struct facts *facts, struct line *line);

/* A datagram for the journal. Returns 0, or -1 when it is too large. */
int sp__facts_journal(const struct facts *facts, const char *name, struct line *line);

#endif
