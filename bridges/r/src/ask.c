/* SPDX-License-Identifier: MIT */
/*
 * A call asks its host: tools of its program and of other workers, and their streams.
 *
 * The one thread waits in the library, which does the I/O meanwhile. An interrupt that is
 * due ends the wait and is raised. What the host refuses is raised as a condition of class
 * snakepit_host_error, made by the package's function raise_host().
 */
#include <string.h>

#include "bridge.h"

#define PART "arrays" /* the binary that has the bytes of a question's arguments */

enum { STREAMS_MAX = 64 };
static sp_host_stream *streams[STREAMS_MAX];

sp_job *sp__r_asking(void)
{
    if (sp__r_bridge.job == NULL || sp__r_bridge.forgotten) {
        Rf_error("no call is running: its host is not asked");
    }
    return sp__r_bridge.job;
}

static SEXP text_of(const char *text)
{
    return text != NULL ? Rf_ScalarString(Rf_mkCharCE(text, CE_UTF8)) : R_NilValue;
}

/* What else is known of an exception, as a list. */
static SEXP details_of(const sp_error *err)
{
    SEXP found = NULL;
    if (err->remote_details != NULL) {
        found = sp__r_decode(NULL, sp_text(err->remote_details), NULL);
    }
    return found != NULL ? found : R_NilValue;
}

static void raise_host(sp_error *err)
{
    const char *message = err->code == SP_ERR_REMOTE && err->remote_message != NULL
                              ? err->remote_message
                          : err->message[0] != '\0' ? err->message
                                                    : sp_strerror(err->code);
    SEXP code = PROTECT(text_of(sp_error_name(err->code)));
    SEXP told = PROTECT(text_of(message));
    SEXP type = PROTECT(text_of(err->remote_type));
    SEXP trace = PROTECT(text_of(err->remote_trace));
    SEXP details = PROTECT(details_of(err));
    sp_error_clear(err);
    SEXP call =
        PROTECT(Rf_lang6(Rf_install("raise_host"), code, told, type, trace, details));
    (void)Rf_eval(call, sp__r_namespace);
    UNPROTECT(6); /* not reached */
}

void sp__r_asked(sp_job *job, int rc, sp_error *err)
{
    if (rc >= 0) {
        return;
    }
    if (rc == SP_ERR_STOPPED_BY_CALLBACK || sp_job_cancelled(job)) {
        SEXP call = PROTECT(Rf_lang1(Rf_install("raise_interrupt")));
        sp_error_clear(err);
        (void)Rf_eval(call, sp__r_namespace);
        UNPROTECT(1);
    }
    raise_host(err);
}

/* ---- values ---- */

static int find_only(void *user, const char *part, sp_bytes *ret)
{
    const sp_bytes *only = user;
    *ret = *only;
    return part[0] == '\0';
}

static SEXP decoded(sp_bytes json, sp_bytes binary)
{
    const struct part_source source = {.find = find_only, .user = &binary};
    sp_error err = {0};
    if (json.size == 0) {
        return R_NilValue;
    }
    SEXP value = sp__r_decode(binary.size > 0 ? &source : NULL, json, &err);
    if (value == NULL) {
        sp__r_raise(&err);
    }
    return value;
}

SEXP sp__r_from_text(const char *json, size_t size)
{
    return decoded((sp_bytes){json, size}, (sp_bytes){0});
}

/* What the library lends or gives, in R's memory: then nothing is lost by a jump. */
static sp_bytes kept(sp_bytes bytes)
{
    if (bytes.size == 0) {
        return (sp_bytes){0};
    }
    char *copy = R_alloc(bytes.size, 1);
    memcpy(copy, bytes.data, bytes.size);
    return (sp_bytes){copy, bytes.size};
}

/* A result of bytes beside null is given as raw. */
static SEXP answer(sp_bytes json, sp_bytes binary)
{
    if (binary.size > 0 &&
        (json.size == 0 || (json.size == 4 && memcmp(json.data, "null", 4) == 0))) {
        SEXP raw = Rf_allocVector(RAWSXP, (R_xlen_t)binary.size);
        memcpy(RAW(raw), binary.data, binary.size);
        return raw;
    }
    return decoded(json, binary);
}

/* A stream's chunk: what is no JSON is raw. */
static SEXP chunk_of(sp_bytes json, sp_bytes binary)
{
    if (binary.size > 0) {
        return answer(json, binary);
    }
    sp_error err = {0};
    SEXP value = sp__r_decode(NULL, json, &err);
    if (value == NULL) {
        sp_error_clear(&err);
        value = Rf_allocVector(RAWSXP, (R_xlen_t)json.size);
        if (json.size > 0) {
            memcpy(RAW(value), json.data, json.size);
        }
    }
    return value;
}

