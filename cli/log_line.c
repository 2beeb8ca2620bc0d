/* SPDX-License-Identifier: MIT */
/* A line of a daemon's log, as it comes in the report "logs", for people. */
#include <string.h>

#include "fields.h"

static int is_head(const char *key)
{
    static const char *const heads[] = {"ts", "level", "msg", "pool", "worker"};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        if (strcmp(heads[i], key) == 0) {
            return 1;
        }
    }
    return 0;
}

void log_line_put(struct text *text, const json_t *line)
{
    const char *pool = field_words(line, "pool");
    const char *key;
    json_t *value;
    if (json_object_get(line, "worker") != NULL) {
        text_printf(text, "%s/%lld ", pool, field_number(line, "worker"));
    } else if (pool[0] != '\0') {
        text_printf(text, "%s ", pool);
    }
    text_printf(text, "%s", field_words(line, "msg"));
    json_object_foreach ((json_t *)(uintptr_t)line, key, value) {
        if (!is_head(key)) {
            field_put(text, key, value);
        }
    }
}
