/* SPDX-License-Identifier: MIT */
/*
 * JSON to Ruby objects.
 *
 * The reader of src/wire checks the text and reports what it meets; this file answers
 * each report by making an object and putting it into the innermost open container. The
 * open containers stand in an array on the C stack, which Ruby's collector scans, so
 * nothing of it needs to be undone when making an object raises.
 */
#include <ruby/encoding.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bridge.h"
#include "wire/tensor.h"

struct open_container {
    VALUE object;
    VALUE key; /* of the member whose value comes next */
    int is_list;
    int is_part; /* stands for a part */
};

struct builder {
    const struct part_source *parts;
    int symbols;
    VALUE root;
    unsigned depth;
    struct open_container open[SP__JSON_DEPTH_MAX + 1];
};

/* ---- parts ---- */

static int is_part_key(const char *key, size_t n)
{
    enum { TENSOR = sizeof SP__TENSOR_KEY - 1, BYTES = sizeof SP__BYTES_KEY - 1 };
    return (n == TENSOR && memcmp(key, SP__TENSOR_KEY, n) == 0) ||
           (n == BYTES && memcmp(key, SP__BYTES_KEY, n) == 0);
}

NORETURN(static void bad(const char *what));
static void bad(const char *what)
{
    rb_raise(sp__rb_bridge.bad_args, "what stands for a tensor or bytes: %s", what);
}

static uint64_t size_of(VALUE value)
{
    if (!RB_INTEGER_TYPE_P(value) ||
        RTEST(rb_funcall(value, rb_intern("<"), 1, INT2FIX(0)))) {
        bad("a size that is no integer from 0 on");
    }
    if (rb_absint_size(value, NULL) > sizeof(uint64_t)) {
        bad("a size that is too large");
    }
    return NUM2ULL(value);
}

static VALUE member(VALUE hash, const char *name)
{
    return rb_hash_lookup(hash, rb_str_new_cstr(name));
}

/* A number of elements times their size: as many bytes as the shape says. */
static uint64_t tensor_bytes(VALUE dtype, VALUE shape)
{
    uint64_t sizes[SP_TENSOR_DIMS_MAX];
    if (!RB_TYPE_P(dtype, T_STRING) || !RB_TYPE_P(shape, T_ARRAY)) {
        bad("a tensor needs a dtype and a shape");
    }
    int code = sp_dtype_of_name(StringValueCStr(dtype));
    if (code == SP_DTYPE_NONE) {
        bad("a dtype that is none: only numbers travel as bytes");
    }
    size_t dims = (size_t)RARRAY_LEN(shape);
    if (dims > SP_TENSOR_DIMS_MAX) {
        bad("more than 32 dimensions");
    }
    for (size_t i = 0; i < dims; i++) {
        sizes[i] = size_of(rb_ary_entry(shape, (long)i));
    }
    size_t bytes;
    if (sp__tensor_size(code, sizes, dims, &bytes, NULL) < 0) {
        bad("a shape that is too large");
    }
    return bytes;
}

/* What an object with one member, __tensor__ or __bytes__, stands for. */
static VALUE part_of(const struct part_source *source, VALUE hash)
{
    VALUE tensor = member(hash, SP__TENSOR_KEY);
    VALUE facts = NIL_P(tensor) ? member(hash, SP__BYTES_KEY) : tensor;
    if (RHASH_SIZE(hash) != 1 || !RB_TYPE_P(facts, T_HASH)) {
        bad("no description of it, or members beside it");
    }
    VALUE name = member(facts, "part");
    VALUE at_value = member(facts, "at");
    uint64_t at = NIL_P(at_value) ? 0 : size_of(at_value);
    uint64_t size = NIL_P(tensor)
                        ? size_of(member(facts, "size"))
                        : tensor_bytes(member(facts, "dtype"), member(facts, "shape"));
    if (!NIL_P(name) && !RB_TYPE_P(name, T_STRING)) {
        bad("a part's name that is no text");
    }
    sp_bytes part;
    if (!source->find(source->user, NIL_P(name) ? "" : StringValueCStr(name), &part)) {
        bad("a part that is not there");
    }
    if (at > part.size || size > part.size - at) {
        bad("more bytes than the part has");
    }
    VALUE bytes = rb_str_new((const char *)part.data + at, (long)size);
    if (NIL_P(tensor)) {
        return bytes;
    }
    return rb_funcall(sp__rb_bridge.tensor, rb_intern("new"), 3, member(facts, "dtype"),
                      member(facts, "shape"), bytes);
}

