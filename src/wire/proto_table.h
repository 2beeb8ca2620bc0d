/* SPDX-License-Identifier: MIT */
/*
 * Messages described by tables: which field of a plain struct has which number, and of
 * what kind it is. One coder reads and writes them all.
 *
 * What is read is either borrowed from the input or lies in a proto_memory, texts ended
 * by a NUL; fields that were absent are zero, texts "". What is written leaves out what
 * is zero, NULL or empty, as proto3 has it.
 */
#ifndef SP_WIRE_PROTO_TABLE_H
#define SP_WIRE_PROTO_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "snakepit/base.h"
#include "snakepit/error.h"

enum proto_kind {
    PROTO_BOOL,    /* int */
    PROTO_I32,     /* int32_t */
    PROTO_U32,     /* uint32_t */
    PROTO_I64,     /* int64_t */
    PROTO_U64,     /* uint64_t */
    PROTO_TEXT,    /* const char *; a NUL inside is refused */
    PROTO_JSON,    /* the same, of string or bytes: checked by whoever uses it */
    PROTO_BLOB,    /* sp_bytes, borrowed from the input */
    PROTO_TIME,    /* uint64_t, milliseconds since 1970: a google.protobuf.Timestamp */
    PROTO_ANY,     /* struct proto_any */
    PROTO_MESSAGE, /* const void *, a struct of `table`; NULL: absent */
    PROTO_TEXTS,   /* struct proto_run of const char * */
    PROTO_ITEMS    /* struct proto_run of structs of `table`; maps are this too */
};

/* JSON text in a google.protobuf.Any; both NULL where there was no Any. */
struct proto_any {
    const char *type_url;
    const char *json;
};

struct proto_run {
    const void *items;
    size_t count;
};

/* An entry of map<string, string>. */
struct proto_text_entry {
    const char *key;
    const char *text;
};
/* Of map<string, google.protobuf.Any>. */
struct proto_any_entry {
    const char *key;
    struct proto_any any;
};
/* Of map<string, bytes>. */
struct proto_blob_entry {
    const char *key;
    sp_bytes blob;
};
/* Of map<string, int32>. */
struct proto_number_entry {
    const char *key;
    int32_t number;
};

struct proto_table;

struct proto_slot {
    uint32_t number;
    enum proto_kind kind;
    size_t offset;
    const char *name; /* for messages */
    const struct proto_table *table;
};

enum { PROTO_SLOTS_MAX = 24 };

struct proto_table {
    const char *name; /* of the message */
    size_t size;      /* of the struct */
    size_t count;
    struct proto_slot slots[PROTO_SLOTS_MAX];
};

extern const struct proto_table sp__proto_text_entry_table;
extern const struct proto_table sp__proto_any_entry_table;
extern const struct proto_table sp__proto_blob_entry_table;
extern const struct proto_table sp__proto_number_entry_table;

/* What reading allocates. Zero it once; several messages may be read into one; fini
 * ends them all. */
struct proto_memory {
    struct proto_block *blocks;
    size_t items; /* elements of repeated fields so far: they are limited */
};
void sp__proto_memory_fini(struct proto_memory *memory);
/* More of it, for what goes with the message. */
void *sp__proto_memory_take(struct proto_memory *memory, size_t size,
                            sp_error *err) SP_MUST_CHECK;

int sp__table_put(struct sp_buffer *out, const struct proto_table *table,
                  const void *message, sp_error *err) SP_MUST_CHECK;

/* The message as field `number` of another: an element of a repeated field or a map. */
int sp__table_put_item(struct sp_buffer *out, uint32_t number,
                       const struct proto_table *table, const void *message,
                       sp_error *err) SP_MUST_CHECK;

/* Errors: SP_ERR_PROTOCOL (malformed), SP_ERR_INVAL or SP_ERR_BAD_JSON (a NUL in a
 * text), SP_ERR_TOO_BIG, SP_ERR_NOMEM. */
int sp__table_get(const struct proto_table *table, sp_bytes data,
                  struct proto_memory *memory, void *ret, sp_error *err) SP_MUST_CHECK;

/* Walk the elements of repeated field `number` of a message, one at a time: 1 with the
 * bytes of the next one, 0 at the end, SP_ERR_PROTOCOL. Begin with *pos = 0. */
int sp__table_next_item(sp_bytes data, uint32_t number, size_t *pos, sp_bytes *ret_item,
                        sp_error *err) SP_MUST_CHECK;

/* The table of struct proto_<noun>, and its fields. */
#define PROTO_TABLE(noun, message, ...)                                             \
    const struct proto_table sp__proto_##noun##_table = {                           \
        .name = message,                                                            \
        .size = sizeof(struct proto_##noun),                                        \
        .count =                                                                    \
            sizeof((struct proto_slot[]){__VA_ARGS__}) / sizeof(struct proto_slot), \
        .slots = {__VA_ARGS__}}
#define PROTO_SLOT(noun, field, number, kind)                            \
    {                                                                    \
        number, kind, offsetof(struct proto_##noun, field), #field, NULL \
    }
#define PROTO_SLOT_OF(noun, field, number, kind, of)                \
    {                                                               \
        number, kind, offsetof(struct proto_##noun, field), #field, \
            &sp__proto_##of##_table                                 \
    }

/* struct proto_<noun>, and its coders with the type checked. */
#define PROTO_MESSAGE_OF(noun)                                                         \
    extern const struct proto_table sp__proto_##noun##_table;                          \
    static inline int sp__proto_put_##noun(                                            \
        struct sp_buffer *out, const struct proto_##noun *message, sp_error *err)      \
    {                                                                                  \
        return sp__table_put(out, &sp__proto_##noun##_table, message, err);            \
    }                                                                                  \
    static inline int sp__proto_get_##noun(sp_bytes data, struct proto_memory *memory, \
                                           struct proto_##noun *ret, sp_error *err)    \
    {                                                                                  \
        return sp__table_get(&sp__proto_##noun##_table, data, memory, ret, err);       \
    }

#endif
