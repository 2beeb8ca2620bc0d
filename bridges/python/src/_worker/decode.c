/* SPDX-License-Identifier: MIT */
/*
 * JSON to Python objects.
 *
 * The reader of src/wire checks the text and reports what it meets; this file answers
 * each report by making an object and putting it into the innermost open container. The
 * open containers stand on a stack as deep as the reader allows, so nothing recurses. An
 * outermost object that has the members expected is never made: the first member that is
 * another one makes it a dict like others.
 *
 * A failure is either the text's fault (the reader's sp_error) or an exception of the
 * interpreter, nearly always MemoryError; a handler tells the second by returning
 * RAISED, which no error code equals. Whatever was built is dropped then.
 */
#include "codec.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "wire/json_read.h"

enum { RAISED = 1 };

struct open_container {
    PyObject *object; /* NULL: what is expected, as long as it is that */
    PyObject *key;    /* of the member whose value comes next; NULL in lists */
    int is_list;
    int is_part; /* stands for a part */
};

struct builder {
    struct key_cache *keys;
    const struct part_source *parts;
    struct members *members; /* or NULL */
    PyObject *root;
    unsigned depth;
    char *scratch; /* where escaped strings are undone */
    size_t scratch_size;
    struct open_container open[SP__JSON_DEPTH_MAX + 1];
};

/* Put a value (taken, may be NULL with an exception) where the next one belongs. */
static int place(struct builder *builder, PyObject *value)
{
    if (value == NULL) {
        return RAISED;
    }
    if (builder->depth == 0) {
        builder->root = value;
        return 0;
    }

    struct open_container *top = &builder->open[builder->depth - 1];
    int rc;
    if (top->object == NULL) {
        builder->members->values[builder->members->count++] = value;
        return 0;
    }
    if (top->is_list) {
        rc = PyList_Append(top->object, value);
    } else {
        rc = PyDict_SetItem(top->object, top->key, value);
        Py_CLEAR(top->key);
    }
    Py_DECREF(value);
    return rc < 0 ? RAISED : 0;
}

static int open_one(struct builder *builder, PyObject *container, int is_list)
{
    if (container == NULL) {
        return RAISED;
    }
    builder->open[builder->depth++] =
        (struct open_container){.object = container, .is_list = is_list};
    return 0;
}

/* ---- the members expected ---- */

void sp__py_members_clear(struct members *members)
{
    while (members->count > 0) {
        Py_DECREF(members->values[--members->count]);
    }
}

/* Whether the next member is the one of this name. */
static int is_expected(const struct members *members, const char *raw, size_t n)
{
    return members->count < PyTuple_GET_SIZE(members->names) &&
           sp__py_is_text(PyTuple_GET_ITEM(members->names, members->count), raw, n);
}

/* They are not, after all: what there is becomes a dict. */
static int make_dict(struct builder *builder)
{
    struct members *members = builder->members;
    PyObject *dict = PyDict_New();
    int rc = dict == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; rc == 0 && i < members->count; i++) {
        rc = PyDict_SetItem(dict, PyTuple_GET_ITEM(members->names, i),
                            members->values[i]);
    }
    builder->open[0].object = dict;
    sp__py_members_clear(members);
    return rc < 0 ? RAISED : 0;
}

PyObject *sp__py_members_names(PyObject *dict)
{
    if (PyDict_GET_SIZE(dict) > MEMBERS_MAX) {
        return NULL;
    }
    PyObject *names = PySequence_Tuple(dict);
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        if (!PyUnicode_IS_ASCII(PyTuple_GET_ITEM(names, i))) {
            Py_CLEAR(names);
        }
    }
    PyErr_Clear();
    return names;
}

/* ---- containers ---- */

static int close_one(struct builder *builder)
{
    struct open_container *top = &builder->open[--builder->depth];
    PyObject *container = top->object;
    if (top->is_part) {
        PyObject *dict = container;
        container = sp__py_part_read(builder->parts, dict);
        Py_DECREF(dict);
    }
    return place(builder, container);
}

static int on_object_begin(void *user)
{
    struct builder *builder = user;
    if (builder->depth == 0 && builder->members != NULL) {
        builder->open[builder->depth++] = (struct open_container){0};
        return 0;
    }
    return open_one(builder, PyDict_New(), 0);
}

