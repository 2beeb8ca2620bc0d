/* SPDX-License-Identifier: MIT */
/*
 * Steps of the loop: take a call, answer it.
 *
 * sp__r_next() waits for a call, which is the one that every other step means until one
 * ends it; sp__r_call() gives what R needs of it as a list. A stream that must wait is
 * parked under a number of the loop's, and comes back by it.
 */
#include <string.h>
#include <unistd.h>

#include "bridge.h"

/* ---- arguments ---- */

struct call_parts {
    sp_job *job;
    uint64_t spoken; /* bits of the first 64 parts that the arguments spoke of */
};

static int find_part(void *user, const char *part, sp_bytes *ret)
{
    struct call_parts *parts = user;
    const char *name;
    for (size_t i = 0; sp_job_binary(parts->job, i, &name, ret); i++) {
        if (strcmp(name, part) == 0) {
            parts->spoken |= i < 64 ? (uint64_t)1 << i : 0;
            return 1;
        }
    }
    return 0;
}

/* Raw binaries that the arguments do not speak of join them by name. */
static SEXP with_binaries(const struct call_parts *parts, SEXP args)
{
    const char *name;
    sp_bytes value;
    R_xlen_t more = 0;
    for (size_t i = 0; sp_job_binary(parts->job, i, &name, &value); i++) {
        more += (i < 64 && (parts->spoken >> i & 1)) ? 0 : 1;
    }
    SEXP names = Rf_getAttrib(args, R_NamesSymbol);
    if (more == 0 || TYPEOF(args) != VECSXP || names == R_NilValue) {
        return args;
    }
    R_xlen_t at = XLENGTH(args);
    SEXP all = PROTECT(Rf_xlengthgets(args, at + more));
    SEXP all_names = PROTECT(Rf_xlengthgets(names, at + more));
    for (size_t i = 0; sp_job_binary(parts->job, i, &name, &value); i++) {
        if (i < 64 && (parts->spoken >> i & 1)) {
            continue;
        }
        SEXP raw = Rf_allocVector(RAWSXP, (R_xlen_t)value.size);
        SET_VECTOR_ELT(all, at, raw);
        if (value.size > 0) {
            memcpy(RAW(raw), value.data, value.size);
        }
        SET_STRING_ELT(all_names, at++, Rf_mkCharCE(name, CE_UTF8));
    }
    Rf_setAttrib(all, R_NamesSymbol, all_names);
    UNPROTECT(2);
    return all;
}

/* ---- taking a call ---- */

/* Of a call, its arguments may be large, and R may have no memory for them: sp__r_call()
 * reads them where an error is the call's. NULL: there is none any more. Otherwise the
 * number of a stream whose turn it is, or 0. */
SEXP sp__r_next(void)
{
    sp_error err = {0};
    sp_job *job = NULL;
    int rc;
    sp__r_bridge.job = NULL;
    do {
        sp_error_clear(&err);
        if (sp__r_bridge.forgotten) {
            _exit(0); /* a fork's child came back: it has nothing to do */
        }
        rc = sp__r_bridge.worker != NULL
                 ? sp_worker_next(sp__r_bridge.worker, &job, &err)
                 : 0;
        sp__r_stacks_look();
    } while (rc == SP_ERR_STOPPED_BY_CALLBACK);
    if (rc < 0) {
        sp__r_raise(&err);
    }
    if (rc == 0) {
        return R_NilValue;
    }
    sp__r_bridge.job = job;
    sp__r_interruptible(job);
    return Rf_ScalarReal(sp_job_is_turn(job) ? (double)(uintptr_t)sp_job_data(job) : 0);
}

enum { CALL_TOOL, CALL_ARGS, CALL_STREAM, CALL_CODE, CALL_WHY };

/* What the call that has begun is: list(tool, args, stream, code, why); with a code its
 * arguments cannot be read. */
SEXP sp__r_call(void)
{
    static const char *const fields[] = {"tool", "args", "stream", "code", "why", ""};
    sp_job *job = sp__r_bridge.job;
    if (job == NULL) {
        Rf_error("no call is running");
    }
    struct call_parts parts = {.job = job};
    const struct part_source source = {.find = find_part, .user = &parts};
    sp_bytes text = sp_job_args(job);
    sp_error err = {0};
    SEXP call = PROTECT(Rf_mkNamed(VECSXP, (const char **)(uintptr_t)fields));
    SET_VECTOR_ELT(call, CALL_TOOL,
                   Rf_ScalarString(Rf_mkCharCE(sp_job_tool(job), CE_UTF8)));
    SET_VECTOR_ELT(call, CALL_STREAM, Rf_ScalarLogical(sp_job_is_stream(job)));
    SEXP args = sp__r_decode(&source, text.size > 0 ? text : (sp_bytes){"{}", 2}, &err);
    if (args == NULL) {
        SET_VECTOR_ELT(call, CALL_CODE, Rf_ScalarInteger(err.code));
        SET_VECTOR_ELT(call, CALL_WHY, Rf_mkString(err.message));
        sp_error_clear(&err);
    } else {
        PROTECT(args);
        SET_VECTOR_ELT(call, CALL_ARGS, with_binaries(&parts, args));
        UNPROTECT(1);
    }
    UNPROTECT(1);
    return call;
}

/* ---- ending it ---- */

static sp_job *leave(void)
{
    sp_job *job = sp__r_bridge.job;
    sp__r_interruptible(NULL);
    if (sp__r_bridge.forgotten) {
        _exit(0);
    }
    if (job == NULL) {
        Rf_error("no call is running");
    }
    sp__r_streams_end();
    sp__r_bridge.job = NULL;
    return job;
}

