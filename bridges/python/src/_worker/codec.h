/* SPDX-License-Identifier: MIT */
/*
 * JSON text <-> Python objects, without Python's json module.
 *
 * What comes in: objects, arrays, strings (lone surrogates too), integers of any size
 * up to DIGITS_MAX digits, reals, NaN and the infinities. What goes out: the same, and
 * every other value through one Python function that answers with something JSON can
 * hold.
 */
#ifndef SP_PYTHON_CODEC_H
#define SP_PYTHON_CODEC_H

#include "compat.h"

#include "base/buf.h"
#include "parts.h"
#include "snakepit/error.h"
#include "wire/json.h"

/* Whose codec this is: each extension that contains it says so when it is imported. */
struct codec_home {
    const char *package; /* has the modules _arrays and _bigint */
    PyObject
        *malformed; /* raised for what stands for no part; a TypeError or ValueError */
};
extern struct codec_home sp__py_codec;

enum {
    KEYS_MAX = 256,    /* slots of the key cache, a power of two */
    KEY_SIZE_MAX = 48, /* longer keys are not worth remembering */
};

/*
 * Keys met before, so that "name" in ten thousand rows is one object whose hash is
 * known. Names of tool parameters are pinned: they are the very objects a function's
 * code holds, which makes keyword calls compare pointers. Nothing is interned: from
 * 3.12 on that would keep every key ever received.
 */
struct key_cache {
    struct key_slot {
        PyObject *text; /* ASCII, owned; or NULL */
        int pinned;
    } slots[KEYS_MAX];
};

void sp__py_keys_fini(struct key_cache *cache);

/* Whether an ASCII str is this text. */
static inline int sp__py_is_text(PyObject *ascii, const char *text, size_t n)
{
    return (size_t)PyUnicode_GET_LENGTH(ascii) == n &&
           memcmp(PyUnicode_1BYTE_DATA(ascii), text, n) == 0;
}

/* Keep this str for good, if it is one the cache can hold. */
void sp__py_keys_pin(struct key_cache *cache, PyObject *text);

/* The str of UTF-8 text that has no escapes: a new reference or NULL. */
PyObject *sp__py_keys_get(struct key_cache *cache, const char *text, size_t n);

/*
 * The members of an object as a vectorcall takes them, when they are those that are
 * expected: no dict is made, and no name is looked for.
 */
enum { MEMBERS_MAX = 16 };
struct members {
    PyObject *names;  /* expected, in order: a tuple of ASCII str, or NULL; borrowed */
    Py_ssize_t count; /* of values */
    PyObject *values[MEMBERS_MAX]; /* owned */
};

void sp__py_members_clear(struct members *members);

/* The names of a dict's members for next time: a new reference, NULL without an
 * exception when they cannot be expected. */
PyObject *sp__py_members_names(PyObject *dict);

/*
 * Build the value that `text` describes.
 *
 * keys     NULL: no cache (another thread may be using it)
 * parts    NULL: an object that stands for a part is an object like others
 * members  NULL, or with no values yet. When the text is an object with the members
 *          expected they are in it, and what is returned is their names: a tuple, which
 *          no text describes.
 *
 * NULL with `err` filled and no exception (SP_ERR_BAD_JSON, SP_ERR_TOO_DEEP,
 * SP_ERR_NOMEM), or NULL with err->code 0 and an exception.
 */
PyObject *sp__py_decode(struct key_cache *keys, const struct part_source *parts,
                        struct members *members, const char *text, size_t n,
                        sp_error *err);

/* The same, and what is wrong with the text is an exception too: ValueError, or
 * MemoryError. */
PyObject *sp__py_decode_or_raise(struct key_cache *keys,
                                 const struct part_source *parts, const char *text,
                                 size_t n);

/* What the writing of one value needs; keep it, its buffer is reused. */
struct encoder {
    struct sp_buffer out;
    struct parts
        *parts;         /* where arrays and bytes go; NULL: into the JSON, or nowhere */
    PyObject *fallback; /* fallback(value), for what JSON cannot hold; owned */
    unsigned depth;
    PyObject *path[SP__JSON_DEPTH_MAX]; /* the containers being written, borrowed */
};

void sp__py_encoder_init(struct encoder *encoder, PyObject *fallback);
void sp__py_encoder_fini(struct encoder *encoder);

/* Replace what is in encoder->out by the value's JSON. 0, or -1 with an exception:
 * ValueError for circular references and what is too deep or too large. */
int sp__py_encode(struct encoder *encoder, PyObject *value) SP_MUST_CHECK;

/* error_codes() -> [(code, number, category, retryable, gRPC status, text, what to do)] */
PyObject *sp__py_error_codes(PyObject *module, PyObject *unused);

/* Call NAME(arg) of the package's _bigint: integers beyond CPython's own digit limit. */
PyObject *sp__py_bigint(const char *name, PyObject *arg);

/* Import a module of the package that the codec serves: a new reference, or NULL. */
PyObject *sp__py_codec_module(const char *name);

#endif