static int on_array_begin(void *user)
{
    return open_one(user, PyList_New(0), 1);
}

static int on_end(void *user)
{
    struct builder *builder = user;
    const struct open_container *top = &builder->open[builder->depth - 1];
    if (top->object == NULL) {
        if (builder->members->count == PyTuple_GET_SIZE(builder->members->names)) {
            builder->depth--;
            builder->root = Py_NewRef(builder->members->names);
            return 0;
        }
        if (make_dict(builder) != 0) {
            return RAISED;
        }
    }
    return close_one(builder);
}

/* A string with escapes. The result is never longer than what it came from. */
static PyObject *unescaped(struct builder *builder, const char *raw, size_t n)
{
    if (n > builder->scratch_size) {
        char *grown = sp__realloc(builder->scratch, n);
        if (grown == NULL) {
            return PyErr_NoMemory();
        }
        builder->scratch = grown;
        builder->scratch_size = n;
    }
    size_t size = sp__json_unescape(raw, n, builder->scratch);
    return PyUnicode_DecodeUTF8(builder->scratch, (Py_ssize_t)size, "surrogatepass");
}

static PyObject *text_of(struct builder *builder, const char *raw, size_t n,
                         int escaped)
{
    if (escaped) {
        return unescaped(builder, raw, n);
    }
    return PyUnicode_FromStringAndSize(raw, (Py_ssize_t)n);
}

static int on_key(void *user, const char *raw, size_t n, int escaped)
{
    struct builder *builder = user;
    struct open_container *top = &builder->open[builder->depth - 1];
    if (top->object == NULL) {
        if (!escaped && is_expected(builder->members, raw, n)) {
            return 0;
        }
        if (make_dict(builder) != 0) {
            return RAISED;
        }
    }
    PyObject *key;
    if (builder->keys != NULL && !escaped) {
        key = sp__py_keys_get(builder->keys, raw, n);
    } else {
        key = text_of(builder, raw, n, escaped);
    }
    top->key = key;
    top->is_part |= builder->parts != NULL && sp__py_is_part_key(raw, n);
    return key == NULL ? RAISED : 0;
}

static int on_string(void *user, const char *raw, size_t n, int escaped)
{
    return place(user, text_of(user, raw, n, escaped));
}

/* CPython refuses to read more than 4300 digits at once; the helper reads them in
 * parts. */
static PyObject *big_integer(const char *text, size_t n)
{
    PyObject *digits = PyUnicode_FromStringAndSize(text, (Py_ssize_t)n);
    if (digits == NULL) {
        return NULL;
    }
    PyObject *value;
    if (n < 4000) {
        value = PyLong_FromUnicodeObject(digits, 10);
    } else {
        value = sp__py_bigint("from_text", digits);
    }
    Py_DECREF(digits);
    return value;
}

static PyObject *integer(const char *text, size_t n)
{
    enum { DIGITS_OF_INT64 = 18 };
    size_t i = text[0] == '-';
    if (n - i > DIGITS_OF_INT64) {
        return big_integer(text, n);
    }
    long long value = 0;
    for (; i < n; i++) {
        value = value * 10 + (text[i] - '0');
    }
    return PyLong_FromLongLong(text[0] == '-' ? -value : value);
}

