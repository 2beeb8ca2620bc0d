/* SPDX-License-Identifier: MIT */
/* The tables of the messages of programs: numbers as in bridge.proto. */
#include "wire/proto_program.h"

PROTO_TABLE(program, "Program", PROTO_SLOT(program, id, 1, PROTO_TEXT),
            PROTO_SLOT(program, data_json, 2, PROTO_JSON),
            PROTO_SLOT(program, created_unix_ms, 3, PROTO_TIME),
            PROTO_SLOT(program, updated_unix_ms, 4, PROTO_TIME),
            PROTO_SLOT(program, remaining_ms, 5, PROTO_I64));

PROTO_TABLE(program_store, "StoreProgramRequest",
            PROTO_SLOT(program_store, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(program_store, program_id, 2, PROTO_TEXT),
            PROTO_SLOT(program_store, data_json, 3, PROTO_JSON),
            PROTO_SLOT(program_store, ttl_ms, 4, PROTO_I64),
            PROTO_SLOT(program_store, must_exist, 5, PROTO_BOOL),
            PROTO_SLOT(program_store, global, 16, PROTO_BOOL));

PROTO_TABLE(program_get, "GetProgramRequest",
            PROTO_SLOT(program_get, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(program_get, program_id, 2, PROTO_TEXT),
            PROTO_SLOT(program_get, global, 16, PROTO_BOOL));

PROTO_TABLE(program_delete, "DeleteProgramRequest",
            PROTO_SLOT(program_delete, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(program_delete, program_id, 2, PROTO_TEXT),
            PROTO_SLOT(program_delete, global, 16, PROTO_BOOL));

PROTO_TABLE(program_list, "ListProgramsRequest",
            PROTO_SLOT(program_list, session_id, 1, PROTO_TEXT),
            PROTO_SLOT(program_list, global, 16, PROTO_BOOL));
