/* SPDX-License-Identifier: MIT */
/*
 * The calls about state, and their messages <-> the structs of the public headers.
 *
 * Requests and replies are in proto_session.h, proto_variable.h, proto_program.h and
 * proto_tool.h. Numbers of the wire that are narrower than ours stop at their largest.
 */
#ifndef SP_WIRE_PROTO_STATE_H
#define SP_WIRE_PROTO_STATE_H

#include "snakepit/program.h"
#include "snakepit/session.h"
#include "snakepit/variable.h"
#include "wire/proto.h"
#include "wire/proto_program.h"
#include "wire/proto_session.h"
#include "wire/proto_tool.h"
#include "wire/proto_variable.h"

#define SP__PATH_INITIALIZE_SESSION SP__SERVICE "InitializeSession"
#define SP__PATH_CLEANUP_SESSION SP__SERVICE "CleanupSession"
#define SP__PATH_GET_SESSION SP__SERVICE "GetSession"
#define SP__PATH_HEARTBEAT SP__SERVICE "Heartbeat"
#define SP__PATH_UPDATE_SESSION SP__SERVICE "UpdateSession"
#define SP__PATH_LIST_SESSIONS SP__SERVICE "ListSessions"
#define SP__PATH_GET_SESSION_STATS SP__SERVICE "GetSessionStats"
#define SP__PATH_GET_VARIABLE SP__SERVICE "GetVariable"
#define SP__PATH_SET_VARIABLE SP__SERVICE "SetVariable"
#define SP__PATH_GET_VARIABLES SP__SERVICE "GetVariables"
#define SP__PATH_SET_VARIABLES SP__SERVICE "SetVariables"
#define SP__PATH_REGISTER_VARIABLE SP__SERVICE "RegisterVariable"
#define SP__PATH_LIST_VARIABLES SP__SERVICE "ListVariables"
#define SP__PATH_DELETE_VARIABLE SP__SERVICE "DeleteVariable"
#define SP__PATH_WATCH_VARIABLES SP__SERVICE "WatchVariables"
#define SP__PATH_ADD_DEPENDENCY SP__SERVICE "AddDependency"
#define SP__PATH_START_OPTIMIZATION SP__SERVICE "StartOptimization"
#define SP__PATH_STOP_OPTIMIZATION SP__SERVICE "StopOptimization"
#define SP__PATH_GET_VARIABLE_HISTORY SP__SERVICE "GetVariableHistory"
#define SP__PATH_ROLLBACK_VARIABLE SP__SERVICE "RollbackVariable"
#define SP__PATH_REMOVE_DEPENDENCY SP__SERVICE "RemoveDependency"
#define SP__PATH_LIST_DEPENDENCIES SP__SERVICE "ListDependencies"
#define SP__PATH_EXPORT_VARIABLES SP__SERVICE "ExportVariables"
#define SP__PATH_IMPORT_VARIABLES SP__SERVICE "ImportVariables"
#define SP__PATH_STORE_PROGRAM SP__SERVICE "StoreProgram"
#define SP__PATH_GET_PROGRAM SP__SERVICE "GetProgram"
#define SP__PATH_DELETE_PROGRAM SP__SERVICE "DeleteProgram"
#define SP__PATH_LIST_PROGRAMS SP__SERVICE "ListPrograms"
#define SP__PATH_REGISTER_TOOLS SP__SERVICE "RegisterTools"
#define SP__PATH_GET_EXPOSED_ELIXIR_TOOLS SP__SERVICE "GetExposedElixirTools"
#define SP__PATH_EXECUTE_ELIXIR_TOOL SP__SERVICE "ExecuteElixirTool"

/* An Any's type_url for a value of this type; the generic one when it is none of ours. */
const char *sp__proto_type_url(const char *type);

/* A value of a type as it travels, and as it is kept: NaN and "NaN". */
const char *sp__proto_from_value(const char *type, const char *value);
const char *sp__proto_to_value(const char *type, const char *value);

/* The name of an SP_DURABILITY_, "" for the default; and back. INVAL. */
const char *sp__proto_durability(int durability);
int sp__proto_get_durability(const char *name, int *ret_durability,
                             sp_error *err) SP_MUST_CHECK;

int32_t sp__proto_i32(uint64_t number);
/* Milliseconds; SP_UNLIMITED is -1 on the wire. */
int64_t sp__proto_from_ms(uint64_t ms);
uint64_t sp__proto_to_ms(int64_t ms);

/* Borrowed, either way: the new struct points where the old one did. `optimization` is
 * the caller's, and used when the variable is locked. The maps of text are left empty. */
void sp__proto_from_variable(const sp_variable *variable,
                             struct proto_optimization *optimization,
                             struct proto_variable *ret);
void sp__proto_to_variable(const struct proto_variable *message, sp_variable *ret);
void sp__proto_from_session(const sp_session_info *info, struct proto_session *ret);
void sp__proto_to_session(const struct proto_session *message, sp_session_info *ret);
void sp__proto_from_program(const sp_program *program, struct proto_program *ret);
void sp__proto_to_program(const struct proto_program *message, sp_program *ret);

/* Metadata of old peers is a map of texts, ours a JSON object. A map (a run of struct
 * proto_text_entry) as an object, with a NUL behind it: */
int sp__proto_put_metadata(struct sp_buffer *out, const struct proto_run *map,
                           sp_error *err) SP_MUST_CHECK;
/* An object as a map in `memory`: texts as they are, anything else as JSON; what would
 * follow a zero byte is left out. */
int sp__proto_get_metadata(const char *object, struct proto_memory *memory,
                           struct proto_run *ret, sp_error *err) SP_MUST_CHECK;

/* VariableUpdate.update_type of an SP_CHANGE_, and back; 0: it is none. */
const char *sp__proto_change_name(int kind);
int sp__proto_change_kind(const char *name);

/* A borrowed struct in memory of its own, for sp_variable_clear() and its kin. */
int sp__own_variable(const sp_variable *variable, sp_variable *ret,
                     sp_error *err) SP_MUST_CHECK;
int sp__own_session(const sp_session_info *info, sp_session_info *ret,
                    sp_error *err) SP_MUST_CHECK;
int sp__own_program(const sp_program *program, sp_program *ret,
                    sp_error *err) SP_MUST_CHECK;

#endif
