/* SPDX-License-Identifier: MIT */
/*
 * One coder for every message that a table describes.
 *
 * Writing measures, makes room once and then cannot fail. Reading walks a message twice:
 * first to count what is repeated, then to fill the struct. All texts of a message lie
 * in one block as large as the message: a text of n bytes takes n + 2 of those at
 * least, and n + 1 here. Elements of repeated fields are limited, because two bytes on
 * the wire become a struct.
 *
 * Unknown fields and fields of another wire type are skipped, the last of several values
 * wins. What cannot be read is SP_ERR_PROTOCOL; then `ret` holds nothing to use.
 */
#include "wire/proto_table.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "wire/json.h"
#include "wire/proto_internal.h"

enum {
    ITEMS_MAX = 1 << 18, /* of all repeated fields of a message */
    TIME_SECONDS = 1,
    TIME_NANOS = 2,
    MS_PER_S = 1000,
    NS_PER_MS = 1000000
};

struct proto_block {
    struct proto_block *next;
    max_align_t bytes[];
};

PROTO_TABLE(text_entry, "map entry", PROTO_SLOT(text_entry, key, 1, PROTO_TEXT),
            PROTO_SLOT(text_entry, text, 2, PROTO_TEXT));
PROTO_TABLE(any_entry, "map entry", PROTO_SLOT(any_entry, key, 1, PROTO_TEXT),
            PROTO_SLOT(any_entry, any, 2, PROTO_ANY));
PROTO_TABLE(blob_entry, "map entry", PROTO_SLOT(blob_entry, key, 1, PROTO_TEXT),
            PROTO_SLOT(blob_entry, blob, 2, PROTO_BLOB));
PROTO_TABLE(number_entry, "map entry", PROTO_SLOT(number_entry, key, 1, PROTO_TEXT),
            PROTO_SLOT(number_entry, number, 2, PROTO_I32));
static PROTO_TABLE(any, "Any", PROTO_SLOT(any, type_url, 1, PROTO_TEXT),
                   PROTO_SLOT(any, json, 2, PROTO_JSON));

static const void *field_of(const struct proto_slot *slot, const void *message)
{
    return (const char *)message + slot->offset;
}

/* ---- writing ---- */

/* The number of a field that travels as one; sign-extended, as protobuf wants it. */
static uint64_t number_of(const struct proto_slot *slot, const void *field)
{
    switch (slot->kind) {
    case PROTO_BOOL:
        return *(const int *)field != 0;
    case PROTO_I32:
        return (uint64_t)(int64_t) * (const int32_t *)field;
    case PROTO_U32:
        return *(const uint32_t *)field;
    case PROTO_I64:
        return (uint64_t) * (const int64_t *)field;
    case PROTO_U64:
    case PROTO_TIME:
        return *(const uint64_t *)field;
    case PROTO_TEXT:
    case PROTO_JSON:
    case PROTO_BLOB:
    case PROTO_ANY:
    case PROTO_MESSAGE:
    case PROTO_TEXTS:
    case PROTO_ITEMS:
        break;
    }
    assert(0);
    return 0;
}

static sp_bytes bytes_of(const struct proto_slot *slot, const void *field)
{
    if (slot->kind == PROTO_BLOB) {
        return *(const sp_bytes *)field;
    }
    const char *text = *(const char *const *)field;
    return (sp_bytes){text, text == NULL ? 0 : strlen(text)};
}

static size_t number_size(uint32_t number, uint64_t value)
{
    return value == 0 ? 0 : sp__proto_tag_size(number) + sp__proto_varint_size(value);
}

static uint8_t *put_number(uint8_t *to, uint32_t number, uint64_t value)
{
    if (value == 0) {
        return to;
    }
    to = sp__proto_put_varint(to, number << 3 | PROTO_VARINT);
    return sp__proto_put_varint(to, value);
}

