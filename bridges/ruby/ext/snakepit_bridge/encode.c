/* SPDX-License-Identifier: MIT */
/*
 * Ruby objects to JSON.
 *
 * Text leaves as UTF-8; only what JSON demands and lone surrogates are escaped. NaN and
 * the infinities leave as NaN, Infinity and -Infinity, which the host's reader takes.
 * Bytes and large tensors leave beside the JSON (snakepit/tensor.h).
 *
 * The containers being written stand in encoder->path: that finds circular references
 * and bounds the depth. User code may run in between (to_h of an object) and change what
 * is being written, so every length is read again. What raises leaves the encoder as it
 * is; the next encoding begins anew.
 */
#include <ruby/encoding.h>

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "bridge.h"
#include "wire/tensor.h"

/* The host refuses results far smaller; this only keeps a runaway from eating the
 * machine. */
#define RESULT_MAX_BYTES ((size_t)2 << 30)

enum { BUFFER_KEEP_BYTES = 1 << 20 };

static void put_value(struct encoder *encoder, VALUE value);

void sp__rb_encoder_init(struct encoder *encoder, const char *part)
{
    sp__buf_init(&encoder->out, RESULT_MAX_BYTES);
    sp__buf_init(&encoder->blob, SIZE_MAX / 2);
    encoder->part = part;
    encoder->parts = Qnil;
    encoder->parts_bytes = 0;
    encoder->depth = 0;
}

void sp__rb_encoder_fini(struct encoder *encoder)
{
    sp__buf_fini(&encoder->out);
    sp__buf_fini(&encoder->blob);
    encoder->parts = Qnil;
}

void sp__rb_encoder_mark(const struct encoder *encoder)
{
    rb_gc_mark(encoder->parts);
    for (unsigned i = 0; i < encoder->depth; i++) {
        rb_gc_mark(encoder->path[i]);
    }
}

/* ---- bytes ---- */

NORETURN(static void raise_for(sp_error *err));
static void raise_for(sp_error *err)
{
    int code = err->code;
    VALUE message = rb_str_new_cstr(err->message);
    sp_error_clear(err);
    if (code == SP_ERR_NOMEM) {
        rb_memerror();
    }
    rb_raise(rb_eArgError, "%" PRIsVALUE, message);
}

static inline void need(struct encoder *encoder, size_t n)
{
    sp_error err = {0};
    if (encoder->out.capacity - encoder->out.size < n &&
        sp__buf_reserve(&encoder->out, n, &err) < 0) {
        raise_for(&err);
    }
}

static inline void put_bytes(struct encoder *encoder, const void *data, size_t n)
{
    need(encoder, n);
    memcpy(encoder->out.data + encoder->out.size, data, n);
    encoder->out.size += n;
}

static inline void put_char(struct encoder *encoder, char c)
{
    put_bytes(encoder, &c, 1);
}

/* ---- text ---- */

/* What stands after the backslash, 'u' for \u00xx, 0 for characters that need none. */
static const char escapes[256] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b', 't', 'n', 'u', 'f',
    'r', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u',
    'u', 'u', 'u', 'u', 'u', 'u', 0,   0,   '"', 0,   0,   0,   ['\\'] = '\\',
};

static void put_unit(struct encoder *encoder, unsigned unit)
{
    static const char hex[] = "0123456789abcdef";
    char out[6] = {'\\',
                   'u',
                   hex[(unit >> 12) & 15],
                   hex[(unit >> 8) & 15],
                   hex[(unit >> 4) & 15],
                   hex[unit & 15]};
    put_bytes(encoder, out, sizeof out);
}

static void put_escape(struct encoder *encoder, unsigned char c)
{
    if (escapes[c] == 'u') {
        put_unit(encoder, c);
        return;
    }
    char out[2] = {'\\', escapes[c]};
    put_bytes(encoder, out, sizeof out);
}

static void put_utf8(struct encoder *encoder, const unsigned char *text, size_t n)
{
    size_t from = 0;
    need(encoder, n + 2);
    for (size_t i = 0; i < n; i++) {
        if (escapes[text[i]] == 0) {
            continue;
        }
        put_bytes(encoder, text + from, i - from);
        put_escape(encoder, text[i]);
        from = i + 1;
    }
    put_bytes(encoder, text + from, n - from);
}

/* A surrogate that stands alone is no UTF-8, but JSON can say it and Ruby can hold it. */
static int is_surrogate(const unsigned char *text, size_t n)
{
    return n >= 3 && text[0] == 0xED && (text[1] & 0xE0) == 0xA0 &&
           (text[2] & 0xC0) == 0x80;
}

/* Text that Ruby holds for broken: with surrogates it is not. */
static void put_surrogates(struct encoder *encoder, const unsigned char *text, size_t n)
{
    size_t from = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_surrogate(text + i, n - i)) {
            continue;
        }
        if (!sp__json_is_utf8((const char *)text + from, i - from)) {
            break;
        }
        put_utf8(encoder, text + from, i - from);
        put_unit(encoder, 0xD000U | (text[i + 1] & 0x3FU) << 6 | (text[i + 2] & 0x3FU));
        i += 2;
        from = i + 1;
    }
    if (!sp__json_is_utf8((const char *)text + from, n - from)) {
        rb_raise(rb_eEncodingError, "a String that is no UTF-8: String#b sends bytes");
    }
    put_utf8(encoder, text + from, n - from);
}