/* ---- tools ---- */

struct question {
    const char *tool;
    sp_bytes json;
    sp_binary binary;
    sp_host_call_options options;
};

static void read_question(struct question *q, SEXP tool, SEXP args, SEXP pool,
                          SEXP timeout_ms)
{
    struct encoder *encoder = &sp__r_bridge.encoder;
    double timeout = Rf_asReal(timeout_ms);
    q->tool = sp__r_text(tool);
    sp__r_encode(encoder, args, PART);
    q->json = (sp_bytes){encoder->out.data, encoder->out.size};
    q->binary =
        (sp_binary){.name = PART, .value = {encoder->blob.data, encoder->blob.size}};
    q->options =
        (sp_host_call_options){.size = sizeof q->options,
                               .pool = sp__r_text_or_null(pool),
                               .timeout_ms = timeout > 0 ? (uint64_t)timeout : 0,
                               .binaries = &q->binary,
                               .binaries_count = encoder->blob.size > 0};
}

SEXP sp__r_call_tool(SEXP tool, SEXP args, SEXP pool, SEXP timeout_ms)
{
    struct question q;
    sp_job *job = sp__r_asking();
    read_question(&q, tool, args, pool, timeout_ms);
    sp_host_result result = {0};
    sp_error err = {0};
    int rc = sp_job_call_host(job, q.tool, q.json, &q.options, &result, &err);
    sp__r_asked(job, rc, &err);
    const void *memory = vmaxget();
    sp_bytes json = kept(result.json);
    sp_bytes binary = kept(result.binary);
    sp_host_result_clear(&result);
    SEXP value = answer(json, binary);
    vmaxset(memory);
    return value;
}

/* ---- what the host offers ---- */

struct tool_names {
    SEXP names;
    R_xlen_t used;
};

static void count_tool(const sp_job_host_tool *tool, void *user_data)
{
    struct tool_names *found = user_data;
    if (found->used < XLENGTH(found->names)) {
        SET_STRING_ELT(found->names, found->used++, Rf_mkCharCE(tool->name, CE_UTF8));
    }
}

/* Their names. */
SEXP sp__r_host_tools(void)
{
    enum { NAMES_MAX = 4096 };
    sp_job *job = sp__r_asking();
    struct tool_names found = {.names = PROTECT(Rf_allocVector(STRSXP, NAMES_MAX))};
    sp_error err = {0};
    int rc = sp_job_host_tools(job, count_tool, &found, &err);
    sp__r_asked(job, rc, &err);
    SEXP names = Rf_xlengthgets(found.names, found.used);
    UNPROTECT(1);
    return names;
}

/* ---- streams ---- */

void sp__r_streams_end(void)
{
    for (int i = 0; i < STREAMS_MAX; i++) {
        sp_host_stream_close(streams[i]);
        streams[i] = NULL;
    }
}

SEXP sp__r_stream_open(SEXP tool, SEXP args, SEXP pool, SEXP timeout_ms)
{
    struct question q;
    sp_job *job = sp__r_asking();
    int at = 0;
    while (at < STREAMS_MAX && streams[at] != NULL) {
        at++;
    }
    if (at == STREAMS_MAX) {
        Rf_error("a call may have %d streams open", (int)STREAMS_MAX);
    }
    read_question(&q, tool, args, pool, timeout_ms);
    sp_error err = {0};
    int rc =
        sp_job_host_stream_open(job, q.tool, q.json, &q.options, &streams[at], &err);
    sp__r_asked(job, rc, &err);
    return Rf_ScalarInteger(at);
}

static int index_of(SEXP stream)
{
    int at = Rf_asInteger(stream);
    if (at < 0 || at >= STREAMS_MAX) {
        Rf_error("no stream %d", at);
    }
    return at;
}

/* list(item), or NULL at the end. */
SEXP sp__r_stream_next(SEXP stream)
{
    int at = index_of(stream);
    sp_job *job = sp__r_asking();
    if (streams[at] == NULL) {
        return R_NilValue;
    }
    sp_bytes chunk, binary = {0};
    sp_error err = {0};
    int rc = sp_host_stream_next(streams[at], SP_UNLIMITED, &chunk, &binary, &err);
    sp__r_asked(job, rc, &err);
    if (rc == 0) {
        return R_NilValue;
    }
    SEXP item = PROTECT(Rf_allocVector(VECSXP, 1));
    SET_VECTOR_ELT(item, 0, chunk_of(chunk, binary));
    UNPROTECT(1);
    return item;
}

SEXP sp__r_stream_close(SEXP stream)
{
    int at = index_of(stream);
    sp_host_stream_close(streams[at]);
    streams[at] = NULL;
    return R_NilValue;
}