static uint8_t *put_bytes(uint8_t *to, uint32_t number, sp_bytes bytes)
{
    to = sp__proto_put_head(to, number, bytes.size);
    if (bytes.size > 0) {
        memcpy(to, bytes.data, bytes.size);
    }
    return to + bytes.size;
}

static size_t time_size(uint64_t unix_ms)
{
    return number_size(TIME_SECONDS, unix_ms / MS_PER_S) +
           number_size(TIME_NANOS, unix_ms % MS_PER_S * NS_PER_MS);
}

static size_t message_size(const struct proto_table *table, const void *message);
static uint8_t *put_message(uint8_t *to, const struct proto_table *table,
                            const void *message);

static size_t run_size(const struct proto_slot *slot, const struct proto_run *run)
{
    size_t size = 0;
    for (size_t i = 0; i < run->count; i++) {
        size_t item = slot->kind == PROTO_TEXTS
                          ? strlen(((const char *const *)run->items)[i])
                          : message_size(slot->table, (const char *)run->items +
                                                          i * slot->table->size);
        size += sp__proto_field_size(slot->number, item);
    }
    return size;
}

static uint8_t *put_run(uint8_t *to, const struct proto_slot *slot,
                        const struct proto_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        if (slot->kind == PROTO_TEXTS) {
            const char *text = ((const char *const *)run->items)[i];
            to = put_bytes(to, slot->number, (sp_bytes){text, strlen(text)});
            continue;
        }
        const void *item = (const char *)run->items + i * slot->table->size;
        to = sp__proto_put_head(to, slot->number, message_size(slot->table, item));
        to = put_message(to, slot->table, item);
    }
    return to;
}

static size_t slot_size(const struct proto_slot *slot, const void *message)
{
    const void *field = field_of(slot, message);
    switch (slot->kind) {
    case PROTO_BOOL:
    case PROTO_I32:
    case PROTO_U32:
    case PROTO_I64:
    case PROTO_U64:
        return number_size(slot->number, number_of(slot, field));
    case PROTO_TEXT:
    case PROTO_JSON:
    case PROTO_BLOB: {
        size_t size = bytes_of(slot, field).size;
        return size == 0 ? 0 : sp__proto_field_size(slot->number, size);
    }
    case PROTO_TIME: {
        size_t size = time_size(number_of(slot, field));
        return size == 0 ? 0 : sp__proto_field_size(slot->number, size);
    }
    case PROTO_ANY: {
        const struct proto_any *any = field;
        return any->json == NULL
                   ? 0
                   : sp__proto_field_size(slot->number,
                                          message_size(&sp__proto_any_table, any));
    }
    case PROTO_MESSAGE: {
        const void *inner = *(const void *const *)field;
        return inner == NULL ? 0
                             : sp__proto_field_size(slot->number,
                                                    message_size(slot->table, inner));
    }
    case PROTO_TEXTS:
    case PROTO_ITEMS:
        return run_size(slot, field);
    }
    return 0;
}

static uint8_t *put_slot(uint8_t *to, const struct proto_slot *slot,
                         const void *message)
{
    const void *field = field_of(slot, message);
    if (slot_size(slot, message) == 0) {
        return to;
    }
    switch (slot->kind) {
    case PROTO_BOOL:
    case PROTO_I32:
    case PROTO_U32:
    case PROTO_I64:
    case PROTO_U64:
        return put_number(to, slot->number, number_of(slot, field));
    case PROTO_TEXT:
    case PROTO_JSON:
    case PROTO_BLOB:
        return put_bytes(to, slot->number, bytes_of(slot, field));
    case PROTO_TIME: {
        uint64_t unix_ms = number_of(slot, field);
        to = sp__proto_put_head(to, slot->number, time_size(unix_ms));
        to = put_number(to, TIME_SECONDS, unix_ms / MS_PER_S);
        return put_number(to, TIME_NANOS, unix_ms % MS_PER_S * NS_PER_MS);
    }
    case PROTO_ANY:
        to = sp__proto_put_head(to, slot->number,
                                message_size(&sp__proto_any_table, field));
        return put_message(to, &sp__proto_any_table, field);
    case PROTO_MESSAGE: {
        const void *inner = *(const void *const *)field;
        to = sp__proto_put_head(to, slot->number, message_size(slot->table, inner));
        return put_message(to, slot->table, inner);
    }
    case PROTO_TEXTS:
    case PROTO_ITEMS:
        return put_run(to, slot, field);
    }
    return to;
}

