/* SPDX-License-Identifier: MIT */
/*
 * The binaries of a call, on the caller's thread before anything is sent.
 *
 * Those of a peer on the wire pass as they are. Those of a program are checked, and its
 * tensors become arguments of their names: the JSON that stands for them is put before
 * the closing brace of the argument object. Fails for what does not fit, and changes
 * nothing then.
 */
#include "wire/binaries.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "wire/json.h"
#include "wire/tensor.h"

static int check_one(const sp_binary *binary, sp_error *err)
{
    size_t n = binary->name == NULL ? 0 : strlen(binary->name);
    if (n == 0 || n > SP_PART_NAME_MAX || !sp__json_is_utf8(binary->name, n)) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a binary's name has 1 to %d bytes of UTF-8, not %zu",
                        SP_PART_NAME_MAX, n);
    }
    if (binary->tensor != NULL) {
        int rc = sp_tensor_check(binary->tensor, err);
        return rc < 0 ? sp__wrap(err, rc, "tensor '%.64s'", binary->name) : SP_OK;
    }
    if (binary->value.size > 0 && binary->value.data == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "binary '%.64s' has %zu bytes and no data",
                        binary->name, binary->value.size);
    }
    return SP_OK;
}

static int is_argument(sp_bytes args, const char *name)
{
    struct json_member member;
    size_t at = 0;
    size_t n = strlen(name);
    while (sp__json_next_member(args.data, args.size, &at, &member)) {
        if (member.key_size == n && memcmp(member.key, name, n) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Put a tensor before the closing brace. */
static int add_argument(struct binaries *binaries, const sp_binary *binary,
                        sp_error *err)
{
    struct sp_buffer *text = &binaries->text;
    size_t brace = text->size - 1;
    while (text->data[brace] != '}') {
        brace--; /* it is an object: there is one */
    }
    size_t before = brace;
    while (before > 0 && strchr(" \t\r\n", text->data[before - 1]) != NULL) {
        before--;
    }
    int is_first = text->data[before - 1] == '{';
    text->size = brace;
    int rc = is_first ? SP_OK : sp__buf_append(text, ",", 1, err);
    if (rc == SP_OK) {
        rc = sp__json_put_string(text, binary->name, strlen(binary->name), err);
    }
    if (rc == SP_OK) {
        rc = sp__buf_append(text, ":", 1, err);
    }
    if (rc == SP_OK) {
        rc = sp__tensor_put(text, binary->tensor, binary->name, 0, err);
    }
    return rc == SP_OK ? sp__buf_append(text, "}", 1, err) : rc;
}

static int add_tensor(struct binaries *binaries, const sp_binary *binary, sp_error *err)
{
    sp_bytes args = binaries->args;
    if (sp__json_kind(args.data, args.size) != '{') {
        return sp__fail(err, SP_ERR_BAD_ARGS,
                        "tensor '%.64s' needs named arguments: pass an object",
                        binary->name);
    }
    if (is_argument(args, binary->name)) {
        return sp__fail(err, SP_ERR_BAD_ARGS,
                        "'%.64s' is an argument and a tensor at once", binary->name);
    }
    if (binaries->text.size == 0) {
        int rc = sp__buf_append(&binaries->text, args.data, args.size, err);
        if (rc < 0) {
            return rc;
        }
    }
    int rc = add_argument(binaries, binary, err);
    binaries->args = (sp_bytes){binaries->text.data, binaries->text.size};
    return rc;
}

static int read_given(struct binaries *binaries, const sp_binary *given, size_t count,
                      sp_error *err)
{
    if (given == NULL || count > SIZE_MAX / sizeof binaries->own[0]) {
        return sp__fail(err, SP_ERR_INVAL, "%zu binaries and no place of them", count);
    }
    binaries->own = sp__malloc(count * sizeof binaries->own[0]);
    if (binaries->own == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %zu binaries", count);
    }
    for (size_t i = 0; i < count; i++) {
        const sp_tensor *tensor = given[i].tensor;
        int rc = check_one(&given[i], err);
        if (rc == SP_OK && tensor != NULL) {
            rc = add_tensor(binaries, &given[i], err);
        }
        if (rc < 0) {
            return rc;
        }
        sp_bytes value =
            tensor != NULL ? (sp_bytes){tensor->data, tensor->bytes} : given[i].value;
        binaries->own[i] =
            (struct proto_pair){.key = sp_text(given[i].name), .value = value};
    }
    binaries->pairs = binaries->own;
    binaries->count = count;
    return SP_OK;
}

int sp__binaries_read(struct binaries *ret, const sp_binary *given, size_t count,
                      sp_error *err)
{
    sp__buf_init(&ret->text, SIZE_MAX / 2);
    ret->own = NULL;
    ret->bytes = 0;
    if (count > 0) {
        int rc = read_given(ret, given, count, err);
        if (rc < 0) {
            return rc;
        }
    }
    for (size_t i = 0; i < ret->count; i++) {
        size_t size = ret->pairs[i].value.size;
        if (size > SIZE_MAX / 2 - ret->bytes) {
            return sp__fail(err, SP_ERR_TOO_BIG, "binaries of more than %zu bytes",
                            SIZE_MAX / 2);
        }
        ret->bytes += size;
    }
    return SP_OK;
}

void sp__binaries_fini(struct binaries *binaries)
{
    sp__buf_fini(&binaries->text);
    sp__free(binaries->own);
}