int sp__rb_is_bytes(VALUE value)
{
    return RB_TYPE_P(value, T_STRING) &&
           rb_enc_get_index(value) == rb_ascii8bit_encindex();
}

static void put_text(struct encoder *encoder, VALUE text)
{
    int encoding = rb_enc_get_index(text);
    if (encoding != rb_utf8_encindex() && encoding != rb_usascii_encindex() &&
        encoding != rb_ascii8bit_encindex()) {
        text = rb_str_encode(text, rb_enc_from_encoding(rb_utf8_encoding()), 0, Qnil);
    }
    put_char(encoder, '"');
    const unsigned char *data = (const unsigned char *)RSTRING_PTR(text);
    size_t n = (size_t)RSTRING_LEN(text);
    if (rb_enc_str_coderange(text) == ENC_CODERANGE_BROKEN ||
        encoding == rb_ascii8bit_encindex()) {
        put_surrogates(encoder, data, n);
    } else {
        put_utf8(encoder, data, n);
    }
    put_char(encoder, '"');
    RB_GC_GUARD(text);
}

/* ---- numbers ---- */

static void put_small_integer(struct encoder *encoder, long value)
{
    char digits[24];
    char *at = digits + sizeof digits;
    unsigned long rest = value < 0 ? 0UL - (unsigned long)value : (unsigned long)value;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0) {
        *--at = '-';
    }
    put_bytes(encoder, at, (size_t)(digits + sizeof digits - at));
}

static void put_string_bytes(struct encoder *encoder, VALUE text)
{
    put_bytes(encoder, RSTRING_PTR(text), (size_t)RSTRING_LEN(text));
    RB_GC_GUARD(text);
}

static void put_float(struct encoder *encoder, VALUE object)
{
    double value = RFLOAT_VALUE(object);
    if (isnan(value)) {
        put_bytes(encoder, "NaN", 3);
    } else if (isinf(value)) {
        put_bytes(encoder, value > 0 ? "Infinity" : "-Infinity", value > 0 ? 8 : 9);
    } else {
        put_string_bytes(encoder,
                         rb_obj_as_string(object)); /* the shortest exact one */
    }
}

/* ---- parts ---- */

/* Keep the bytes; returns where in the binary they will stand. */
static size_t add_part(struct encoder *encoder, VALUE bytes)
{
    size_t at =
        (encoder->parts_bytes + SP__PART_ALIGN - 1) / SP__PART_ALIGN * SP__PART_ALIGN;
    if (NIL_P(encoder->parts)) {
        encoder->parts = rb_ary_new();
    }
    (void)rb_ary_push(encoder->parts, rb_str_new_frozen(bytes));
    encoder->parts_bytes = at + (size_t)RSTRING_LEN(bytes);
    return at;
}

static void put_part_bytes(struct encoder *encoder, VALUE bytes)
{
    sp_error err = {0};
    size_t at = add_part(encoder, bytes);
    if (sp__bytes_put(&encoder->out, (uint64_t)RSTRING_LEN(bytes), encoder->part, at,
                      &err) < 0) {
        raise_for(&err);
    }
}

/* Large ones leave as bytes, others as lists: every language reads those. */
static void put_tensor(struct encoder *encoder, VALUE object)
{
    VALUE bytes = rb_funcall(object, rb_intern("bytes"), 0);
    VALUE dtype = rb_funcall(object, rb_intern("dtype"), 0);
    VALUE shape = rb_funcall(object, rb_intern("shape"), 0);
    Check_Type(bytes, T_STRING);
    Check_Type(shape, T_ARRAY);
    if (RSTRING_LEN(bytes) <= SP_BINARY_MIN_BYTES) {
        put_value(encoder, rb_funcall(object, rb_intern("to_a"), 0));
        return;
    }
    sp_error err = {0};
    sp_tensor tensor = {.dtype = sp_dtype_of_name(StringValueCStr(dtype)),
                        .dims = (uint32_t)RARRAY_LEN(shape),
                        .data = RSTRING_PTR(bytes),
                        .bytes = (size_t)RSTRING_LEN(bytes)};
    for (long i = 0; i < RARRAY_LEN(shape) && i < SP_TENSOR_DIMS_MAX; i++) {
        tensor.shape[i] = NUM2ULL(rb_ary_entry(shape, i));
    }
    if (sp_tensor_check(&tensor, &err) < 0) {
        raise_for(&err);
    }
    size_t at = add_part(encoder, bytes);
    if (sp__tensor_put(&encoder->out, &tensor, encoder->part, at, &err) < 0) {
        raise_for(&err);
    }
}

