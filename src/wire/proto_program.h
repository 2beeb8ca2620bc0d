/* SPDX-License-Identifier: MIT */
/*
 * Messages of programs, as bridge.proto has them; see proto_table.h.
 */
#ifndef SP_WIRE_PROTO_PROGRAM_H
#define SP_WIRE_PROTO_PROGRAM_H

#include "wire/proto_table.h"

/* Program. */
struct proto_program {
    const char *id;
    const char *data_json;
    uint64_t created_unix_ms;
    uint64_t updated_unix_ms;
    int64_t remaining_ms; /* -1: it has no end of its own */
};
PROTO_MESSAGE_OF(program)

/* StoreProgramRequest. The reply is empty, as that of ... */
struct proto_program_store {
    const char *session_id;
    const char *program_id;
    const char *data_json;
    int64_t ttl_ms; /* 0: as the host has it, -1: never ends */
    int must_exist;
    int global;
};
PROTO_MESSAGE_OF(program_store)

/* GetProgramRequest. The reply is a proto_program. */
struct proto_program_get {
    const char *session_id;
    const char *program_id;
    int global;
};
PROTO_MESSAGE_OF(program_get)

/* DeleteProgramRequest. ... this one. */
struct proto_program_delete {
    const char *session_id;
    const char *program_id;
    int global;
};
PROTO_MESSAGE_OF(program_delete)

/* ListProgramsRequest. The reply is a list of proto_program, items 1. */
struct proto_program_list {
    const char *session_id;
    int global;
};
PROTO_MESSAGE_OF(program_list)

#endif
