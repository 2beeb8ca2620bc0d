/* SPDX-License-Identifier: MIT */
/*
 * Variables and programs of the call's session. Values go as JSON; a variable comes as a
 * list with the names of its facts.
 */
#include <string.h>

#include "bridge.h"

/* A value's JSON as a C string that R keeps until the .Call() ends. */
static const char *json_of(SEXP value)
{
    struct encoder *encoder = &sp__r_bridge.encoder;
    sp__r_encode(encoder, value, NULL);
    if (encoder->blob.size > 0) {
        Rf_error("bytes and large arrays cannot be kept as JSON");
    }
    char *copy = R_alloc(encoder->out.size + 1, 1);
    memcpy(copy, encoder->out.data, encoder->out.size);
    copy[encoder->out.size] = '\0';
    return copy;
}

static const char *kept(const char *text)
{
    const char *from = text != NULL ? text : "";
    size_t size = strlen(from) + 1;
    return memcpy(R_alloc(size, 1), from, size);
}

enum {
    FACT_ID,
    FACT_NAME,
    FACT_TYPE,
    FACT_VALUE,
    FACT_VERSION,
    FACT_METADATA,
    FACT_CHANGED_BY,
    FACT_LOCKED_BY
};

static SEXP text_of(const char *text)
{
    return Rf_ScalarString(Rf_mkCharCE(text, CE_UTF8));
}

/* Of texts that R keeps. */
static SEXP from_variable(const sp_variable *v)
{
    static const char *const fields[] = {"id",         "name",      "type",
                                         "value",      "version",   "metadata",
                                         "changed_by", "locked_by", ""};
    SEXP facts = PROTECT(Rf_mkNamed(VECSXP, (const char **)(uintptr_t)fields));
    SET_VECTOR_ELT(facts, FACT_ID, text_of(v->id));
    SET_VECTOR_ELT(facts, FACT_NAME, text_of(v->name));
    SET_VECTOR_ELT(facts, FACT_TYPE, text_of(v->type));
    SEXP value = PROTECT(sp__r_from_text(v->value, strlen(v->value)));
    if (strcmp(v->type, "float") == 0 && TYPEOF(value) == STRSXP) {
        const char *text = CHAR(STRING_ELT(value, 0)); /* what JSON cannot say */
        value = Rf_ScalarReal(text[0] == 'N'   ? R_NaN
                              : text[0] == '-' ? R_NegInf
                                               : R_PosInf);
    }
    SET_VECTOR_ELT(facts, FACT_VALUE, value);
    SET_VECTOR_ELT(facts, FACT_VERSION, Rf_ScalarReal((double)v->version));
    SET_VECTOR_ELT(facts, FACT_METADATA,
                   sp__r_from_text(v->metadata, strlen(v->metadata)));
    SET_VECTOR_ELT(facts, FACT_CHANGED_BY, text_of(v->changed_by));
    SET_VECTOR_ELT(facts, FACT_LOCKED_BY, text_of(v->locked_by));
    UNPROTECT(2);
    return facts;
}

static sp_variable copy_of(const sp_variable *v)
{
    return (sp_variable){.id = kept(v->id),
                         .name = kept(v->name),
                         .type = kept(v->type),
                         .value = kept(v->value),
                         .metadata = kept(v->metadata),
                         .changed_by = kept(v->changed_by),
                         .locked_by = kept(v->locked_by),
                         .version = v->version};
}

/* Takes the variable. */
static SEXP taken(sp_variable *v)
{
    sp_variable copy = copy_of(v);
    sp_variable_clear(v);
    return from_variable(&copy);
}

/* options: list(constraints, metadata, changed_by, expected version); NULL for none. */
static sp_change_options read_options(SEXP options)
{
    sp_change_options ret = {.size = sizeof ret};
    if (VECTOR_ELT(options, 0) != R_NilValue) {
        ret.constraints = json_of(VECTOR_ELT(options, 0));
    }
    if (VECTOR_ELT(options, 1) != R_NilValue) {
        ret.metadata = json_of(VECTOR_ELT(options, 1));
    }
    ret.changed_by = sp__r_text_or_null(VECTOR_ELT(options, 2));
    if (VECTOR_ELT(options, 3) != R_NilValue) {
        ret.check_version = 1;
        ret.expected_version = (uint64_t)Rf_asReal(VECTOR_ELT(options, 3));
    }
    return ret;
}

SEXP sp__r_variable_get(SEXP name)
{
    sp_job *job = sp__r_asking();
    sp_variable variable = {0};
    sp_error err = {0};
    int rc = sp_job_variable_get(job, sp__r_text(name), &variable, &err);
    sp__r_asked(job, rc, &err);
    return taken(&variable);
}

