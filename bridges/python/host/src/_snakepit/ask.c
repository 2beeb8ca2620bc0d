/* SPDX-License-Identifier: MIT */
/*
 * What a call is made of: the tool, its options, and its arguments as JSON with arrays
 * and bytes beside it.
 *
 * Writers are kept for the next call, because each has a buffer that has grown. Writing
 * may run Python code, which may call tools itself: it then takes another writer. All of
 * it happens with the interpreter's lock, except that a free-threaded interpreter has
 * none: the list of spare writers has a lock of its own.
 */
#include "host.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

enum { SPARE_MAX = 16 };

static const char part_name[] = "arrays";

struct writer {
    struct writer *next;
    struct encoder encoder;
    struct parts parts;
};

static struct {
    pthread_mutex_t lock;
    struct writer *first;
    unsigned count;
} spare = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct writer *take_writer(void)
{
    (void)pthread_mutex_lock(&spare.lock); /* cannot fail: a valid, plain mutex */
    struct writer *writer = spare.first;
    if (writer != NULL) {
        spare.first = writer->next;
        spare.count--;
    }
    (void)pthread_mutex_unlock(&spare.lock);
    if (writer != NULL) {
        return writer;
    }
    writer = sp__malloc(sizeof *writer);
    if (writer == NULL) {
        (void)PyErr_NoMemory();
        return NULL;
    }
    sp__py_encoder_init(&writer->encoder, sp__pyhost.plain);
    sp__py_parts_init(&writer->parts);
    writer->encoder.parts = &writer->parts;
    return writer;
}

void sp__pyhost_write_end(struct writer *writer)
{
    if (writer == NULL) {
        return;
    }
    sp__py_parts_clear(&writer->parts);
    (void)pthread_mutex_lock(&spare.lock);
    int keep = spare.count < SPARE_MAX;
    if (keep) {
        writer->next = spare.first;
        spare.first = writer;
        spare.count++;
    }
    (void)pthread_mutex_unlock(&spare.lock);
    if (!keep) {
        sp__py_encoder_fini(&writer->encoder);
        sp__py_parts_fini(&writer->parts);
        sp__free(writer);
    }
}

/* `name` is the binary's as the JSON calls it; NULL: a result's. */
static int write_value(struct writer *writer, const char *name, PyObject *value,
                       sp_bytes *ret_json, sp_bytes *ret_binary)
{
    writer->parts.name = name;
    if (sp__py_encode(&writer->encoder, value) < 0 ||
        sp__py_parts_join(&writer->parts, ret_binary) < 0) {
        return -1;
    }
    *ret_json = (sp_bytes){writer->encoder.out.data, writer->encoder.out.size};
    return 0;
}

struct writer *sp__pyhost_write(PyObject *value, sp_bytes *ret_json,
                                sp_bytes *ret_binary)
{
    struct writer *writer = take_writer();
    if (writer != NULL && write_value(writer, NULL, value, ret_json, ret_binary) < 0) {
        sp__pyhost_write_end(writer);
        writer = NULL;
    }
    return writer;
}

/* ---- options ---- */