static PyObject *real(const char *text, size_t n)
{
    char small[64];
    char *copy = small;
    if (n >= sizeof small) {
        copy = sp__malloc(n + 1);
        if (copy == NULL) {
            return PyErr_NoMemory();
        }
    }
    memcpy(copy, text, n);
    copy[n] = '\0';
    double value = PyOS_string_to_double(copy, NULL, NULL);
    if (copy != small) {
        sp__free(copy);
    }
    if (value == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    return PyFloat_FromDouble(value);
}

static int on_number(void *user, const char *text, size_t n, enum json_number kind)
{
    PyObject *value = NULL;
    switch (kind) {
    case JSON_INTEGER:
        value = integer(text, n);
        break;
    case JSON_REAL:
        value = real(text, n);
        break;
    case JSON_NAN:
        value = PyFloat_FromDouble(Py_NAN);
        break;
    case JSON_INF:
        value = PyFloat_FromDouble(Py_HUGE_VAL);
        break;
    case JSON_NEG_INF:
        value = PyFloat_FromDouble(-Py_HUGE_VAL);
        break;
    }
    return place(user, value);
}

static int on_literal(void *user, int literal)
{
    PyObject *value = literal < 0 ? Py_None : (literal ? Py_True : Py_False);
    return place(user, Py_NewRef(value));
}

static const struct json_handler building = {
    .object_begin = on_object_begin,
    .object_end = on_end,
    .array_begin = on_array_begin,
    .array_end = on_end,
    .key = on_key,
    .string = on_string,
    .number = on_number,
    .literal = on_literal,
};

PyObject *sp__py_decode(struct key_cache *keys, const struct part_source *parts,
                        struct members *members, const char *text, size_t n,
                        sp_error *err)
{
    struct builder builder;
    builder.keys = keys;
    builder.parts = parts;
    builder.members = members != NULL && members->names != NULL ? members : NULL;
    builder.root = NULL;
    builder.depth = 0;
    builder.scratch = NULL;
    builder.scratch_size = 0;

    int rc = sp__json_read_with(text, n, SP__JSON_DEPTH_MAX, &building, &builder, err);
    sp__free(builder.scratch);
    if (rc == 0) {
        return builder.root;
    }
    while (builder.depth > 0) {
        struct open_container *top = &builder.open[--builder.depth];
        Py_XDECREF(top->object);
        Py_XDECREF(top->key);
    }
    if (builder.members != NULL) {
        sp__py_members_clear(builder.members);
    }
    Py_XDECREF(builder.root);
    return NULL;
}

PyObject *sp__py_decode_or_raise(struct key_cache *keys,
                                 const struct part_source *parts, const char *text,
                                 size_t n)
{
    sp_error err = {0};
    PyObject *value = sp__py_decode(keys, parts, NULL, text, n, &err);
    if (value == NULL && err.code == SP_ERR_NOMEM) {
        (void)PyErr_NoMemory();
    } else if (value == NULL && err.code < 0) {
        PyErr_SetString(PyExc_ValueError, err.message);
    }
    sp_error_clear(&err);
    return value;
}

/* ---- the key cache ---- */

static struct key_slot *slot_of(struct key_cache *cache, const char *text, size_t n)
{
    uint32_t hash = 2166136261u; /* FNV-1a, 32 bits */
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    }
    return &cache->slots[(hash ^ (hash >> 16)) & (KEYS_MAX - 1)];
}

PyObject *sp__py_keys_get(struct key_cache *cache, const char *text, size_t n)
{
    if (n > KEY_SIZE_MAX) {
        return PyUnicode_FromStringAndSize(text, (Py_ssize_t)n);
    }
    struct key_slot *slot = slot_of(cache, text, n);
    if (slot->text != NULL && sp__py_is_text(slot->text, text, n)) {
        return Py_NewRef(slot->text);
    }
    PyObject *key = PyUnicode_FromStringAndSize(text, (Py_ssize_t)n);
    if (key != NULL && !slot->pinned && PyUnicode_IS_ASCII(key)) {
        Py_XDECREF(slot->text);
        slot->text = Py_NewRef(key);
    }
    return key;
}

void sp__py_keys_pin(struct key_cache *cache, PyObject *text)
{
    if (!PyUnicode_CheckExact(text) || !PyUnicode_IS_ASCII(text) ||
        PyUnicode_GET_LENGTH(text) > KEY_SIZE_MAX) {
        return;
    }
    struct key_slot *slot = slot_of(cache, (const char *)PyUnicode_1BYTE_DATA(text),
                                    (size_t)PyUnicode_GET_LENGTH(text));
    if (!slot->pinned) {
        Py_XDECREF(slot->text);
        slot->text = Py_NewRef(text);
        slot->pinned = 1;
    }
}

void sp__py_keys_fini(struct key_cache *cache)
{
    for (size_t i = 0; i < KEYS_MAX; i++) {
        Py_CLEAR(cache->slots[i].text);
        cache->slots[i].pinned = 0;
    }
}
