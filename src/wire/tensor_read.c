/* SPDX-License-Identifier: MIT */
/*
 * Finding the place in JSON where a tensor or bytes are spoken of, and reading it.
 *
 * One walk through the text with the checking reader. The walk counts the containers that
 * lie on the way to the pointer's place; what begins when all of its steps are taken is
 * the value meant. If that is an object with one of our two keys, its members are taken
 * as they pass; anything they should not be is a bad value, told with what was found.
 */
#include <string.h>

#include "base/error.h"
#include "wire/json.h"
#include "wire/tensor.h"

/* What the next value inside the description is for. */
enum member { NO_MEMBER, DTYPE, SHAPE, PART, AT, SIZE };

enum { INSIDE = 1, DESCRIBED = 2, IN_SHAPE = 3 }; /* containers from the target on */

struct walk {
    const char *step; /* of the pointer, the next one, after its '/' */
    int more;         /* there is one */
    int wanted;       /* the member that comes next is on the way */
    unsigned depth;   /* open containers */
    unsigned on_way;  /* the way has led into so many of them, from the outside */
    int is_array;     /* the last of those */
    uint64_t index;   /* of the next element there */
    int found;        /* the target has begun ... */
    unsigned target;  /* ... below so many containers */
    int over;         /* it has ended, or cannot come any more */
    int is_ours;      /* it has one of our keys */
    int others;       /* it has other members too */
    enum member member;
    unsigned seen; /* a bit for each member */
    struct part_ref *ref;
    sp_error *err;
};

/* ---- the pointer ---- */

static int is_step(const struct walk *walk, const char *key, size_t n)
{
    const char *step = walk->step;
    size_t i = 0;
    for (; *step != '\0' && *step != '/'; step++, i++) {
        char c = *step;
        if (c == '~' && (step[1] == '0' || step[1] == '1')) {
            c = *++step == '0' ? '~' : '/';
        }
        if (i >= n || key[i] != c) {
            return 0;
        }
    }
    return i == n;
}

static int is_index(const struct walk *walk, uint64_t index)
{
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + index % 10);
        index /= 10;
    } while (index > 0);
    return is_step(walk, digits + at, sizeof digits - at);
}

static void take_step(struct walk *walk)
{
    while (*walk->step != '\0' && *walk->step != '/') {
        walk->step++;
    }
    walk->more = *walk->step == '/';
    walk->step += walk->more;
}

/* ---- the description ---- */

static int bad(struct walk *walk, const char *what)
{
    return sp__fail(walk->err, SP_ERR_BAD_VALUE, "%s", what);
}

static unsigned depth_inside(const struct walk *walk)
{
    return walk->found && !walk->over ? walk->depth - walk->target : 0;
}

static int is_described(const struct walk *walk)
{
    return walk->is_ours && depth_inside(walk) >= DESCRIBED;
}

static int described_key(struct walk *walk, const char *raw, size_t n)
{
    static const struct {
        const char *name;
        enum member member;
        int of_tensor, of_bytes;
    } members[] = {{"dtype", DTYPE, 1, 0},
                   {"shape", SHAPE, 1, 0},
                   {"part", PART, 1, 1},
                   {"at", AT, 1, 1},
                   {"size", SIZE, 0, 1}};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        int fits = walk->ref->is_tensor ? members[i].of_tensor : members[i].of_bytes;
        if (fits && strlen(members[i].name) == n &&
            memcmp(members[i].name, raw, n) == 0) {
            unsigned bit = 1u << members[i].member;
            walk->member = members[i].member;
            if (walk->seen & bit) {
                return sp__fail(walk->err, SP_ERR_BAD_VALUE, "\"%s\" stands twice",
                                members[i].name);
            }
            walk->seen |= bit;
            return 0;
        }
    }
    return sp__fail(walk->err, SP_ERR_BAD_VALUE, "a member \"%.*s\" that is not known",
                    (int)(n < 64 ? n : 64), raw);
}

static int described_string(struct walk *walk, const char *raw, size_t n, int escaped)
{
    char *part = walk->ref->part;
    if (walk->member == DTYPE && depth_inside(walk) == DESCRIBED) {
        char name[8] = "";
        memcpy(name, raw, n < sizeof name ? n : sizeof name - 1);
        walk->ref->tensor.dtype =
            n < sizeof name ? sp_dtype_of_name(name) : SP_DTYPE_NONE;
        if (walk->ref->tensor.dtype == SP_DTYPE_NONE) {
            return sp__fail(walk->err, SP_ERR_BAD_VALUE,
                            "dtype \"%.*s\": only numbers travel as bytes",
                            (int)(n < 64 ? n : 64), raw);
        }
        return 0;
    }
    if (walk->member != PART || depth_inside(walk) != DESCRIBED) {
        return bad(walk, "text where a number belongs");
    }
    if (n > SP_PART_NAME_MAX) {
        return sp__fail(walk->err, SP_ERR_BAD_VALUE,
                        "a part's name of %zu bytes, at most %d", n, SP_PART_NAME_MAX);
    }
    if (escaped) {
        n = sp__json_unescape(raw, n, part);
    } else if (n > 0) {
        memcpy(part, raw, n);
    }
    part[n] = '\0';
    return memchr(part, 0, n) == NULL ? 0 : bad(walk, "a part's name with a zero byte");
}