/* Encoding may raise: the call is still to be ended then. */
SEXP sp__r_reply(SEXP value)
{
    struct encoder *encoder = &sp__r_bridge.encoder;
    if (TYPEOF(value) == RAWSXP && !Rf_isObject(value)) {
        sp_bytes raw = {RAW(value), (size_t)XLENGTH(value)};
        (void)sp_job_reply(leave(), (sp_bytes){"null", 4}, NULL, raw, NULL);
        return R_NilValue;
    }
    sp__r_encode(encoder, value, NULL);
    (void)sp_job_reply(leave(), (sp_bytes){encoder->out.data, encoder->out.size}, NULL,
                       (sp_bytes){encoder->blob.data, encoder->blob.size}, NULL);
    return R_NilValue;
}

/* A number, or what the loop calls it. */
static int code_of(SEXP code)
{
    static const struct {
        const char *name;
        int code;
    } names[] = {{"no tool", SP_ERR_NO_TOOL},
                 {"bad arguments", SP_ERR_BAD_ARGS},
                 {"no memory", SP_ERR_NOMEM},
                 {"cancelled", SP_ERR_CANCELLED}};
    if (TYPEOF(code) != STRSXP) {
        return Rf_asInteger(code);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(sp__r_text(code), names[i].name) == 0) {
            return names[i].code;
        }
    }
    return SP_ERR_REMOTE;
}

/* details: a list, or NULL */
SEXP sp__r_fail(SEXP code, SEXP type, SEXP message, SEXP trace, SEXP details)
{
    struct encoder *encoder = &sp__r_bridge.encoder;
    sp_failure failure = {.size = sizeof failure};
    if (details != R_NilValue) {
        sp__r_encode(encoder, details, NULL);
        failure.details = (sp_bytes){encoder->out.data, encoder->out.size};
    }
    failure.code = code_of(code);
    failure.type = sp__r_text_or_null(type);
    failure.message = sp__r_text_or_null(message);
    failure.trace = sp__r_text_or_null(trace);
    (void)sp_job_fail_with(leave(), &failure, NULL);
    return R_NilValue;
}

/* 1: go on, 0: park it, -1: nobody listens; other errors are raised. */
SEXP sp__r_chunk(SEXP value)
{
    struct encoder *encoder = &sp__r_bridge.encoder;
    sp_job *job = sp__r_bridge.job;
    sp_bytes json, binary = {0};
    if (sp__r_bridge.forgotten) {
        _exit(0);
    }
    if (job == NULL) {
        Rf_error("no call is running");
    }
    if (TYPEOF(value) == RAWSXP && !Rf_isObject(value)) {
        json = (sp_bytes){RAW(value), (size_t)XLENGTH(value)};
    } else {
        sp__r_encode(encoder, value, NULL);
        json = (sp_bytes){encoder->out.data, encoder->out.size};
        binary = (sp_bytes){encoder->blob.data, encoder->blob.size};
    }
    sp_error err = {0};
    int rc = sp_job_chunk_binary(job, json, binary, &err);
    if (rc < 0 && rc != SP_ERR_CANCELLED) {
        sp__r_raise(&err);
    }
    sp_error_clear(&err);
    return Rf_ScalarInteger(rc < 0 ? -1 : rc);
}

SEXP sp__r_park(SEXP id)
{
    if (sp__r_bridge.job != NULL) {
        sp_job_set_data(sp__r_bridge.job, (void *)(uintptr_t)Rf_asReal(id));
    }
    sp__r_interruptible(NULL);
    sp__r_bridge.job = NULL;
    return R_NilValue;
}

SEXP sp__r_end(void)
{
    (void)sp_job_end(leave(), NULL);
    return R_NilValue;
}

/* list(session, seconds left or NULL, cancelled, metadata) of the call that runs. */
SEXP sp__r_facts(void)
{
    sp_job *job = sp__r_bridge.job;
    SEXP facts = PROTECT(Rf_allocVector(VECSXP, 4));
    if (job != NULL) {
        const char *session = sp_job_session(job);
        uint64_t left_ms = sp_job_time_left_ms(job);
        if (session[0] != '\0') {
            SET_VECTOR_ELT(facts, 0, Rf_ScalarString(Rf_mkCharCE(session, CE_UTF8)));
        }
        if (left_ms != SP_UNLIMITED) {
            SET_VECTOR_ELT(facts, 1, Rf_ScalarReal((double)left_ms / 1000.0));
        }
        SET_VECTOR_ELT(facts, 2, Rf_ScalarLogical(sp_job_cancelled(job)));
        R_xlen_t count = 0;
        const char *key, *value;
        while (sp_job_metadata(job, (size_t)count, &key, &value)) {
            count++;
        }
        SEXP metadata = PROTECT(Rf_allocVector(VECSXP, count));
        SEXP names = PROTECT(Rf_allocVector(STRSXP, count));
        for (R_xlen_t i = 0; i < count; i++) {
            (void)sp_job_metadata(job, (size_t)i, &key, &value);
            SET_VECTOR_ELT(metadata, i, Rf_ScalarString(Rf_mkCharCE(value, CE_UTF8)));
            SET_STRING_ELT(names, i, Rf_mkCharCE(key, CE_UTF8));
        }
        Rf_setAttrib(metadata, R_NamesSymbol, names);
        SET_VECTOR_ELT(facts, 3, metadata);
        UNPROTECT(2);
    }
    UNPROTECT(1);
    return facts;
}
