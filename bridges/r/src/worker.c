/* SPDX-License-Identifier: MIT */
/*
 * The worker's life as steps for R: open, add tools, announce, close; or refuse. They
 * raise R's error with the library's message.
 */
#include <R_ext/Rdynload.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "bridge.h"

struct bridge sp__r_bridge;
SEXP sp__r_namespace;

const char *sp__r_text(SEXP value)
{
    if (TYPEOF(value) != STRSXP || XLENGTH(value) != 1 ||
        STRING_ELT(value, 0) == NA_STRING) {
        Rf_error("one text is needed, not %s of length %d",
                 Rf_type2char((SEXPTYPE)TYPEOF(value)), Rf_length(value));
    }
    return Rf_translateCharUTF8(STRING_ELT(value, 0));
}

const char *sp__r_text_or_null(SEXP value)
{
    return value == R_NilValue ? NULL : sp__r_text(value);
}

void sp__r_raise(sp_error *err)
{
    char message[SP_ERROR_MESSAGE_MAX];
    const char *text = err->message[0] != '\0' ? err->message : sp_strerror(err->code);
    (void)snprintf(message, sizeof message, "%s", text);
    sp_error_clear(err);
    Rf_error("%s", message);
}

static sp_worker *opened(void)
{
    if (sp__r_bridge.worker == NULL) {
        Rf_error("the worker is closed");
    }
    return sp__r_bridge.worker;
}

/* R code of the package is told; what it raises is told on stderr, by R. */
static void on_session_end(void *user_data, const char *session)
{
    (void)user_data;
    int failed;
    SEXP text = PROTECT(Rf_mkString(session));
    SEXP call = PROTECT(Rf_lang2(Rf_install("tell_session_end"), text));
    (void)R_tryEval(call, sp__r_namespace, &failed);
    UNPROTECT(2);
}

SEXP sp__r_open(SEXP runtime, SEXP listen, SEXP cancel_signal, SEXP stack_signal)
{
    if (sp__r_bridge.worker != NULL) {
        Rf_error("this process has an open worker already");
    }
    sp_worker_options options = {
        .size = sizeof options,
        .runtime = sp__r_text(runtime),
        .listen = sp__r_text_or_null(listen),
        .on_cancel = sp__r_on_cancel,
        .on_signal = sp__r_on_signal,
        .on_session_end = on_session_end,
    };
    sp_error err = {0};
    if (sp_worker_open(&options, &sp__r_bridge.worker, &err) < 0) {
        sp__r_raise(&err);
    }
    sp__r_encoder_init(&sp__r_bridge.encoder);
    sp__r_interrupt_start(Rf_asInteger(cancel_signal));
    sp__r_stacks_start(Rf_asInteger(stack_signal));
    return R_NilValue;
}

/* params: a list of list(name, type, description, default as JSON), NULL for none. */
SEXP sp__r_add_tool(SEXP name, SEXP description, SEXP streaming, SEXP params,
                    SEXP idempotent)
{
    sp_worker *worker = opened();
    R_xlen_t count = XLENGTH(params);
    sp_tool_param *list = (sp_tool_param *)R_alloc((size_t)count + 1, sizeof *list);
    for (R_xlen_t i = 0; i < count; i++) {
        SEXP param = VECTOR_ELT(params, i);
        list[i] = (sp_tool_param){
            .name = sp__r_text(VECTOR_ELT(param, 0)),
            .type = sp__r_text_or_null(VECTOR_ELT(param, 1)),
            .description = sp__r_text_or_null(VECTOR_ELT(param, 2)),
            .default_json = sp__r_text_or_null(VECTOR_ELT(param, 3)),
        };
    }
    sp_tool tool = {
        .size = sizeof tool,
        .name = sp__r_text(name),
        .description = sp__r_text_or_null(description),
        .streaming = Rf_asLogical(streaming) == 1,
        .params = list,
        .params_count = (size_t)count,
        .idempotent = Rf_asLogical(idempotent) == 1,
    };
    sp_error err = {0};
    if (sp_worker_add_tool(worker, &tool, &err) < 0) {
        sp__r_raise(&err);
    }
    return R_NilValue;
}

SEXP sp__r_announce(void)
{
    sp_worker *worker = opened();
    sp_error err = {0};
    int rc;
    sp_worker_catch_signals(worker);
    do {
        sp_error_clear(&err);
        rc = sp_worker_announce(worker, &err);
    } while (rc == SP_ERR_STOPPED_BY_CALLBACK);
    if (rc == SP_ERR_CLOSED && sp_worker_was_signalled(worker)) {
        sp_error_clear(&err); /* the loop finds the same and ends at once */
        rc = 0;
    }
    if (rc < 0) {
        sp__r_raise(&err);
    }
    const char *address = sp_worker_address(worker);
    return address != NULL ? Rf_mkString(address) : R_NilValue;
}