static int described_number(struct walk *walk, const char *text, size_t n,
                            enum json_number kind)
{
    struct part_ref *ref = walk->ref;
    uint64_t value = 0;
    if (kind != JSON_INTEGER || text[0] == '-' || n > 18) {
        return sp__fail(walk->err, SP_ERR_BAD_VALUE, "%.*s where a size belongs",
                        (int)(n < 64 ? n : 64), text);
    }
    for (size_t i = 0; i < n; i++) {
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (depth_inside(walk) == IN_SHAPE) {
        if (ref->tensor.dims == SP_TENSOR_DIMS_MAX) {
            return sp__fail(walk->err, SP_ERR_TOO_DEEP,
                            "a tensor of more than %d dimensions", SP_TENSOR_DIMS_MAX);
        }
        ref->tensor.shape[ref->tensor.dims++] = value;
    } else if (walk->member == AT) {
        ref->at = value;
    } else if (walk->member == SIZE) {
        ref->size = value;
    } else {
        return bad(walk, "a number where something else belongs");
    }
    return 0;
}

/* ---- the walk ---- */

enum place { ASIDE, ON_WAY, TARGET };

/* Where the value stands that begins now. */
static enum place place_of(struct walk *walk)
{
    if (walk->found || walk->over || walk->depth != walk->on_way) {
        return ASIDE;
    }
    if (walk->depth > 0) {
        if (walk->is_array) {
            walk->wanted = is_index(walk, walk->index++);
        }
        if (!walk->wanted) {
            return ASIDE;
        }
        take_step(walk);
        walk->wanted = 0;
    }
    walk->found = !walk->more;
    walk->target = walk->depth;
    return walk->found ? TARGET : ON_WAY;
}

static int container_begin(struct walk *walk, int is_array)
{
    unsigned inside = depth_inside(walk);
    if (is_described(walk)) {
        if (!is_array || inside != DESCRIBED || walk->member != SHAPE) {
            return bad(walk, "a container where a plain value belongs");
        }
    } else if (walk->is_ours && inside == INSIDE && is_array) {
        return bad(walk, "a list where a description belongs");
    } else if (place_of(walk) == ON_WAY) {
        walk->on_way++;
        walk->is_array = is_array;
        walk->index = 0;
    }
    walk->depth++;
    return 0;
}

static int on_object_begin(void *user)
{
    return container_begin(user, 0);
}

static int on_array_begin(void *user)
{
    return container_begin(user, 1);
}

static int on_end(void *user)
{
    struct walk *walk = user;
    walk->depth--;
    walk->over |=
        walk->found ? walk->depth == walk->target : walk->depth < walk->on_way;
    return 0;
}

static int is_text(const char *raw, size_t n, const char *text)
{
    return strlen(text) == n && memcmp(raw, text, n) == 0;
}

static int on_key(void *user, const char *raw, size_t n, int escaped)
{
    struct walk *walk = user;
    char plain[512];
    if (is_described(walk)) {
        return described_key(walk, raw, n);
    }
    if (depth_inside(walk) == INSIDE) {
        int is_tensor = is_text(raw, n, SP__TENSOR_KEY);
        if (is_tensor || is_text(raw, n, SP__BYTES_KEY)) {
            walk->others |= walk->is_ours;
            walk->is_ours = 1;
            walk->ref->is_tensor = is_tensor;
        } else {
            walk->others = 1;
        }
        return 0;
    }
    if (escaped) {
        n = n <= sizeof plain ? sp__json_unescape(raw, n, plain) : 0;
        raw = plain;
    }
    walk->wanted = !walk->found && walk->depth == walk->on_way && is_step(walk, raw, n);
    return 0;
}

/* A value without an inside: where it stands decides whether it may. */
static int scalar(struct walk *walk)
{
    if (is_described(walk) || (walk->is_ours && depth_inside(walk) == INSIDE)) {
        return bad(walk, "a value of another kind than belongs there");
    }
    walk->over |= place_of(walk) != ASIDE;
    return 0;
}

static int on_string(void *user, const char *raw, size_t n, int escaped)
{
    struct walk *walk = user;
    return is_described(walk) ? described_string(walk, raw, n, escaped) : scalar(walk);
}

static int on_number(void *user, const char *text, size_t n, enum json_number kind)
{
    struct walk *walk = user;
    return is_described(walk) ? described_number(walk, text, n, kind) : scalar(walk);
}

static int on_literal(void *user, int value)
{
    return scalar(user);
}

static const struct json_handler walking = {
    .object_begin = on_object_begin,
    .object_end = on_end,
    .array_begin = on_array_begin,
    .array_end = on_end,
    .key = on_key,
    .string = on_string,
    .number = on_number,
    .literal = on_literal,
};

/* The description has passed: is it whole? */
static int finish(struct walk *walk, sp_error *err)
{
    struct part_ref *ref = walk->ref;
    unsigned needed = ref->is_tensor ? 1u << DTYPE | 1u << SHAPE : 1u << SIZE;
    if (!walk->is_ours) {
        return 0;
    }
    if (walk->others) {
        return sp__fail(err, SP_ERR_BAD_VALUE, "\"%s\" with members beside it",
                        ref->is_tensor ? SP__TENSOR_KEY : SP__BYTES_KEY);
    }
    if ((walk->seen & needed) != needed) {
        return sp__fail(err, SP_ERR_BAD_VALUE, "%s",
                        ref->is_tensor ? "a tensor needs a dtype and a shape"
                                       : "bytes need a size");
    }
    if (ref->is_tensor) {
        size_t bytes;
        int rc = sp__tensor_size(ref->tensor.dtype, ref->tensor.shape, ref->tensor.dims,
                                 &bytes, err);
        if (rc < 0) {
            return rc;
        }
        ref->size = bytes;
    }
    return 1;
}

int sp__part_read(sp_bytes json, const char *pointer, struct part_ref *ret,
                  sp_error *err)
{
    sp_error own = {0};
    *ret = (struct part_ref){0};
    if (*pointer != '\0' && *pointer != '/') {
        return sp__fail(err, SP_ERR_INVAL, "the pointer \"%.64s\" begins without '/'",
                        pointer);
    }
    struct walk walk = {.step = pointer + (*pointer == '/'),
                        .more = *pointer == '/',
                        .ref = ret,
                        .err = err != NULL ? err : &own};
    int rc =
        sp__json_read(json.data, json.size, SP__JSON_DEPTH_MAX, &walking, &walk, err);
    if (rc == SP_OK && !walk.found) {
        rc = sp__fail(err, SP_ERR_NOT_FOUND, "nothing stands at \"%.64s\"", pointer);
    }
    if (rc == SP_OK) {
        rc = finish(&walk, err);
    }
    sp_error_clear(&own);
    return rc;
}

int sp__part_slice(const struct part_ref *ref, sp_bytes part, sp_bytes *ret,
                   sp_error *err)
{
    if (ref->at > part.size || ref->size > part.size - ref->at) {
        return sp__fail(err, SP_ERR_BAD_VALUE,
                        "%llu bytes from %llu on, the part \"%.64s\" has %zu",
                        (unsigned long long)ref->size, (unsigned long long)ref->at,
                        ref->part, part.size);
    }
    const uint8_t *data = part.data;
    *ret = (sp_bytes){data == NULL ? NULL : data + ref->at, (size_t)ref->size};
    return SP_OK;
}

SP_API int sp_tensor_find(sp_bytes json, const char *pointer, const sp_binary *parts,
                          size_t parts_count, sp_tensor *ret_tensor, sp_error *err)
{
    struct part_ref ref;
    sp_bytes slice = {0};
    if (pointer == NULL || ret_tensor == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a pointer and a place for the tensor are needed");
    }
    int rc = sp__part_read(json, pointer, &ref, err);
    if (rc < 0) {
        return rc;
    }
    if (rc == 0 || !ref.is_tensor) {
        return sp__fail(err, SP_ERR_BAD_VALUE, "what stands at \"%.64s\" is no tensor",
                        pointer);
    }
    for (size_t i = 0; i < parts_count; i++) {
        if (strcmp(parts[i].name != NULL ? parts[i].name : "", ref.part) == 0) {
            rc = sp__part_slice(&ref, parts[i].value, &slice, err);
            if (rc < 0) {
                return rc;
            }
            *ret_tensor = ref.tensor;
            ret_tensor->data = slice.data;
            ret_tensor->bytes = slice.size;
            sp_error_clear(err);
            return SP_OK;
        }
    }
    return sp__fail(err, SP_ERR_NOT_FOUND, "no part is named \"%.64s\"", ref.part);
}
