/* SPDX-License-Identifier: MIT */
/*
 * Metadata: a map of texts for old peers, a JSON object for everybody else.
 */
#include <string.h>

#include "base/error.h"
#include "wire/json.h"
#include "wire/proto_state.h"

int sp__proto_put_metadata(struct sp_buffer *out, const struct proto_run *map,
                           sp_error *err)
{
    const struct proto_text_entry *entries = map->items;
    int rc = sp__buf_append(out, "{", 1, err);
    for (size_t i = 0; rc == SP_OK && i < map->count; i++) {
        const struct proto_text_entry *entry = &entries[i];
        if (i > 0) {
            rc = sp__buf_append(out, ",", 1, err);
        }
        if (rc == SP_OK) {
            rc = sp__json_put_string(out, entry->key, strlen(entry->key), err);
        }
        if (rc == SP_OK) {
            rc = sp__buf_append(out, ":", 1, err);
        }
        if (rc == SP_OK) {
            rc = sp__json_put_string(out, entry->text, strlen(entry->text), err);
        }
    }
    return rc < 0 ? rc : sp__buf_append(out, "}", 2, err); /* and the end of the text */
}

/* A text as C has it, at *at, which moves behind it. */
static const char *place(char **at, const char *raw, size_t size, int escaped)
{
    char *text = *at;
    if (escaped) {
        size = sp__json_unescape(raw, size, text);
    } else {
        memcpy(text, raw, size);
    }
    text[size] = '\0';
    *at += size + 1;
    return text;
}

/* Half a surrogate pair is nothing that a text of protobuf can hold. */
static void place_entry(char **at, const struct json_member *member,
                        struct proto_text_entry *ret)
{
    int is_text = sp__json_kind(member->value, member->value_size) == '"';
    ret->key = place(at, member->key, member->key_size, member->key_escaped);
    ret->text = is_text ? place(at, member->value + 1, member->value_size - 2, 1)
                        : place(at, member->value, member->value_size, 0);
    if (!sp__json_is_utf8(ret->key, strlen(ret->key))) {
        ret->key = "";
    }
    if (!sp__json_is_utf8(ret->text, strlen(ret->text))) {
        ret->text = "";
    }
}

int sp__proto_get_metadata(const char *object, struct proto_memory *memory,
                           struct proto_run *ret, sp_error *err)
{
    size_t size = strlen(object);
    struct json_member member;
    size_t count = 0;
    for (size_t at = 0; sp__json_next_member(object, size, &at, &member);) {
        count++;
    }
    *ret = (struct proto_run){0};
    if (count == 0) {
        return SP_OK;
    }
    /* A member takes five characters more than its key and value: quotes, colon, comma
     * or brace. Two of those become the ends of the texts. */
    struct proto_text_entry *entries =
        sp__proto_memory_take(memory, count * sizeof *entries + size, err);
    if (entries == NULL) {
        return SP_ERR_NOMEM;
    }
    char *text = (char *)(entries + count);
    *ret = (struct proto_run){entries, count};
    for (size_t i = 0, at = 0; i < count; i++) {
        (void)sp__json_next_member(object, size, &at, &member);
        place_entry(&text, &member, &entries[i]);
    }
    return SP_OK;
}