static size_t message_size(const struct proto_table *table, const void *message)
{
    size_t size = 0;
    for (size_t i = 0; i < table->count; i++) {
        size += slot_size(&table->slots[i], message);
    }
    return size;
}

static uint8_t *put_message(uint8_t *to, const struct proto_table *table,
                            const void *message)
{
    for (size_t i = 0; i < table->count; i++) {
        to = put_slot(to, &table->slots[i], message);
    }
    return to;
}

int sp__table_put(struct sp_buffer *out, const struct proto_table *table,
                  const void *message, sp_error *err)
{
    size_t size = message_size(table, message);
    int rc = sp__buf_reserve(out, size, err);
    if (rc < 0 || size == 0) {
        return rc;
    }
    uint8_t *to = put_message(out->data + out->size, table, message);
    out->size += size;
    assert(to == out->data + out->size);
    return SP_OK;
}

int sp__table_put_item(struct sp_buffer *out, uint32_t number,
                       const struct proto_table *table, const void *message,
                       sp_error *err)
{
    size_t inner = message_size(table, message);
    size_t size = sp__proto_field_size(number, inner);
    int rc = sp__buf_reserve(out, size, err);
    if (rc < 0) {
        return rc;
    }
    uint8_t *to = sp__proto_put_head(out->data + out->size, number, inner);
    to = put_message(to, table, message);
    out->size += size;
    assert(to == out->data + out->size);
    return SP_OK;
}

/* ---- reading ---- */

struct reading {
    struct proto_memory *memory;
    char *text; /* where the next one goes */
    sp_error *err;
};

void sp__proto_memory_fini(struct proto_memory *memory)
{
    while (memory->blocks != NULL) {
        struct proto_block *block = memory->blocks;
        memory->blocks = block->next;
        sp__free(block);
    }
    *memory = (struct proto_memory){0};
}

void *sp__proto_memory_take(struct proto_memory *memory, size_t size, sp_error *err)
{
    struct proto_block *block = sp__malloc(sizeof *block + size);
    if (block == NULL) {
        (void)sp__fail(err, SP_ERR_NOMEM, "no memory for a message of %zu bytes", size);
        return NULL;
    }
    block->next = memory->blocks;
    memory->blocks = block;
    return block->bytes;
}

static int get_text(struct reading *r, const struct proto_table *table,
                    const struct proto_slot *slot, sp_bytes bytes, const char **ret)
{
    char *text = r->text;
    if (bytes.size > 0 && memchr(bytes.data, 0, bytes.size) != NULL) {
        return sp__fail(r->err,
                        slot->kind == PROTO_JSON ? SP_ERR_BAD_JSON : SP_ERR_INVAL,
                        "%s of a %s has a NUL byte", slot->name, table->name);
    }
    if (slot->kind == PROTO_TEXT && bytes.size > 0 &&
        !sp__json_is_utf8(bytes.data, bytes.size)) {
        return sp__fail(r->err, SP_ERR_INVAL, "%s of a %s is not UTF-8", slot->name,
                        table->name);
    }
    if (bytes.size > 0) {
        memcpy(text, bytes.data, bytes.size);
    }
    text[bytes.size] = '\0';
    r->text += bytes.size + 1;
    *ret = text;
    return SP_OK;
}

