/* SPDX-License-Identifier: MIT */
/*
 * Python objects to JSON.
 *
 * Exact types go their short way; subclasses of str, int, float, list and dict are
 * written as what they are; every other object is handed to the fallback function,
 * whose answer is written in its place. Text leaves as UTF-8; only what JSON demands
 * and lone surrogates are escaped. NaN and the infinities leave as NaN, Infinity and
 * -Infinity, which the host's reader takes.
 *
 * The containers being written stand in encoder->path: that finds circular references
 * and bounds the depth. User code may run in between (the fallback, an items() of a
 * dict subclass) and change what is being written, so every element is held while it is
 * written and every length is read again.
 */
#include "codec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "wire/json_bytes.h"
#include "wire/tensor.h"

/* The host refuses results far smaller; this only keeps a runaway from eating the
 * machine. */
#define RESULT_MAX_BYTES ((size_t)2 << 30)

enum { BUFFER_KEEP_BYTES = 1 << 20 };

static int put_value(struct encoder *encoder, PyObject *value);

/* ---- bytes ---- */

static int no_room(sp_error *err)
{
    if (err->code == SP_ERR_NOMEM) {
        (void)PyErr_NoMemory();
    } else {
        PyErr_Format(PyExc_ValueError, "the value is larger than %zu bytes of JSON",
                     RESULT_MAX_BYTES);
    }
    sp_error_clear(err);
    return -1;
}

static inline int need(struct encoder *encoder, size_t n)
{
    if (encoder->out.capacity - encoder->out.size >= n) {
        return 0;
    }
    sp_error err = {0};
    if (sp__buf_reserve(&encoder->out, n, &err) < 0) {
        return no_room(&err);
    }
    return 0;
}

static inline int put_bytes(struct encoder *encoder, const void *data, size_t n)
{
    if (need(encoder, n) < 0) {
        return -1;
    }
    memcpy(encoder->out.data + encoder->out.size, data, n);
    encoder->out.size += n;
    return 0;
}

static inline int put_char(struct encoder *encoder, char c)
{
    return put_bytes(encoder, &c, 1);
}

/* ---- text ---- */

/* What stands after the backslash, 'u' for \u00xx, 0 for characters that need none. */
static const char escapes[128] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b', 't', 'n', 'u', 'f',
    'r', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u',
    'u', 'u', 'u', 'u', 'u', 'u', 0,   0,   '"', 0,   0,   0,   ['\\'] = '\\',
};

static size_t escape_unit(uint8_t *out, unsigned unit)
{
    static const char hex[] = "0123456789abcdef";
    out[0] = '\\';
    out[1] = 'u';
    out[2] = (uint8_t)hex[(unit >> 12) & 15];
    out[3] = (uint8_t)hex[(unit >> 8) & 15];
    out[4] = (uint8_t)hex[(unit >> 4) & 15];
    out[5] = (uint8_t)hex[unit & 15];
    return 6;
}

static size_t escape_ascii(uint8_t *out, unsigned char c)
{
    if (escapes[c] == 'u') {
        return escape_unit(out, c);
    }
    out[0] = '\\';
    out[1] = (uint8_t)escapes[c];
    return 2;
}

/* One character of text that is not all ASCII: at most 6 bytes. */
static size_t put_wide(uint8_t *out, Py_UCS4 c)
{
    if (c < 0x80) {
        if (escapes[c] != 0) {
            return escape_ascii(out, (unsigned char)c);
        }
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xC0 | (c >> 6));
        out[1] = (uint8_t)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c >= 0xD800 && c <= 0xDFFF) {
        return escape_unit(out, c); /* alone it has no UTF-8 */
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xE0 | (c >> 12));
        out[1] = (uint8_t)(0x80 | ((c >> 6) & 0x3F));
        out[2] = (uint8_t)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | (c >> 18));
    out[1] = (uint8_t)(0x80 | ((c >> 12) & 0x3F));
    out[2] = (uint8_t)(0x80 | ((c >> 6) & 0x3F));
    out[3] = (uint8_t)(0x80 | (c & 0x3F));
    return 4;
}