/* ---- building ---- */

static int place(struct builder *builder, VALUE value)
{
    if (builder->depth == 0) {
        builder->root = value;
        return 0;
    }
    struct open_container *top = &builder->open[builder->depth - 1];
    if (top->is_list) {
        (void)rb_ary_push(top->object, value);
    } else {
        (void)rb_hash_aset(top->object, top->key, value);
    }
    return 0;
}

static int open_one(struct builder *builder, VALUE container, int is_list)
{
    builder->open[builder->depth++] =
        (struct open_container){.object = container, .key = Qnil, .is_list = is_list};
    return 0;
}

static int on_object_begin(void *user)
{
    return open_one(user, rb_hash_new(), 0);
}

static int on_array_begin(void *user)
{
    return open_one(user, rb_ary_new(), 1);
}

static int on_end(void *user)
{
    struct builder *builder = user;
    struct open_container *top = &builder->open[--builder->depth];
    return place(builder,
                 top->is_part ? part_of(builder->parts, top->object) : top->object);
}

/* The result is never longer than what it came from. */
static VALUE unescaped(const char *raw, size_t n)
{
    VALUE text = rb_utf8_str_new(NULL, (long)n);
    rb_str_set_len(text, (long)sp__json_unescape(raw, n, RSTRING_PTR(text)));
    return text;
}

static int on_key(void *user, const char *raw, size_t n, int escaped)
{
    struct builder *builder = user;
    struct open_container *top = &builder->open[builder->depth - 1];
    VALUE key = escaped ? unescaped(raw, n)
                        : rb_enc_interned_str(raw, (long)n, rb_utf8_encoding());
    if (builder->parts != NULL && is_part_key(raw, n)) {
        top->is_part = 1;
    } else if (builder->symbols && builder->depth == 1) {
        key = rb_to_symbol(key);
    }
    top->key = key;
    return 0;
}

static int on_string(void *user, const char *raw, size_t n, int escaped)
{
    return place(user, escaped ? unescaped(raw, n) : rb_utf8_str_new(raw, (long)n));
}

static VALUE integer_of(const char *text, size_t n)
{
    enum { DIGITS_SHORT = 18 }; /* always fit 64 bits */
    int negative = text[0] == '-';
    size_t digits = n - (size_t)negative;
    if (digits > DIGITS_SHORT) {
        return rb_str_to_inum(rb_str_new(text, (long)n), 10, 0);
    }
    long long value = 0;
    for (size_t i = (size_t)negative; i < n; i++) {
        value = value * 10 + (text[i] - '0');
    }
    return LL2NUM(negative ? -value : value);
}

static VALUE real_of(const char *text, size_t n)
{
    char small[64];
    if (n < sizeof small) {
        memcpy(small, text, n);
        small[n] = '\0';
        return DBL2NUM(strtod(small, NULL));
    }
    VALUE copy = rb_str_new(text, (long)n);
    double value = strtod(StringValueCStr(copy), NULL);
    return DBL2NUM(value);
}

static int on_number(void *user, const char *text, size_t n, enum json_number kind)
{
    switch (kind) {
    case JSON_INTEGER:
        return place(user, integer_of(text, n));
    case JSON_REAL:
        return place(user, real_of(text, n));
    case JSON_INF:
        return place(user, DBL2NUM(HUGE_VAL));
    case JSON_NEG_INF:
        return place(user, DBL2NUM(-HUGE_VAL));
    case JSON_NAN:
    default:
        return place(user, DBL2NUM(nan("")));
    }
}

static int on_literal(void *user, int value)
{
    return place(user, value < 0 ? Qnil : value > 0 ? Qtrue : Qfalse);
}

VALUE sp__rb_decode(const struct part_source *parts, sp_bytes text, int symbols,
                    sp_error *err)
{
    static const struct json_handler handler = {
        .object_begin = on_object_begin,
        .object_end = on_end,
        .array_begin = on_array_begin,
        .array_end = on_end,
        .key = on_key,
        .string = on_string,
        .number = on_number,
        .literal = on_literal,
    };
    struct builder builder;
    builder.parts = parts;
    builder.symbols = symbols;
    builder.root = Qnil;
    builder.depth = 0;
    int rc = sp__json_read(text.data, text.size, SP__JSON_DEPTH_MAX, &handler, &builder,
                           err);
    return rc < 0 ? Qundef : builder.root;
}