/* Before 1970 is not a time that anything here has: it counts as absent. */
static int get_time(sp_bytes bytes, uint64_t *ret_ms)
{
    struct proto_reader reader = sp__proto_reader(bytes.data, bytes.size);
    struct proto_field field;
    uint64_t seconds = 0;
    uint64_t nanos = 0;
    int rc;
    while ((rc = sp__proto_next(&reader, &field)) > 0) {
        if (field.type == PROTO_VARINT && field.number == TIME_SECONDS) {
            seconds = field.varint;
        } else if (field.type == PROTO_VARINT && field.number == TIME_NANOS) {
            nanos = field.varint;
        }
    }
    if (rc < 0) {
        return SP_ERR_PROTOCOL;
    }
    int known = seconds < INT64_MAX / MS_PER_S && nanos < UINT64_C(1000) * NS_PER_MS;
    *ret_ms = known ? seconds * MS_PER_S + nanos / NS_PER_MS : 0;
    return SP_OK;
}

static int get_message(struct reading *r, const struct proto_table *table,
                       sp_bytes data, void *ret);

/* One more element of a run that has room for it. */
static int get_item(struct reading *r, const struct proto_table *table,
                    const struct proto_slot *slot, sp_bytes bytes,
                    struct proto_run *run)
{
    size_t size = slot->kind == PROTO_TEXTS ? sizeof(char *) : slot->table->size;
    void *item = (char *)(uintptr_t)run->items + run->count * size;
    int rc = slot->kind == PROTO_TEXTS ? get_text(r, table, slot, bytes, item)
                                       : get_message(r, slot->table, bytes, item);
    run->count++;
    return rc;
}

static int get_inner(struct reading *r, const struct proto_slot *slot, sp_bytes bytes,
                     const void **ret)
{
    /* One that came before is replaced, in its memory. */
    if (*ret == NULL) {
        *ret = sp__proto_memory_take(r->memory, slot->table->size, r->err);
    }
    void *inner = (void *)(uintptr_t)*ret;
    if (inner == NULL) {
        return SP_ERR_NOMEM;
    }
    return get_message(r, slot->table, bytes, inner);
}

static void get_number(const struct proto_slot *slot, uint64_t value, void *field)
{
    switch (slot->kind) {
    case PROTO_BOOL:
        *(int *)field = value != 0;
        return;
    case PROTO_I32:
        *(int32_t *)field = (int32_t)(uint32_t)value;
        return;
    case PROTO_U32:
        *(uint32_t *)field = (uint32_t)value;
        return;
    case PROTO_I64:
        *(int64_t *)field = (int64_t)value;
        return;
    case PROTO_U64:
        *(uint64_t *)field = value;
        return;
    case PROTO_TEXT:
    case PROTO_JSON:
    case PROTO_BLOB:
    case PROTO_TIME:
    case PROTO_ANY:
    case PROTO_MESSAGE:
    case PROTO_TEXTS:
    case PROTO_ITEMS:
        return; /* of another wire type: skipped */
    }
}

static int get_bytes(struct reading *r, const struct proto_table *table,
                     const struct proto_slot *slot, sp_bytes bytes, void *field)
{
    switch (slot->kind) {
    case PROTO_TEXT:
    case PROTO_JSON:
        return get_text(r, table, slot, bytes, field);
    case PROTO_BLOB:
        *(sp_bytes *)field = bytes;
        return SP_OK;
    case PROTO_TIME:
        if (get_time(bytes, field) < 0) {
            return sp__proto_malformed(r->err, table->name);
        }
        return SP_OK;
    case PROTO_ANY:
        return get_message(r, &sp__proto_any_table, bytes, field);
    case PROTO_MESSAGE:
        return get_inner(r, slot, bytes, field);
    case PROTO_TEXTS:
    case PROTO_ITEMS:
        return get_item(r, table, slot, bytes, field);
    case PROTO_BOOL:
    case PROTO_I32:
    case PROTO_U32:
    case PROTO_I64:
    case PROTO_U64:
        break; /* of another wire type: skipped */
    }
    return SP_OK;
}