SEXP sp__r_refuse(SEXP permanent, SEXP type, SEXP message, SEXP trace)
{
    sp_worker_refuse(opened(), Rf_asLogical(permanent) == 1, sp__r_text(type),
                     sp__r_text(message), sp__r_text_or_null(trace));
    return R_NilValue;
}

SEXP sp__r_close(void)
{
    sp_worker *worker = sp__r_bridge.worker;
    sp__r_bridge.worker = NULL;
    if (worker != NULL && !sp__r_bridge.forgotten) {
        sp_worker_close(worker);
    }
    return R_NilValue;
}

/* ---- the codec alone ---- */

static int find_only(void *user, const char *part, sp_bytes *ret)
{
    const sp_bytes *only = user;
    *ret = *only;
    return part[0] == '\0';
}

static SEXP codec_encode(SEXP value)
{
    struct encoder *encoder = &sp__r_bridge.encoder;
    if (encoder->out.max == 0) {
        sp__r_encoder_init(encoder);
    }
    sp__r_encode(encoder, value, NULL);
    SEXP pair = PROTECT(Rf_allocVector(VECSXP, 2));
    SEXP json = PROTECT(Rf_mkCharLenCE((const char *)encoder->out.data,
                                       (int)encoder->out.size, CE_UTF8));
    SET_VECTOR_ELT(pair, 0, Rf_ScalarString(json));
    SEXP bytes = PROTECT(Rf_allocVector(RAWSXP, (R_xlen_t)encoder->blob.size));
    if (encoder->blob.size > 0) {
        memcpy(RAW(bytes), encoder->blob.data, encoder->blob.size);
    }
    SET_VECTOR_ELT(pair, 1, bytes);
    UNPROTECT(3);
    return pair;
}

static SEXP codec_decode(SEXP json, SEXP bytes)
{
    const char *text = sp__r_text(json);
    sp_bytes binary = {RAW(bytes), (size_t)XLENGTH(bytes)};
    const struct part_source source = {.find = find_only, .user = &binary};
    sp_error err = {0};
    SEXP value = sp__r_decode(&source, (sp_bytes){text, strlen(text)}, &err);
    if (value == NULL) {
        sp__r_raise(&err);
    }
    return value;
}

static SEXP set_namespace(SEXP environment)
{
    sp__r_namespace = environment; /* lives as long as the package */
    R_PreserveObject(environment);
    return R_NilValue;
}

/* ---- registration ---- */

#define ENTRY(name, function, count)                   \
    {                                                  \
        name, (DL_FUNC)(void (*)(void))function, count \
    }

static const R_CallMethodDef entries[] = {
    ENTRY("C_open", sp__r_open, 4),
    ENTRY("C_add_tool", sp__r_add_tool, 5),
    ENTRY("C_announce", sp__r_announce, 0),
    ENTRY("C_refuse", sp__r_refuse, 4),
    ENTRY("C_close", sp__r_close, 0),
    ENTRY("C_next", sp__r_next, 0),
    ENTRY("C_call", sp__r_call, 0),
    ENTRY("C_reply", sp__r_reply, 1),
    ENTRY("C_fail", sp__r_fail, 5),
    ENTRY("C_chunk", sp__r_chunk, 1),
    ENTRY("C_park", sp__r_park, 1),
    ENTRY("C_end", sp__r_end, 0),
    ENTRY("C_facts", sp__r_facts, 0),
    ENTRY("C_report", sp__r_report, 4),
    ENTRY("C_call_tool", sp__r_call_tool, 4),
    ENTRY("C_host_tools", sp__r_host_tools, 0),
    ENTRY("C_stream_open", sp__r_stream_open, 4),
    ENTRY("C_stream_next", sp__r_stream_next, 1),
    ENTRY("C_stream_close", sp__r_stream_close, 1),
    ENTRY("C_variable_get", sp__r_variable_get, 1),
    ENTRY("C_variable_set", sp__r_variable_set, 3),
    ENTRY("C_variable_register", sp__r_variable_register, 4),
    ENTRY("C_variable_delete", sp__r_variable_delete, 1),
    ENTRY("C_variables", sp__r_variables, 1),
    ENTRY("C_history", sp__r_history, 1),
    ENTRY("C_session_begin", sp__r_session_begin, 0),
    ENTRY("C_program_store", sp__r_program_store, 4),
    ENTRY("C_program_get", sp__r_program_get, 2),
    ENTRY("C_program_delete", sp__r_program_delete, 2),
    ENTRY("C_encode", codec_encode, 1),
    ENTRY("C_decode", codec_decode, 2),
    ENTRY("C_set_namespace", set_namespace, 1),
    {NULL, NULL, 0},
};

static void on_fork(void)
{
    sp__r_bridge.forgotten = 1;
}

__attribute__((visibility("default"))) void R_init_snakepitBridge(DllInfo *dll);
void R_init_snakepitBridge(DllInfo *dll)
{
    (void)R_registerRoutines(dll, NULL, entries, NULL, NULL);
    (void)R_useDynamicSymbols(dll, FALSE);
    (void)pthread_atfork(NULL, NULL, on_fork);
}