SEXP sp__r_variable_set(SEXP name, SEXP value, SEXP options)
{
    sp_job *job = sp__r_asking();
    const char *json = json_of(value);
    sp_change_options changes = read_options(options);
    uint64_t version = 0;
    sp_error err = {0};
    int rc = sp_job_variable_set(job, sp__r_text(name), json, &changes, &version, &err);
    sp__r_asked(job, rc, &err);
    return Rf_ScalarReal((double)version);
}

SEXP sp__r_variable_register(SEXP name, SEXP type, SEXP value, SEXP options)
{
    sp_job *job = sp__r_asking();
    const char *json = json_of(value);
    sp_change_options changes = read_options(options);
    sp_variable variable = {0};
    sp_error err = {0};
    int rc = sp_job_variable_register(job, sp__r_text(name), sp__r_text_or_null(type),
                                      json, &changes, &variable, &err);
    sp__r_asked(job, rc, &err);
    return taken(&variable);
}

SEXP sp__r_variable_delete(SEXP name)
{
    sp_job *job = sp__r_asking();
    sp_error err = {0};
    int rc = sp_job_variable_delete(job, sp__r_text(name), NULL, &err);
    sp__r_asked(job, rc, &err);
    return R_NilValue;
}

/* ---- several ---- */

/* Copies in R's memory, one behind the other: the callback must not jump. */
struct copies {
    struct copy {
        sp_variable variable;
        struct copy *next;
    } * first, **last;
    R_xlen_t count;
};

static void collect(const sp_variable *variable, void *user_data)
{
    struct copies *copies = user_data;
    struct copy *copy = (struct copy *)(void *)R_alloc(1, sizeof *copy);
    copy->variable = copy_of(variable);
    copy->next = NULL;
    *copies->last = copy;
    copies->last = &copy->next;
    copies->count++;
}

static SEXP list_of(const struct copies *copies)
{
    SEXP list = PROTECT(Rf_allocVector(VECSXP, copies->count));
    R_xlen_t at = 0;
    for (const struct copy *copy = copies->first; copy != NULL; copy = copy->next) {
        SET_VECTOR_ELT(list, at++, from_variable(&copy->variable));
    }
    UNPROTECT(1);
    return list;
}

SEXP sp__r_variables(SEXP pattern)
{
    sp_job *job = sp__r_asking();
    struct copies copies = {0};
    copies.last = &copies.first;
    sp_error err = {0};
    int rc =
        sp_job_variables_list(job, sp__r_text_or_null(pattern), collect, &copies, &err);
    sp__r_asked(job, rc, &err);
    return list_of(&copies);
}

SEXP sp__r_history(SEXP name)
{
    sp_job *job = sp__r_asking();
    struct copies copies = {0};
    copies.last = &copies.first;
    sp_error err = {0};
    int rc = sp_job_variable_history(job, sp__r_text(name), 0, collect, &copies, &err);
    sp__r_asked(job, rc, &err);
    return list_of(&copies);
}

/* ---- the session and its programs ---- */

SEXP sp__r_session_begin(void)
{
    sp_job *job = sp__r_asking();
    sp_error err = {0};
    int rc = sp_job_session_begin(job, &err);
    sp__r_asked(job, rc, &err);
    return Rf_ScalarLogical(rc == 1);
}

SEXP sp__r_program_store(SEXP global, SEXP id, SEXP data, SEXP ttl_ms)
{
    sp_job *job = sp__r_asking();
    const char *json = json_of(data);
    sp_error err = {0};
    int rc = sp_job_program_store(job, Rf_asLogical(global) == 1, sp__r_text(id), json,
                                  (uint64_t)Rf_asReal(ttl_ms), &err);
    sp__r_asked(job, rc, &err);
    return R_NilValue;
}

SEXP sp__r_program_get(SEXP global, SEXP id)
{
    sp_job *job = sp__r_asking();
    sp_program program = {0};
    sp_error err = {0};
    int rc = sp_job_program_get(job, Rf_asLogical(global) == 1, sp__r_text(id),
                                &program, &err);
    sp__r_asked(job, rc, &err);
    const char *data = kept(program.data);
    sp_program_clear(&program);
    return sp__r_from_text(data, strlen(data));
}

SEXP sp__r_program_delete(SEXP global, SEXP id)
{
    sp_job *job = sp__r_asking();
    sp_error err = {0};
    int rc =
        sp_job_program_delete(job, Rf_asLogical(global) == 1, sp__r_text(id), &err);
    sp__r_asked(job, rc, &err);
    return R_NilValue;
}