/* What needs no escape is what the reader calls plain. */
static int put_ascii(struct encoder *encoder, const uint8_t *text, size_t n)
{
    const uint8_t *end = text + n;
    for (;;) {
        const uint8_t *special = sp__json_skip_plain(text, end);
        if (put_bytes(encoder, text, (size_t)(special - text)) < 0) {
            return -1;
        }
        if (special == end) {
            return 0;
        }
        uint8_t escaped[6];
        if (put_bytes(encoder, escaped, escape_ascii(escaped, *special)) < 0) {
            return -1;
        }
        text = special + 1;
    }
}

static int put_text(struct encoder *encoder, PyObject *text)
{
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(text) < 0) {
        return -1;
    }
#endif
    size_t n = (size_t)PyUnicode_GET_LENGTH(text);
    if (put_char(encoder, '"') < 0) {
        return -1;
    }
    if (PyUnicode_IS_ASCII(text)) {
        if (put_ascii(encoder, PyUnicode_1BYTE_DATA(text), n) < 0) {
            return -1;
        }
        return put_char(encoder, '"');
    }

    enum { AT_ONCE = 512 }; /* characters for which room is asked at once */
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    for (size_t i = 0; i < n;) {
        size_t end = n - i < AT_ONCE ? n : i + AT_ONCE;
        if (need(encoder, (end - i) * 6) < 0) {
            return -1;
        }
        uint8_t *out = encoder->out.data + encoder->out.size;
        for (; i < end; i++) {
            out += put_wide(out, PyUnicode_READ(kind, data, (Py_ssize_t)i));
        }
        encoder->out.size = (size_t)(out - encoder->out.data);
    }
    return put_char(encoder, '"');
}

/* ---- numbers ---- */

static int put_small_integer(struct encoder *encoder, long long value)
{
    char digits[24];
    char *at = digits + sizeof digits;
    unsigned long long rest =
        value < 0 ? 0ULL - (unsigned long long)value : (unsigned long long)value;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0) {
        *--at = '-';
    }
    return put_bytes(encoder, at, (size_t)(digits + sizeof digits - at));
}

/* Beyond 64 bits: CPython's own conversion, and beyond its digit limit the helper. */
static int put_big_integer(struct encoder *encoder, PyObject *value)
{
    PyObject *text = PyLong_Type.tp_repr(value);
    if (text == NULL && PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear();
        text = sp__py_bigint("to_text", value);
    }
    if (text == NULL) {
        return -1;
    }
    Py_ssize_t n;
    const char *digits = PyUnicode_AsUTF8AndSize(text, &n);
    int rc = digits == NULL ? -1 : put_bytes(encoder, digits, (size_t)n);
    Py_DECREF(text);
    return rc;
}

static int put_integer(struct encoder *encoder, PyObject *value)
{
    int overflow;
    long long small = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0) {
        return put_big_integer(encoder, value);
    }
    if (small == -1 && PyErr_Occurred()) {
        return -1;
    }
    return put_small_integer(encoder, small);
}

static int put_float(struct encoder *encoder, PyObject *object)
{
    double value = PyFloat_AS_DOUBLE(object);
    if (isnan(value)) {
        return put_bytes(encoder, "NaN", 3);
    }
    if (isinf(value)) {
        return value > 0 ? put_bytes(encoder, "Infinity", 8)
                         : put_bytes(encoder, "-Infinity", 9);
    }
    char *text = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (text == NULL) {
        return -1;
    }
    int rc = put_bytes(encoder, text, strlen(text));
    PyMem_Free(text);
    return rc;
}

/* ---- containers ---- */

static int enter(struct encoder *encoder, PyObject *container)
{
    for (unsigned i = 0; i < encoder->depth; i++) {
        if (encoder->path[i] == container) {
            PyErr_Format(PyExc_ValueError, "circular reference: a %s contains itself",
                         Py_TYPE(container)->tp_name);
            return -1;
        }
    }
    if (encoder->depth == SP__JSON_DEPTH_MAX) {
        PyErr_Format(PyExc_ValueError, "nested deeper than %d levels",
                     SP__JSON_DEPTH_MAX);
        return -1;
    }
    encoder->path[encoder->depth++] = container;
    return 0;
}

