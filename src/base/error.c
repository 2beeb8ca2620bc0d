/* SPDX-License-Identifier: MIT */
/*
 * Errors: the table's strings, and making, wrapping, copying and clearing sp_error.
 *
 * Everything here accepts err == NULL, so that callers that do not care need no branch.
 */
#include "base/error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/grpc_status.h"
#include "base/mem.h"

struct row {
    int code;
    const char *symbol; /* "QUEUE_FULL" */
    int category;
    int retryable;
    int grpc_status;
    const char *text;
    const char *hint;
};

static const struct row rows[] = {
#define X(name, number, category, retryable, grpc, text, hint) \
    {number, #name, SP_CATEGORY_##category, retryable, grpc, text, hint},
    SP_ERROR_TABLE(X)
#undef X
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static const struct row *find(int code)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].code == code) {
            return &rows[i];
        }
    }
    return NULL;
}

SP_PRINTF(2, 0)
static void set_message(sp_error *err, const char *format, va_list args)
{
    (void)vsnprintf(err->message, sizeof err->message, format, args);
    /* One line: a message may quote text that a worker sent. */
    for (char *c = err->message; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ') {
            *c = ' ';
        }
    }
}

SP_PRINTF(4, 0)
static int fill(sp_error *err, int code, int os_errno, const char *format, va_list args)
{
    if (err != NULL) {
        sp_error_clear(err);
        err->code = code;
        err->os_errno = os_errno;
        err->grpc_status = sp_error_grpc_status(code);
        err->worker_exit = -1;
        set_message(err, format, args);
    }
    return code;
}

int sp__fail(sp_error *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, code, 0, format, args);
    va_end(args);
    return code;
}

SP_API int sp_error_set(sp_error *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, code, 0, format, args);
    va_end(args);
    return code;
}

int sp__fail_errno(sp_error *err, int os_errno, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, SP_ERR_SYSTEM, os_errno, format, args);
    va_end(args);
    if (err != NULL) {
        size_t used = strlen(err->message);
        (void)snprintf(err->message + used, sizeof err->message - used, ": %s",
                       strerrordesc_np(os_errno) != NULL ? strerrordesc_np(os_errno)
                                                         : "unknown errno");
    }
    return SP_ERR_SYSTEM;
}

int sp__wrap(sp_error *err, int code, const char *format, ...)
{
    if (err == NULL) {
        return code;
    }
    char inner[SP_ERROR_MESSAGE_MAX];
    memcpy(inner, err->message, sizeof inner);

    va_list args;
    va_start(args, format);
    set_message(err, format, args);
    va_end(args);
    size_t used = strlen(err->message);
    (void)snprintf(err->message + used, sizeof err->message - used, ": %s", inner);
    return err->code;
}

void sp__error_copy(sp_error *to, const sp_error *from)
{
    sp_error_clear(to);
    *to = *from;
    to->remote_type = sp__strdup(from->remote_type);
    to->remote_message = sp__strdup(from->remote_message);
    to->remote_trace = sp__strdup(from->remote_trace);
    to->remote_details = sp__strdup(from->remote_details);
    to->worker_stderr = sp__strdup(from->worker_stderr);
    to->worker_stack = sp__strdup(from->worker_stack);
}

/* Most have none: a call that goes well has several errors, all of them empty. */
static int has_texts(const sp_error *err)
{
    return err->remote_type != NULL || err->remote_message != NULL ||
           err->remote_trace != NULL || err->remote_details != NULL ||
           err->worker_stderr != NULL || err->worker_stack != NULL;
}

SP_API void sp_error_clear(sp_error *err)
{
    if (err == NULL) {
        return;
    }
    if (has_texts(err)) {
        sp__free(err->remote_type);
        sp__free(err->remote_message);
        sp__free(err->remote_trace);
        sp__free(err->remote_details);
        sp__free(err->worker_stderr);
        sp__free(err->worker_stack);
    }
    sp__error_init(err);
}

