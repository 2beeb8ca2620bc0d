/* SPDX-License-Identifier: MIT */
/*
 * JSON as an enemy writes it. Checking and telling agree; what is told is balanced and
 * lies inside the text; strings that are undone and written again are accepted; walking
 * an accepted object finds as many members as the reader told.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)    \
    do {                    \
        if (!(condition)) { \
            abort();        \
        }                   \
    } while (0)

struct told {
    const char *text;
    size_t size;
    int depth;
    size_t keys; /* of the outermost object */
};

static int begin(void *user)
{
    ((struct told *)user)->depth++;
    return 0;
}

static int end(void *user)
{
    CHECK(((struct told *)user)->depth-- > 0);
    return 0;
}

static int string(void *user, const char *raw, size_t n, int escaped)
{
    const struct told *told = user;
    CHECK(raw > told->text && raw + n < told->text + told->size);
    CHECK(escaped == (memchr(raw, '\\', n) != NULL));
    char *plain = malloc(n + 1);
    CHECK(plain != NULL);
    size_t size = sp__json_unescape(raw, n, plain);
    CHECK(size <= n);
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX / 2);
    CHECK(sp__json_put_string(&out, plain, size, NULL) == SP_OK);
    CHECK(sp__json_read((char *)out.data, out.size, 0, NULL, NULL, NULL) == SP_OK);
    if (sp__json_is_utf8(plain, size)) {
        char *again = malloc(out.size);
        CHECK(again != NULL);
        CHECK(sp__json_unescape((char *)out.data + 1, out.size - 2, again) == size);
        CHECK(memcmp(again, plain, size) == 0);
        free(again);
    }
    sp__buf_fini(&out);
    free(plain);
    return 0;
}

static int key(void *user, const char *raw, size_t n, int escaped)
{
    struct told *told = user;
    told->keys += told->depth == 1;
    return string(user, raw, n, escaped);
}

static int number(void *user, const char *text, size_t n, enum json_number kind)
{
    const struct told *told = user;
    CHECK(n > 0 && text >= told->text && text + n <= told->text + told->size);
    CHECK(kind != JSON_INTEGER || strcspn(text, ".eE") >= n);
    return 0;
}

static int literal(void *user, int value)
{
    CHECK(value >= -1 && value <= 1);
    return 0;
}

static size_t walk(const char *text, size_t size)
{
    size_t members = 0;
    size_t pos = 0;
    struct json_member member;
    while (sp__json_next_member(text, size, &pos, &member)) {
        CHECK(pos <= size && member.value + member.value_size <= text + size);
        members++;
    }
    return members;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct json_handler handler = {begin, end,    begin,  end,
                                                key,   string, number, literal};
    /* A terminated copy of its own: strcspn() above needs an end somewhere. */
    char *text = malloc(size + 1);
    CHECK(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    struct told told = {.text = text, .size = size};
    int checked = sp__json_read(text, size, 16, NULL, NULL, NULL);
    sp_error err = {0};
    CHECK(sp__json_read(text, size, 16, &handler, &told, &err) == checked);
    size_t members = walk(text, size);
    if (checked == SP_OK) {
        CHECK(told.depth == 0);
        CHECK(members == (sp__json_kind(text, size) == '{' ? told.keys : 0));
        CHECK(sp__json_kind(text, size) != 0);
        CHECK(sp__json_is_utf8(text, size));
    } else {
        CHECK(err.message[0] != '\0');
    }
    free(text);
    return 0;
}
