/* SPDX-License-Identifier: MIT */
/*
 * Answers to the calls about state: what each RPC does with the sessions of the pit.
 *
 * They take the bytes of a question and append those of the reply, so they need neither
 * a connection nor the loop; see answer_fn. sessions.c, variables.c, batches.c,
 * versions.c, dependencies.c and programs.c have them; watch_variables.c is a stream.
 */
#ifndef SP_SERVE_STATE_H
#define SP_SERVE_STATE_H

#include "serve/rpc.h"
#include "snakepit/tensor.h"
#include "snakepit/variable.h"
#include "wire/proto_state.h"

/* A question while it is answered. */
struct question {
    const struct asking *asking;
    const char *session; /* the one it is about */
    struct proto_memory memory;
    struct sp_buffer metadata; /* as JSON, when it came as a map */
};

/* Read a message, whose first field is the session's id, and find out which session it
 * is about. Fini afterwards, whatever is returned. */
int sp__question_read(struct question *question, const struct asking *asking,
                      const struct proto_table *table, sp_bytes bytes, void *ret,
                      sp_error *err) SP_MUST_CHECK;
void sp__question_fini(struct question *question);
/* The metadata of a request, in either form; NULL when there is none. */
int sp__question_metadata(struct question *question, const struct proto_run *map,
                          const char *json, const char **ret_metadata,
                          sp_error *err) SP_MUST_CHECK;
/* The JSON of a value that came, for the variable `name` or, when `type` is not NULL, one
 * of that type. What the JSON says of bytes beside it becomes a part of it; pickles and
 * the like are refused. */
struct question_value {
    const char *name;
    const char *type;
    const struct proto_any *any;
    sp_bytes binary;
};
int sp__question_value(struct question *question, const struct question_value *value,
                       const char **ret_value, sp_error *err) SP_MUST_CHECK;
/* NULL instead of "". */
static inline const char *sp__or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

/* A variable as a message, with the parts that are not borrowed. */
struct variable_message {
    struct proto_variable variable;
    struct proto_optimization optimization;
    struct proto_memory memory;
    struct sp_buffer data; /* instead of the JSON of a tensor or embedding */
    char text[SP_TENSOR_TEXT_MAX];
};
int sp__variable_message(const sp_variable *variable, struct variable_message *ret,
                         sp_error *err) SP_MUST_CHECK;
/* Its value as bytes, when it is an array of more than SP_BINARY_MIN_BYTES. */
int sp__variable_message_pack(struct variable_message *message,
                              sp_error *err) SP_MUST_CHECK;
void sp__variable_message_fini(struct variable_message *message);

int sp__answer_session_begin(const struct asking *asking, sp_bytes question,
                             struct sp_buffer *reply, sp_error *err);
int sp__answer_session_end(const struct asking *asking, sp_bytes question,
                           struct sp_buffer *reply, sp_error *err);
int sp__answer_session_get(const struct asking *asking, sp_bytes question,
                           struct sp_buffer *reply, sp_error *err);
int sp__answer_session_update(const struct asking *asking, sp_bytes question,
                              struct sp_buffer *reply, sp_error *err);
int sp__answer_session_list(const struct asking *asking, sp_bytes question,
                            struct sp_buffer *reply, sp_error *err);
int sp__answer_session_stats(const struct asking *asking, sp_bytes question,
                             struct sp_buffer *reply, sp_error *err);
int sp__answer_heartbeat(const struct asking *asking, sp_bytes question,
                         struct sp_buffer *reply, sp_error *err);

int sp__answer_variable_register(const struct asking *asking, sp_bytes question,
                                 struct sp_buffer *reply, sp_error *err);
int sp__answer_variable_get(const struct asking *asking, sp_bytes question,
                            struct sp_buffer *reply, sp_error *err);
int sp__answer_variable_set(const struct asking *asking, sp_bytes question,
                            struct sp_buffer *reply, sp_error *err);
int sp__answer_variable_delete(const struct asking *asking, sp_bytes question,
                               struct sp_buffer *reply, sp_error *err);
int sp__answer_variable_list(const struct asking *asking, sp_bytes question,
                             struct sp_buffer *reply, sp_error *err);
int sp__answer_variable_get_many(const struct asking *asking, sp_bytes question,
                                 struct sp_buffer *reply, sp_error *err);
int sp__answer_variable_set_many(const struct asking *asking, sp_bytes question,
                                 struct sp_buffer *reply, sp_error *err);
int sp__answer_variable_export(const struct asking *asking, sp_bytes question,
                               struct sp_buffer *reply, sp_error *err);
int sp__answer_variable_import(const struct asking *asking, sp_bytes question,
                               struct sp_buffer *reply, sp_error *err);

int sp__answer_variable_history(const struct asking *asking, sp_bytes question,
                                struct sp_buffer *reply, sp_error *err);
int sp__answer_variable_rollback(const struct asking *asking, sp_bytes question,
                                 struct sp_buffer *reply, sp_error *err);
int sp__answer_variable_lock(const struct asking *asking, sp_bytes question,
                             struct sp_buffer *reply, sp_error *err);
int sp__answer_variable_unlock(const struct asking *asking, sp_bytes question,
                               struct sp_buffer *reply, sp_error *err);

int sp__answer_dependency_add(const struct asking *asking, sp_bytes question,
                              struct sp_buffer *reply, sp_error *err);
int sp__answer_dependency_remove(const struct asking *asking, sp_bytes question,
                                 struct sp_buffer *reply, sp_error *err);
int sp__answer_dependency_list(const struct asking *asking, sp_bytes question,
                               struct sp_buffer *reply, sp_error *err);

int sp__answer_program_store(const struct asking *asking, sp_bytes question,
                             struct sp_buffer *reply, sp_error *err);
int sp__answer_program_get(const struct asking *asking, sp_bytes question,
                           struct sp_buffer *reply, sp_error *err);
int sp__answer_program_delete(const struct asking *asking, sp_bytes question,
                              struct sp_buffer *reply, sp_error *err);
int sp__answer_program_list(const struct asking *asking, sp_bytes question,
                            struct sp_buffer *reply, sp_error *err);

int sp__answer_report(const struct asking *asking, sp_bytes question,
                      struct sp_buffer *reply, sp_error *err);
int sp__answer_worker_drain(const struct asking *asking, sp_bytes question,
                            struct sp_buffer *reply, sp_error *err);
int sp__answer_worker_kill(const struct asking *asking, sp_bytes question,
                           struct sp_buffer *reply, sp_error *err);

#endif