static int put_list(struct encoder *encoder, PyObject *list)
{
    if (enter(encoder, list) < 0 || put_char(encoder, '[') < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        PyObject *item = PyList_GetItemRef(list, i);
        if (item == NULL) {
            PyErr_Clear(); /* it has become shorter */
            break;
        }
        int rc = i > 0 ? put_char(encoder, ',') : 0;
        if (rc == 0) {
            rc = put_value(encoder, item);
        }
        Py_DECREF(item);
        if (rc < 0) {
            return -1;
        }
    }
    encoder->depth--;
    return put_char(encoder, ']');
}

static int put_tuple(struct encoder *encoder, PyObject *tuple)
{
    if (enter(encoder, tuple) < 0 || put_char(encoder, '[') < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
        if ((i > 0 && put_char(encoder, ',') < 0) ||
            put_value(encoder, PyTuple_GET_ITEM(tuple, i)) < 0) {
            return -1;
        }
    }
    encoder->depth--;
    return put_char(encoder, ']');
}

static int put_key_text(struct encoder *encoder, PyObject *text)
{
    int rc = text == NULL ? -1 : put_text(encoder, text);
    Py_XDECREF(text);
    return rc;
}

/* Keys that are no str become text as Python's json module has it; what it refuses (a
 * date, a tuple) becomes its str(). */
static int put_key(struct encoder *encoder, PyObject *key)
{
    if (PyUnicode_Check(key)) {
        return put_text(encoder, key);
    }
    if (key == Py_True) {
        return put_bytes(encoder, "\"true\"", 6);
    }
    if (key == Py_False) {
        return put_bytes(encoder, "\"false\"", 7);
    }
    if (key == Py_None) {
        return put_bytes(encoder, "\"null\"", 6);
    }
    if (PyLong_Check(key) || PyFloat_Check(key)) {
        if (put_char(encoder, '"') < 0) {
            return -1;
        }
        int rc =
            PyLong_Check(key) ? put_integer(encoder, key) : put_float(encoder, key);
        return rc < 0 ? -1 : put_char(encoder, '"');
    }
    return put_key_text(encoder, PyObject_Str(key));
}

static int put_member(struct encoder *encoder, int first, PyObject *key,
                      PyObject *value)
{
    if ((!first && put_char(encoder, ',') < 0) || put_key(encoder, key) < 0 ||
        put_char(encoder, ':') < 0) {
        return -1;
    }
    return put_value(encoder, value);
}

static int put_members(struct encoder *encoder, PyObject *dict)
{
    Py_ssize_t size = PyDict_GET_SIZE(dict);
    Py_ssize_t at = 0;
    PyObject *key, *value;
    int first = 1;
    while (PyDict_Next(dict, &at, &key, &value)) {
        Py_INCREF(key);
        Py_INCREF(value);
        int rc = put_member(encoder, first, key, value);
        Py_DECREF(key);
        Py_DECREF(value);
        if (rc < 0) {
            return -1;
        }
        if (PyDict_GET_SIZE(dict) != size) {
            PyErr_SetString(PyExc_RuntimeError,
                            "dictionary changed size while it was written");
            return -1;
        }
        first = 0;
    }
    return 0;
}

/* A dict subclass may keep an order of its own: ask it. */
static int put_items(struct encoder *encoder, PyObject *mapping)
{
    PyObject *items = PyMapping_Items(mapping);
    if (items == NULL) {
        return -1;
    }
    int rc = 0;
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *item = PyList_GET_ITEM(items, i); /* the list is ours alone */
        if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 2) {
            PyErr_SetString(PyExc_TypeError, "items() must give pairs");
            rc = -1;
            break;
        }
        rc = put_member(encoder, i == 0, PyTuple_GET_ITEM(item, 0),
                        PyTuple_GET_ITEM(item, 1));
    }
    Py_DECREF(items);
    return rc;
}