static int repeats(const struct proto_slot *slot)
{
    return slot->kind == PROTO_TEXTS || slot->kind == PROTO_ITEMS;
}

static const struct proto_slot *find_slot(const struct proto_table *table,
                                          uint32_t number)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->slots[i].number == number) {
            return &table->slots[i];
        }
    }
    return NULL;
}

/* Nothing but zeros and empty texts, and an array for what is repeated. */
static int begin(struct reading *r, const struct proto_table *table,
                 const size_t *counts, void *ret)
{
    memset(ret, 0, table->size);
    for (size_t i = 0; i < table->count; i++) {
        const struct proto_slot *slot = &table->slots[i];
        void *field = (char *)ret + slot->offset;
        if (slot->kind == PROTO_TEXT || slot->kind == PROTO_JSON) {
            *(const char **)field = "";
        }
        if (!repeats(slot) || counts[i] == 0) {
            continue;
        }
        r->memory->items += counts[i];
        if (r->memory->items > ITEMS_MAX) {
            return sp__fail(r->err, SP_ERR_TOO_BIG,
                            "%zu elements in a %s are more than %d", r->memory->items,
                            table->name, (int)ITEMS_MAX);
        }
        size_t size = slot->kind == PROTO_TEXTS ? sizeof(char *) : slot->table->size;
        ((struct proto_run *)field)->items =
            sp__proto_memory_take(r->memory, counts[i] * size, r->err);
        if (((struct proto_run *)field)->items == NULL) {
            return SP_ERR_NOMEM;
        }
    }
    return SP_OK;
}

static int get_message(struct reading *r, const struct proto_table *table,
                       sp_bytes data, void *ret)
{
    size_t counts[PROTO_SLOTS_MAX] = {0};
    struct proto_reader reader = sp__proto_reader(data.data, data.size);
    struct proto_field field;
    int rc;
    while ((rc = sp__proto_next(&reader, &field)) > 0) {
        const struct proto_slot *slot = find_slot(table, field.number);
        if (slot != NULL && field.type == PROTO_BYTES) {
            counts[slot - table->slots]++;
        }
    }
    if (rc < 0) {
        return sp__proto_malformed(r->err, table->name);
    }
    rc = begin(r, table, counts, ret);
    reader = sp__proto_reader(data.data, data.size);
    while (rc == SP_OK && sp__proto_next(&reader, &field) > 0) {
        const struct proto_slot *slot = find_slot(table, field.number);
        if (slot == NULL) {
            continue;
        }
        void *to = (char *)ret + slot->offset;
        if (field.type == PROTO_VARINT) {
            get_number(slot, field.varint, to);
        } else if (field.type == PROTO_BYTES) {
            rc = get_bytes(r, table, slot, field.bytes, to);
        }
    }
    return rc;
}

int sp__table_get(const struct proto_table *table, sp_bytes data,
                  struct proto_memory *memory, void *ret, sp_error *err)
{
    struct reading reading = {.memory = memory, .err = err};
    reading.text = sp__proto_memory_take(memory, data.size, err);
    if (reading.text == NULL) {
        return SP_ERR_NOMEM;
    }
    return get_message(&reading, table, data, ret);
}

int sp__table_next_item(sp_bytes data, uint32_t number, size_t *pos, sp_bytes *ret_item,
                        sp_error *err)
{
    struct proto_reader reader = sp__proto_reader(data.data, data.size);
    const uint8_t *begin = reader.at;
    struct proto_field field;
    int rc;
    reader.at += *pos;
    while ((rc = sp__proto_next(&reader, &field)) > 0) {
        *pos = (size_t)(reader.at - begin);
        if (field.number == number && field.type == PROTO_BYTES) {
            *ret_item = field.bytes;
            return 1;
        }
    }
    return rc == 0 ? 0 : sp__proto_malformed(err, "list");
}
