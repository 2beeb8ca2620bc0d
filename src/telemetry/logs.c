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

/* Stops in front of a full report; the record is not lost, as the cursor is moved behind
 * the last one that was taken, and this one is. */
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
static int read_wish(json_t *options, struct wish *wish, sp_error *err)
{
    const char *level = NULL;
    uint64_t worker = 0;
    int given;
    *wish =
        (struct wish){.most = LINES_DEFAULT, .filter = {.size = sizeof wish->filter}};
    int rc = sp__report_take_number(options, "cursor", INT64_MAX, &wish->cursor, &given,
                                    err);
    if (rc == SP_OK) {
        rc = sp__report_take_number(options, "max", LINES_MOST, &wish->most, &given,
                                    err);
    }
    if (rc == SP_OK) {
        rc = sp__report_take_number(options, "worker", UINT32_MAX, &worker,
                                    &wish->filter.has_worker, err);
        wish->filter.worker = (uint32_t)worker;
    }
    if (rc == SP_OK) {
        rc = sp__report_take_text(options, "pool", &wish->filter.pool, err);
    }
    if (rc == SP_OK) {
        rc = sp__report_take_text(options, "event", &wish->filter.event, err);
    }
    if (rc == SP_OK) {
        rc = sp__report_take_text(options, "level", &level, err);
    }
    if (rc == SP_OK && level != NULL) {
        wish->filter.level = sp_log_level(level);
        if (wish->filter.level == 0) {
            rc = sp__fail(err, SP_ERR_INVAL,
                          "\"level\" is error, warn, info or debug, not %.32s", level);
        }
    }
    return rc;
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
    json_t *options = sp__report_options(question);
    if (options == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the options of a report");
    }
    int rc = read_wish(options, &wish, err);
    if (rc == SP_OK) {
        rc = answer(question, &wish, out, err);
    }
    json_decref(options);
    return rc;
}