static int put_dict(struct encoder *encoder, PyObject *dict)
{
    if (enter(encoder, dict) < 0 || put_char(encoder, '{') < 0) {
        return -1;
    }
    int rc;
    if (PyDict_CheckExact(dict)) {
        Py_BEGIN_CRITICAL_SECTION(dict);
        rc = put_members(encoder, dict);
        Py_END_CRITICAL_SECTION();
    } else {
        rc = put_items(encoder, dict);
    }
    if (rc < 0) {
        return -1;
    }
    encoder->depth--;
    return put_char(encoder, '}');
}

/* ---- everything else ---- */

static int put_other(struct encoder *encoder, PyObject *value)
{
    if (encoder->parts != NULL) {
        int rc = sp__py_part_write(encoder->parts, &encoder->out, value);
        if (rc != 0) {
            return rc < 0 ? -1 : 0;
        }
    }
    if (encoder->fallback == NULL) {
        PyErr_Format(PyExc_TypeError, "a %s cannot be written as JSON",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    if (enter(encoder, value) < 0) {
        return -1;
    }
    PyObject *instead = PyObject_CallOneArg(encoder->fallback, value);
    if (instead == NULL) {
        return -1;
    }
    int rc = put_value(encoder, instead);
    Py_DECREF(instead);
    encoder->depth--;
    return rc;
}

/* Named tuples go to the fallback, which asks their _asdict(). */
static int is_plain_tuple(PyObject *value)
{
    if (PyTuple_CheckExact(value)) {
        return 1;
    }
    return PyTuple_Check(value) &&
           !PyObject_HasAttrString((PyObject *)Py_TYPE(value), "_asdict");
}

static int put_value(struct encoder *encoder, PyObject *value)
{
    if (PyUnicode_Check(value)) {
        return put_text(encoder, value);
    }
    if (value == Py_None) {
        return put_bytes(encoder, "null", 4);
    }
    if (value == Py_True) {
        return put_bytes(encoder, "true", 4);
    }
    if (value == Py_False) {
        return put_bytes(encoder, "false", 5);
    }
    if (PyLong_Check(value)) {
        return put_integer(encoder, value);
    }
    if (PyFloat_Check(value)) {
        return put_float(encoder, value);
    }
    if (PyDict_Check(value)) {
        return put_dict(encoder, value);
    }
    if (PyList_Check(value)) {
        return put_list(encoder, value);
    }
    if (is_plain_tuple(value)) {
        return put_tuple(encoder, value);
    }
    return put_other(encoder, value);
}

/* ---- the interface ---- */

void sp__py_encoder_init(struct encoder *encoder, PyObject *fallback)
{
    sp__buf_init(&encoder->out, RESULT_MAX_BYTES);
    encoder->parts = NULL;
    encoder->fallback = fallback == Py_None ? NULL : fallback;
    Py_XINCREF(encoder->fallback);
    encoder->depth = 0;
}

void sp__py_encoder_fini(struct encoder *encoder)
{
    sp__buf_fini(&encoder->out);
    Py_CLEAR(encoder->fallback);
}

int sp__py_encode(struct encoder *encoder, PyObject *value)
{
    encoder->out.size = 0;
    sp__buf_shrink(&encoder->out, BUFFER_KEEP_BYTES);
    if (encoder->parts != NULL) {
        sp__py_parts_clear(encoder->parts);
    }
    encoder->depth = 0;
    return put_value(encoder, value);
}

/* ---- the package around it ---- */

struct codec_home sp__py_codec;

PyObject *sp__py_codec_module(const char *name)
{
    char full[64];
    (void)snprintf(full, sizeof full, "%s.%s", sp__py_codec.package, name);
    return PyImport_ImportModule(full);
}

PyObject *sp__py_bigint(const char *name, PyObject *arg)
{
    PyObject *module = sp__py_codec_module("_bigint");
    if (module == NULL) {
        return NULL;
    }
    PyObject *result = PyObject_CallMethod(module, name, "O", arg);
    Py_DECREF(module);
    return result;
}