int sp__pyhost_ms(PyObject *seconds, const char *what, uint64_t *ret_ms)
{
    *ret_ms = 0;
    if (seconds == Py_None) {
        return 0;
    }
    double value = PyFloat_AsDouble(seconds);
    if (value == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    if (isnan(value) || value < 0) {
        PyErr_Format(PyExc_ValueError, "%s=%R: seconds from 0 on are allowed", what,
                     seconds);
        return -1;
    }
    double ms = ceil(value * 1000.0);
    if (ms >= 9e15) {
        *ret_ms = SP_UNLIMITED;
    } else {
        *ret_ms = ms < 1 ? 1 : (uint64_t)ms; /* 0 would be the default */
    }
    return 0;
}

static int read_text(PyObject *value, const char *what, const char **ret)
{
    Py_ssize_t size;
    if (value == Py_None) {
        *ret = NULL;
        return 0;
    }
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be a str, not %s", what,
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    *ret = PyUnicode_AsUTF8AndSize(value, &size);
    if (*ret == NULL) {
        return -1;
    }
    if (strlen(*ret) != (size_t)size) {
        PyErr_Format(PyExc_ValueError, "%s contains a null character", what);
        return -1;
    }
    return 0;
}

static int read_flag(struct ask *ask, PyObject *value, uint32_t flag)
{
    int is_true = PyObject_IsTrue(value);
    if (is_true > 0) {
        ask->options.flags |= flag;
    }
    return is_true < 0 ? -1 : 0;
}

static int read_affinity(struct ask *ask, PyObject *value)
{
    static const char *const names[] = {[SP_AFFINITY_HINT] = "hint",
                                        [SP_AFFINITY_NONE] = "none",
                                        [SP_AFFINITY_STRICT_QUEUE] = "strict_queue",
                                        [SP_AFFINITY_STRICT_FAIL_FAST] =
                                            "strict_fail_fast"};
    const char *text;
    if (read_text(value, "affinity", &text) < 0) {
        return -1;
    }
    ask->options.affinity = SP_AFFINITY_DEFAULT;
    for (int i = SP_AFFINITY_HINT; text != NULL && i <= SP_AFFINITY_STRICT_FAIL_FAST;
         i++) {
        if (strcmp(text, names[i]) == 0) {
            ask->options.affinity = i;
            return 0;
        }
    }
    if (text != NULL) {
        PyErr_Format(PyExc_ValueError,
                     "affinity=%R: 'hint', 'none', 'strict_queue' and "
                     "'strict_fail_fast' are allowed",
                     value);
        return -1;
    }
    return 0;
}

enum option {
    OPTION_TIMEOUT,
    OPTION_SESSION,
    OPTION_POOL,
    OPTION_QUEUE_TIMEOUT,
    OPTION_IDEMPOTENT,
    OPTION_CANCEL_KILLS,
    OPTION_REQUEST_ID,
    OPTION_DEDUPE_KEY,
    OPTION_AFFINITY,
    OPTIONS
};

static PyObject *option_names[OPTIONS];

int sp__pyhost_ask_init(void)
{
    static const char *const names[OPTIONS] = {
        "timeout",      "session",    "pool",       "queue_timeout", "idempotent",
        "cancel_kills", "request_id", "dedupe_key", "affinity"};
    for (int i = 0; i < OPTIONS; i++) {
        if (option_names[i] == NULL) {
            option_names[i] = PyUnicode_InternFromString(names[i]);
        }
        if (option_names[i] == NULL) {
            return -1;
        }
    }
    return 0;
}

/* Keywords are interned nearly always: then only the very object is the name. */
static int find_option(PyObject *name)
{
    for (int i = 0; i < OPTIONS; i++) {
        if (name == option_names[i]) {
            return i;
        }
    }
    if (!PyUnicode_Check(name) || PyUnicode_CHECK_INTERNED(name)) {
        return OPTIONS;
    }
    for (int i = 0; i < OPTIONS; i++) {
        if (PyUnicode_Compare(name, option_names[i]) == 0) {
            return i;
        }
    }
    return OPTIONS;
}

static int read_option(struct ask *ask, enum option option, PyObject *value)
{
    sp_call_options *options = &ask->options;
    switch (option) {
    case OPTION_TIMEOUT:
        return sp__pyhost_ms(value, "timeout", &options->timeout_ms);
    case OPTION_SESSION:
        return read_text(value, "session", &options->session);
    case OPTION_POOL:
        return read_text(value, "pool", &options->pool);
    case OPTION_QUEUE_TIMEOUT:
        return sp__pyhost_ms(value, "queue_timeout", &options->queue_timeout_ms);
    case OPTION_IDEMPOTENT:
        return read_flag(ask, value, SP_CALL_IDEMPOTENT);
    case OPTION_CANCEL_KILLS:
        return read_flag(ask, value, SP_CALL_CANCEL_KILLS);
    case OPTION_REQUEST_ID:
        return read_text(value, "request_id", &options->request_id);
    case OPTION_DEDUPE_KEY:
        return read_text(value, "dedupe_key", &options->dedupe_key);
    case OPTION_AFFINITY:
        return read_affinity(ask, value);
    case OPTIONS:
        break;
    }
    return 0;
}

int sp__pyhost_ask_option(struct ask *ask, PyObject *name, PyObject *value)
{
    int option = find_option(name);
    if (option == OPTIONS) {
        return 0;
    }
    return read_option(ask, (enum option)option, value) < 0 ? -1 : 1;
}

int sp__pyhost_ask_options(struct ask *ask, PyObject *options)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;
    if (options == Py_None) {
        return 0;
    }
    if (!PyDict_Check(options)) {
        PyErr_SetString(PyExc_TypeError, "options must be a dict or None");
        return -1;
    }
    while (PyDict_Next(options, &at, &name, &value)) {
        int rc = sp__pyhost_ask_option(ask, name, value);
        if (rc == 0) {
            PyErr_Format(PyExc_TypeError, "%R is no option of a call", name);
        }
        if (rc <= 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- the whole ---- */

int sp__pyhost_ask_begin(struct ask *ask, pit_object *pit, PyObject *tool)
{
    *ask = (struct ask){.options = {.size = sizeof ask->options,
                                    .interrupt = sp__pyhost_may_wait,
                                    .interrupt_data = pit}};
    if (tool == Py_None) {
        PyErr_SetString(PyExc_TypeError, "a tool's name must be a str, not None");
        return -1;
    }
    return read_text(tool, "a tool's name", &ask->tool);
}

int sp__pyhost_ask_arguments(struct ask *ask, PyObject *arguments)
{
    sp_bytes binary;
    if (ask->writer == NULL && (ask->writer = take_writer()) == NULL) {
        return -1;
    }
    if (write_value(ask->writer, part_name, arguments, &ask->json, &binary) < 0) {
        return -1;
    }
    ask->binary = (sp_binary){.name = part_name, .value = binary};
    ask->options.binaries = &ask->binary;
    ask->options.binaries_count = ask->writer->parts.count > 0;
    return 0;
}

void sp__pyhost_ask_end(struct ask *ask)
{
    sp__pyhost_write_end(ask->writer);
    ask->writer = NULL;
}