SP_API void sp_error_move(sp_error *to, sp_error *from)
{
    if (to != NULL) {
        sp_error_clear(to);
        *to = *from;
        *from = (sp_error){0};
    } else {
        sp_error_clear(from);
    }
}

SP_API const char *sp_strerror(int code)
{
    const struct row *row = find(code);
    return row != NULL ? row->text : code == SP_OK ? "no error" : "unknown error";
}

/* The stable names, spelt once from the symbols. X-macros cannot turn '_' into '-', so
 * the constructor does. */
static char names[ROWS][32];

__attribute__((constructor)) static void spell_names(void)
{
    for (size_t i = 0; i < ROWS; i++) {
        (void)snprintf(names[i], sizeof names[i], "SP-%s", rows[i].symbol);
        for (char *c = names[i]; *c != '\0'; c++) {
            if (*c == '_') {
                *c = '-';
            }
        }
    }
}

SP_API const char *sp_error_name(int code)
{
    const struct row *row = find(code);
    return row != NULL ? names[row - rows] : code == SP_OK ? "SP-OK" : "SP-UNKNOWN";
}

SP_API int sp_error_by_name(const char *name)
{
    for (size_t i = 0; name != NULL && i < ROWS; i++) {
        if (strcmp(names[i], name) == 0) {
            return rows[i].code;
        }
    }
    return 0;
}

SP_API const char *sp_error_hint(int code)
{
    const struct row *row = find(code);
    return row != NULL ? row->hint : "";
}

SP_API int sp_error_category(int code)
{
    const struct row *row = find(code);
    return row != NULL ? row->category : SP_CATEGORY_NONE;
}

SP_API const char *sp_category_name(int category)
{
    static const char *const words[] = {
#define X(name, word, meaning) [SP_CATEGORY_##name] = word,
        SP_CATEGORY_TABLE(X)
#undef X
    };
    return category > 0 && (size_t)category < sizeof words / sizeof words[0]
               ? words[category]
               : words[SP_CATEGORY_NONE];
}

SP_API int sp_error_is_retryable(int code)
{
    const struct row *row = find(code);
    return row != NULL && row->retryable;
}

SP_API int sp_error_grpc_status(int code)
{
    const struct row *row = find(code);
    return row != NULL ? row->grpc_status : code == SP_OK ? GRPC_OK : GRPC_UNKNOWN;
}

SP_API int sp_error_status(const sp_error *err)
{
    if (err == NULL || err->code == SP_OK) {
        return 0;
    }
    int status = sp_error_grpc_status(err->code);
    if (status == GRPC_UNAVAILABLE && err->executed != SP_EXECUTED_NO) {
        return GRPC_ABORTED;
    }
    if (err->code == SP_ERR_WORKER_DIED && err->executed == SP_EXECUTED_NO) {
        return GRPC_UNAVAILABLE;
    }
    return status;
}

SP_API int64_t sp_error_pushback_ms(const sp_error *err)
{
    if (err == NULL || err->code == SP_OK) {
        return -1;
    }
    /* A server that closes has nothing more to offer, but another one may. */
    int has_hope = sp_error_is_retryable(err->code) ||
                   sp_error_grpc_status(err->code) == GRPC_UNAVAILABLE;
    if (err->code == SP_ERR_CONFLICT) {
        has_hope = 0; /* the same change, made on what is there now, is another one */
    }
    if (!err->retryable && (err->executed != SP_EXECUTED_NO || !has_hope)) {
        return -1;
    }
    return err->retry_after_ms < INT32_MAX ? (int64_t)err->retry_after_ms : INT32_MAX;
}

SP_API int sp_error_at(size_t index)
{
    return index < ROWS ? rows[index].code : 0;
}

SP_API const char *sp_version(void)
{
    return SP_VERSION_STRING;
}

SP_API sp_bytes sp_text(const char *text)
{
    return (sp_bytes){.data = text, .size = text == NULL ? 0 : strlen(text)};
}
