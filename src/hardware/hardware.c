/* SPDX-License-Identifier: MIT */
/*
 * The whole: everybody looks once, and what was found is remembered for the process; and
 * a device is chosen from it.
 *
 * What is remembered stands in one static struct under a lock, which is held while tools
 * run, so threads that ask at the same time wait for one search. A search in another root
 * is for its caller alone. Nothing fails but for want of memory; what could not be found
 * out is a note.
 */
#include "hardware/hardware.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/options.h"
#include "hardware/json.h"

enum { TIMEOUT_MS = 5000, WANTED_BYTES = 512, VISIBLE_BYTES = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct hardware known; /* under the lock */
static int is_known;

/* ---- devices ---- */

static const char *const kinds[] = {"", "cpu", "cuda", "rocm", "mps"};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

const char *sp__hardware_kind(int kind)
{
    return kind > 0 && kind < KINDS ? kinds[kind] : "";
}

static int has_number(int kind)
{
    return kind == SP_DEVICE_CUDA || kind == SP_DEVICE_ROCM;
}

sp_device *sp__hardware_add(struct hardware *hardware, int kind)
{
    uint32_t index = 0;
    if (hardware->devices_count == DEVICES_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < hardware->devices_count; i++) {
        index += hardware->devices[i].kind == kind;
    }
    sp_device *device = &hardware->devices[hardware->devices_count++];
    *device = (sp_device){.kind = kind,
                          .index = index,
                          .busy_percent = SP_HARDWARE_UNKNOWN,
                          .memory_busy_percent = SP_HARDWARE_UNKNOWN,
                          .celsius = SP_HARDWARE_UNKNOWN,
                          .watts = SP_HARDWARE_UNKNOWN,
                          .watts_limit = SP_HARDWARE_UNKNOWN};
    if (has_number(kind)) {
        (void)snprintf(device->text, sizeof device->text, "%s:%u", kinds[kind], index);
    } else {
        (void)snprintf(device->text, sizeof device->text, "%s", kinds[kind]);
    }
    return device;
}

void sp__hardware_note(struct hardware *hardware, const char *format, ...)
{
    size_t size = strlen(hardware->notes);
    size_t room = sizeof hardware->notes - size;
    va_list args;
    if (size > 0 && room > 1) {
        hardware->notes[size++] = '\n';
        room--;
    }
    va_start(args, format);
    (void)vsnprintf(hardware->notes + size, room, format, args);
    va_end(args);
}

/* ---- what a program sees of them ---- */

static const sp_device *find_visible(const sp_device *all, size_t count,
                                     const char *word, int by_id)
{
    char *end;
    unsigned long number = strtoul(word, &end, 10);
    if (end > word && *end == '\0') {
        return number < count ? &all[number] : NULL;
    }
    for (size_t i = 0; by_id && word[0] != '\0' && i < count; i++) {
        if (strncmp(all[i].id, word, strlen(word)) == 0) {
            return &all[i];
        }
    }
    return NULL;
}

/* One more, as that which was seen but under its own number. */
static int show(struct hardware *hardware, const sp_device *seen)
{
    sp_device *device = sp__hardware_add(hardware, seen->kind);
    if (device == NULL) {
        return -1;
    }
    sp_device numbered = *device;
    *device = *seen;
    device->index = numbered.index;
    memcpy(device->text, numbered.text, sizeof device->text);
    return 0;
}

void sp__hardware_hide(struct hardware *hardware, size_t first, const char *variable,
                       const char *kind, int by_id)
{
    const char *value = getenv(variable);
    char words[VISIBLE_BYTES];
    sp_device all[DEVICES_MAX];
    size_t count = hardware->devices_count - first;
    if (value == NULL || count == 0) {
        return;
    }
    memcpy(all, &hardware->devices[first], count * sizeof all[0]);
    hardware->devices_count = first;
    (void)snprintf(words, sizeof words, "%s", value);
    char *at = words;
    for (char *word; (word = sp__hardware_field(&at)) != NULL;) {
        const sp_device *seen = find_visible(all, count, word, by_id);
        if (seen == NULL || show(hardware, seen) < 0) {
            break;
        }
    }
    sp__hardware_note(hardware, "%s shows %zu of %zu %s devices", variable,
                      hardware->devices_count - first, count, kind);
}

/* ---- looking ---- */

static void add_processor(struct hardware *hardware)
{
    sp_device *device = sp__hardware_add(hardware, SP_DEVICE_CPU);
    if (device == NULL) {
        device = &hardware->devices[DEVICES_MAX - 1]; /* it is always there */
        *device = (sp_device){.kind = SP_DEVICE_CPU, .text = "cpu"};
    }
    (void)snprintf(device->name, sizeof device->name, "%.95s", hardware->model);
    device->memory_total_bytes = hardware->memory_total_bytes;
    device->memory_free_bytes = hardware->memory_available_bytes;
}

static void look(const struct search *search, struct hardware *hardware)
{
    *hardware = (struct hardware){0};
    sp__hardware_find_cpu(search, hardware);
    sp__hardware_find_limits(search, hardware);
    sp__hardware_find_cuda(search, hardware);
    sp__hardware_find_mps(search, hardware);
    sp__hardware_find_rocm(search, hardware);
    add_processor(hardware);
}

int sp__hardware_is_known(void)
{
    (void)pthread_mutex_lock(&lock);
    int known_now = is_known;
    (void)pthread_mutex_unlock(&lock);
    return known_now;
}

int sp__hardware_look(const sp_hardware_options *given, struct hardware **ret_hardware,
                      sp_error *err)
{
    sp_hardware_options options = {0};
    int rc =
        sp__take_options("sp_hardware_options", given, &options, sizeof options, err);
    struct hardware *copy = rc == SP_OK ? sp__malloc(sizeof *copy) : NULL;
    if (rc < 0 || copy == NULL) {
        return rc < 0 ? rc : sp__fail(err, SP_ERR_NOMEM, "no memory for the hardware");
    }
    const char *path = options.path != NULL ? options.path : getenv("PATH");
    struct search search = {.root = options.root != NULL ? options.root : "",
                            .path = path != NULL ? path : "",
                            .timeout_ms = options.timeout_ms > 0 ? options.timeout_ms
                                                                 : TIMEOUT_MS};
    if (search.root[0] != '\0') {
        look(&search, copy);
    } else {
        (void)pthread_mutex_lock(&lock);
        if (!is_known || options.refresh) {
            look(&search, &known);
            is_known = 1;
        }
        *copy = known;
        (void)pthread_mutex_unlock(&lock);
    }
    *ret_hardware = copy;
    return SP_OK;
}

SP_API int sp_hardware_json(const sp_hardware_options *options, sp_hardware_cb cb,
                            void *user_data, sp_error *err)
{
    struct hardware *hardware;
    struct sp_buffer out;
    if (cb == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a callback is needed");
    }
    int rc = sp__hardware_look(options, &hardware, err);
    if (rc < 0) {
        return rc;
    }
    sp__buf_init(&out, SIZE_MAX / 2);
    rc = sp__hardware_put_json(hardware, &out, err);
    if (rc == SP_OK) {
        cb((sp_bytes){out.data, out.size}, user_data);
    }
    sp__buf_fini(&out);
    sp__free(hardware);
    return rc;
}

/* ---- choosing ---- */

/* Why nothing was found, for each word. */
struct choice {
    const struct hardware *hardware;
    char why[SP_ERROR_MESSAGE_MAX];
};

static void add_why(struct choice *choice, const char *word, const char *why)
{
    size_t size = strlen(choice->why);
    (void)snprintf(choice->why + size, sizeof choice->why - size, "%s%.32s: %s",
                   size > 0 ? "; " : "", word, why);
}

static const sp_device *find_device(const struct hardware *hardware, int kind,
                                    unsigned long index)
{
    for (size_t i = 0; i < hardware->devices_count; i++) {
        if (hardware->devices[i].kind == kind && hardware->devices[i].index == index) {
            return &hardware->devices[i];
        }
    }
    return NULL;
}

/* "cuda:1" and so on. 0 with the device, or NULL when it is not there; SP_ERR_INVAL. */
static int choose(struct choice *choice, const char *word, const sp_device **ret,
                  sp_error *err)
{
    size_t length = strcspn(word, ":");
    int kind = 1;
    unsigned long index = 0;
    if (strcmp(word, "auto") == 0) {
        *ret = &choice->hardware->devices[0];
        return SP_OK;
    }
    while (kind < KINDS &&
           (strlen(kinds[kind]) != length || strncmp(kinds[kind], word, length) != 0)) {
        kind++;
    }
    if (kind < KINDS && word[length] == ':') {
        char *end;
        index = strtoul(word + length + 1, &end, 10);
        if (!has_number(kind) || end == word + length + 1 || *end != '\0' ||
            word[length + 1] == '-') {
            kind = KINDS;
        }
    }
    if (kind == KINDS) {
        return sp__fail(
            err, SP_ERR_INVAL,
            "\"%.64s\" is no device: auto, cpu, cuda, cuda:N, rocm, rocm:N or "
            "mps",
            word);
    }
    *ret = find_device(choice->hardware, kind, index);
    if (*ret == NULL) {
        add_why(choice, word,
                index > 0 && find_device(choice->hardware, kind, 0) != NULL
                    ? "there are not so many"
                    : "there is none");
    }
    return SP_OK;
}

static int choose_first(struct choice *choice, char *words, sp_device *ret,
                        sp_error *err)
{
    const sp_device *device = NULL;
    char *at = words;
    for (char *word; (word = sp__hardware_field(&at)) != NULL;) {
        const sp_device *found = NULL;
        int rc = choose(choice, word, &found, err);
        if (rc < 0) {
            return rc; /* a mistake behind the one that is taken is told too */
        }
        device = device != NULL ? device : found;
    }
    if (device == NULL) {
        return sp__fail(err, SP_ERR_NOT_FOUND, "no device of those wanted: %s",
                        choice->why);
    }
    *ret = *device;
    return SP_OK;
}

int sp__hardware_choose(const struct hardware *hardware, const char *wanted,
                        sp_device *ret_device, sp_error *err)
{
    char words[WANTED_BYTES];
    struct choice choice = {.hardware = hardware};
    if (strlen(wanted) >= sizeof words) {
        return sp__fail(err, SP_ERR_INVAL, "devices in %zu bytes, at most %d",
                        strlen(wanted), WANTED_BYTES - 1);
    }
    (void)snprintf(words, sizeof words, "%s", wanted);
    return choose_first(&choice, words, ret_device, err);
}

SP_API int sp_hardware_select(const char *wanted, const sp_hardware_options *options,
                              sp_device *ret_device, sp_error *err)
{
    struct hardware *hardware;
    if (wanted == NULL || ret_device == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "devices and a place for one are needed");
    }
    int rc = sp__hardware_look(options, &hardware, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__hardware_choose(hardware, wanted, ret_device, err);
    sp__free(hardware);
    return rc;
}
