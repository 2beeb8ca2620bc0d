/* SPDX-License-Identifier: MIT */
/*
 * The report "logs": what the log that the pit was given has kept, oldest first, and a
 * cursor for who asks again. A report has a limit, and the cursor ends with it.
 */
#include <string.h>

#include "base/error.h"
#include "pit/pit.h"
#include "snakepit/log.h"
#include "telemetry/json_report.h"

enum { LINES_DEFAULT = 1000, LINES_MOST = 100000, BYTES_MOST = 4 * 1024 * 1024 };

struct collected {
    struct sp_buffer lines;
    size_t count;
    size_t most;
    int rc;
};

/* Stops behind the record with which the report is full, where the cursor is too. */
static int collect(sp_bytes json, void *user_data)
{
    struct collected *collected = user_data;
    collected->rc =
        collected->count > 0 ? sp__buf_append(&collected->lines, ",", 1, NULL) : SP_OK;
    if (collected->rc == SP_OK) {
        collected->rc = sp__buf_append(&collected->lines, json.data, json.size, NULL);
    }
    collected->count++;
    return collected->rc < 0 || collected->count >= collected->most ||
           collected->lines.size > BYTES_MOST;
}

struct wish {
    uint64_t cursor;
    uint64_t most;
    sp_log_filter filter;
};

/* Texts stay the options'. */
static int read_wish(const struct report_question *question, struct wish *wish,
                     sp_error *err)
{
    struct report_wishes wishes = sp__report_wishes(question, err);
    const char *level = NULL;
    uint64_t worker = 0;
    *wish =
        (struct wish){.most = LINES_DEFAULT, .filter = {.size = sizeof wish->filter}};
    (void)sp__report_wish_number(&wishes, "cursor", 0, INT64_MAX, &wish->cursor);
    (void)sp__report_wish_number(&wishes, "max", 0, LINES_MOST, &wish->most);
    wish->filter.has_worker =
        sp__report_wish_number(&wishes, "worker", 0, UINT32_MAX, &worker);
    wish->filter.worker = (uint32_t)worker;
    (void)sp__report_wish_text(&wishes, "pool", &wish->filter.pool);
    (void)sp__report_wish_text(&wishes, "event", &wish->filter.event);
    if (sp__report_wish_text(&wishes, "level", &level)) {
        wish->filter.level = sp_log_level(level);
        if (wish->filter.level == 0) {
            wishes.rc =
                sp__fail(err, SP_ERR_INVAL,
                         "level is error, warn, info or debug, not \"%.32s\"", level);
        }
    }
    return wishes.rc;
}

static int answer(const struct report_question *question, struct wish *wish,
                  struct sp_buffer *out, sp_error *err)
{
    struct collected collected = {.most = wish->most > 0 ? wish->most : 1};
    uint64_t lost = 0;
    sp__buf_init(&collected.lines, SIZE_MAX / 2);
    (void)sp_log_read(question->pit->log, &wish->cursor, &wish->filter, collect,
                      &collected, &lost, NULL); /* everything it needs is there */
    int rc = collected.rc;
    if (rc == SP_OK) {
        rc = sp__buf_printf(out, NULL,
                            "{\"version\":1,\"cursor\":%llu,\"lost\":%llu,\"lines\":[",
                            (unsigned long long)wish->cursor, (unsigned long long)lost);
    }
    if (rc == SP_OK && collected.lines.size > 0) {
        rc = sp__buf_append(out, collected.lines.data, collected.lines.size, NULL);
    }
    if (rc == SP_OK) {
        rc = sp__buf_append(out, "]}", 2, NULL);
    }
    sp__buf_fini(&collected.lines);
    return rc == SP_OK ? SP_OK : sp__fail(err, rc, "no memory for a report");
}

int sp__report_logs(const struct report_question *question, struct sp_buffer *out,
                    sp_error *err)
{
    struct wish wish;
    if (question->pit->log == NULL) {
        return sp__fail(err, SP_ERR_UNSUPPORTED,
                        "this pit has no log: it was given none (sp_pit_options.log)");
    }
    int rc = read_wish(question, &wish, err);
    return rc < 0 ? rc : answer(question, &wish, out, err);
}
