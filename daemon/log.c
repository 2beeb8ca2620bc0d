/* SPDX-License-Identifier: MIT */
/*
 * The daemon's log: the library's, opened once the configuration is known, for what the
 * daemon has to say itself and for what its pit tells.
 *
 * A mistake in the configuration is told before that, by a log with the defaults. Nothing
 * fails: a line that nobody takes is lost, the daemon does not stop for its log.
 */
#include <stdio.h>

#include "daemon.h"

static sp_log *the_log;

int log_open(const sp_log_options *options, sp_error *err)
{
    sp_log *log = NULL;
    sp_log_options named = *options;
    named.name = "snakepitd";
    int rc = sp_log_open(&named, &log, err);
    if (rc == 0) {
        log_close();
        the_log = log;
    }
    return rc;
}

void log_close(void)
{
    sp_log_close(the_log);
    the_log = NULL;
}

sp_log *log_of_daemon(void)
{
    return the_log;
}

static void write_record(const sp_log_record *record)
{
    sp_log *early = NULL;
    if (the_log == NULL) {
        (void)sp_log_open(NULL, &early, NULL); /* without memory there is no line */
    }
    sp_log_write(the_log != NULL ? the_log : early, record);
    sp_log_close(early);
}

void log_line(int level, const char *event, const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    sp_log_record record = {
        .size = sizeof record, .level = level, .event = event, .message = message};
    write_record(&record);
}

void log_error(const char *event, const sp_error *err)
{
    sp_log_field fields[2] = {{"hint", sp_error_hint(err->code)}};
    sp_log_record record = {
        .size = sizeof record,
        .level = SP_LOG_ERROR,
        .event = event,
        .message = err->message,
        .code = sp_error_name(err->code),
        .fields = fields,
        .fields_count = 1,
    };
    if (err->worker_stderr != NULL && err->worker_stderr[0] != '\0') {
        fields[1] = (sp_log_field){"stderr", err->worker_stderr};
        record.fields_count = 2;
    }
    write_record(&record);
}