sp_bytes sp__rb_encoded_parts(struct encoder *encoder)
{
    if (NIL_P(encoder->parts)) {
        return (sp_bytes){0};
    }
    long count = RARRAY_LEN(encoder->parts);
    VALUE first = rb_ary_entry(encoder->parts, 0);
    if (count == 1) {
        return (sp_bytes){RSTRING_PTR(first), (size_t)RSTRING_LEN(first)};
    }
    encoder->blob.size = 0;
    if (sp__buf_reserve(&encoder->blob, encoder->parts_bytes, NULL) < 0) {
        rb_memerror();
    }
    for (long i = 0; i < count; i++) {
        VALUE part = rb_ary_entry(encoder->parts, i);
        size_t n = (size_t)RSTRING_LEN(part);
        size_t end = encoder->blob.size;
        size_t at = (end + SP__PART_ALIGN - 1) / SP__PART_ALIGN * SP__PART_ALIGN;
        memset(encoder->blob.data + end, 0, at - end);
        memcpy(encoder->blob.data + at, RSTRING_PTR(part), n);
        encoder->blob.size = at + n;
    }
    return (sp_bytes){encoder->blob.data, encoder->blob.size};
}

/* ---- containers ---- */

static void enter(struct encoder *encoder, VALUE container)
{
    for (unsigned i = 0; i < encoder->depth; i++) {
        if (encoder->path[i] == container) {
            rb_raise(rb_eArgError,
                     "circular reference: a %" PRIsVALUE " contains itself",
                     rb_obj_class(container));
        }
    }
    if (encoder->depth == SP__JSON_DEPTH_MAX) {
        rb_raise(rb_eArgError, "nested deeper than %d levels", SP__JSON_DEPTH_MAX);
    }
    encoder->path[encoder->depth++] = container;
}

static void put_array(struct encoder *encoder, VALUE array)
{
    enter(encoder, array);
    put_char(encoder, '[');
    for (long i = 0; i < RARRAY_LEN(array); i++) {
        if (i > 0) {
            put_char(encoder, ',');
        }
        put_value(encoder, RARRAY_AREF(array, i));
    }
    put_char(encoder, ']');
    encoder->depth--;
}

struct members {
    struct encoder *encoder;
    int any;
};

static int put_member(VALUE key, VALUE value, VALUE user)
{
    struct members *members = (struct members *)user;
    struct encoder *encoder = members->encoder;
    if (members->any) {
        put_char(encoder, ',');
    }
    members->any = 1;
    put_text(encoder, RB_TYPE_P(key, T_STRING) ? key : rb_obj_as_string(key));
    put_char(encoder, ':');
    put_value(encoder, value);
    return ST_CONTINUE;
}

static void put_hash(struct encoder *encoder, VALUE hash)
{
    struct members members = {.encoder = encoder};
    enter(encoder, hash);
    put_char(encoder, '{');
    rb_hash_foreach(hash, put_member, (VALUE)&members);
    put_char(encoder, '}');
    encoder->depth--;
}

/* ---- everything ---- */

/* What JSON cannot hold: Ruby code answers with something it can. Its answer stands in
 * the path as well, so that one which answers with itself for ever is found. */
static void put_other(struct encoder *encoder, VALUE value)
{
    if (RTEST(rb_obj_is_kind_of(value, sp__rb_bridge.tensor))) {
        put_tensor(encoder, value);
        return;
    }
    enter(encoder, value);
    put_value(encoder,
              rb_funcall(sp__rb_bridge.module, rb_intern("substitute"), 1, value));
    encoder->depth--;
}

static void put_value(struct encoder *encoder, VALUE value)
{
    switch ((int)rb_type(value)) { /* not all of them are for us */
    case T_NIL:
        put_bytes(encoder, "null", 4);
        return;
    case T_TRUE:
        put_bytes(encoder, "true", 4);
        return;
    case T_FALSE:
        put_bytes(encoder, "false", 5);
        return;
    case T_FIXNUM:
        put_small_integer(encoder, FIX2LONG(value));
        return;
    case T_BIGNUM:
        put_string_bytes(encoder, rb_big2str(value, 10));
        return;
    case T_FLOAT:
        put_float(encoder, value);
        return;
    case T_STRING:
        if (sp__rb_is_bytes(value)) {
            put_part_bytes(encoder, value);
        } else {
            put_text(encoder, value);
        }
        return;
    case T_SYMBOL:
        put_text(encoder, rb_sym2str(value));
        return;
    case T_ARRAY:
        put_array(encoder, value);
        return;
    case T_HASH:
        put_hash(encoder, value);
        return;
    default:
        put_other(encoder, value);
        return;
    }
}

void sp__rb_encode(struct encoder *encoder, VALUE value)
{
    encoder->out.size = 0;
    encoder->blob.size = 0;
    sp__buf_shrink(&encoder->out, BUFFER_KEEP_BYTES);
    sp__buf_shrink(&encoder->blob, BUFFER_KEEP_BYTES);
    encoder->parts = Qnil;
    encoder->parts_bytes = 0;
    encoder->depth = 0;
    put_value(encoder, value);
}
