/* SPDX-License-Identifier: MIT */
/*
 * What was found, as JSON: members in a fixed order, null for what is unknown. A buffer
 * that is full, or without memory, is remembered and told once, at the end.
 */
#include "hardware/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/real.h"
#include "wire/json.h"

struct writer {
    struct sp_buffer *out;
    int rc;
    const char *comma; /* in front of the next member */
};

static void put_bytes(struct writer *w, const char *text, size_t size)
{
    if (w->rc == SP_OK) {
        w->rc = sp__buf_append(w->out, text, size, NULL);
    }
}

static void put(struct writer *w, const char *text)
{
    put_bytes(w, text, strlen(text));
}

static void put_string(struct writer *w, const char *text, size_t size)
{
    if (!sp__json_is_utf8(text, size)) {
        put(w, "\"\"");
    } else if (w->rc == SP_OK) {
        w->rc = sp__json_put_string(w->out, text, size, NULL);
    }
}

static void key(struct writer *w, const char *name)
{
    put(w, w->comma);
    put_string(w, name, strlen(name));
    put(w, ":");
    w->comma = ",";
}

static void begin(struct writer *w, const char *name, const char *bracket)
{
    key(w, name);
    put(w, bracket);
    w->comma = "";
}

static void end(struct writer *w, const char *bracket)
{
    put(w, bracket);
    w->comma = ",";
}

/* "" is null. */
static void text(struct writer *w, const char *name, const char *value)
{
    key(w, name);
    if (value[0] != '\0') {
        put_string(w, value, strlen(value));
    } else {
        put(w, "null");
    }
}

/* `none` is null. */
static void number(struct writer *w, const char *name, double value, double none)
{
    char digits[40];
    key(w, name);
    if (value == none) { /* a constant that was stored, not computed */
        put(w, "null");
    } else {
        (void)snprintf(digits, sizeof digits, "%.15g", value);
        put(w, sp__real_dot(digits));
    }
}

static void flag(struct writer *w, const char *name, int value)
{
    key(w, name);
    put(w, value ? "true" : "false");
}

/* The words of a text, cut at any of `between`. */
static void list(struct writer *w, const char *name, const char *words,
                 const char *between)
{
    begin(w, name, "[");
    for (const char *at = words; *at != '\0';) {
        size_t size = strcspn(at, between);
        put(w, w->comma);
        put_string(w, at, size);
        w->comma = ",";
        at += size + strspn(at + size, between);
    }
    end(w, "]");
}

static void put_device(struct writer *w, const sp_device *d)
{
    const double unknown = SP_HARDWARE_UNKNOWN;
    put(w, w->comma);
    put(w, "{");
    w->comma = "";
    text(w, "device", d->text);
    text(w, "kind", sp__hardware_kind(d->kind));
    number(w, "index", d->index, -1);
    text(w, "name", d->name);
    text(w, "id", d->id);
    text(w, "capability", d->capability);
    number(w, "memory_total_bytes", (double)d->memory_total_bytes, 0);
    number(w, "memory_free_bytes", (double)d->memory_free_bytes, 0);
    number(w, "busy_percent", d->busy_percent, unknown);
    number(w, "memory_busy_percent", d->memory_busy_percent, unknown);
    number(w, "celsius", d->celsius, unknown);
    number(w, "watts", d->watts, unknown);
    number(w, "watts_limit", d->watts_limit, unknown);
    end(w, "}");
}

static void put_nodes(struct writer *w, const struct hardware *h)
{
    begin(w, "numa", "[");
    for (size_t i = 0; i < h->nodes_count; i++) {
        put(w, w->comma);
        put(w, "{");
        w->comma = "";
        number(w, "node", h->nodes[i].number, -1);
        text(w, "cpus", h->nodes[i].cpus);
        number(w, "memory_bytes", (double)h->nodes[i].memory_bytes, 0);
        end(w, "}");
    }
    end(w, "]");
}

static int has_kind(const struct hardware *h, int kind)
{
    for (size_t i = 0; i < h->devices_count; i++) {
        if (h->devices[i].kind == kind) {
            return 1;
        }
    }
    return 0;
}

static void put_capabilities(struct writer *w, const struct hardware *h)
{
    begin(w, "capabilities", "{");
    flag(w, "cuda", has_kind(h, SP_DEVICE_CUDA));
    flag(w, "mps", has_kind(h, SP_DEVICE_MPS));
    flag(w, "rocm", has_kind(h, SP_DEVICE_ROCM));
    flag(w, "sse4_2", sp__hardware_has_word(h->features, "sse4_2"));
    flag(w, "avx", sp__hardware_has_word(h->features, "avx"));
    flag(w, "avx2", sp__hardware_has_word(h->features, "avx2"));
    flag(w, "avx512", sp__hardware_has_word(h->features, "avx512f"));
    flag(w, "amx", sp__hardware_has_word(h->features, "amx_tile"));
    flag(w, "neon", sp__hardware_has_word(h->features, "neon"));
    end(w, "}");
}

static void put_cpu(struct writer *w, const struct hardware *h)
{
    begin(w, "cpu", "{");
    text(w, "model", h->model);
    text(w, "vendor", h->vendor);
    text(w, "architecture", h->architecture);
    number(w, "sockets", h->sockets, 0);
    number(w, "cores", h->cores, 0);
    number(w, "threads", h->threads, 0);
    number(w, "usable", h->usable, 0);
    list(w, "features", h->features, " ");
    end(w, "}");
    begin(w, "memory", "{");
    number(w, "total_bytes", (double)h->memory_total_bytes, 0);
    number(w, "available_bytes", (double)h->memory_available_bytes, 0);
    number(w, "limit_bytes", (double)h->memory_limit_bytes, 0);
    end(w, "}");
    number(w, "cpu_limit", h->cpu_limit, 0);
}

int sp__hardware_put_json(const struct hardware *h, struct sp_buffer *out,
                          sp_error *err)
{
    struct writer w = {.out = out, .comma = ""};
    put(&w, "{");
    number(&w, "version", 1, 0);
    put_cpu(&w, h);
    put_nodes(&w, h);
    begin(&w, "devices", "[");
    for (size_t i = 0; i < h->devices_count; i++) {
        put_device(&w, &h->devices[i]);
    }
    end(&w, "]");
    begin(&w, "drivers", "{");
    text(&w, "cuda", h->cuda_driver);
    text(&w, "rocm", h->rocm_version);
    end(&w, "}");
    list(&w, "notes", h->notes, "\n");
    put_capabilities(&w, h);
    put(&w, "}");
    return w.rc == SP_OK ? SP_OK : sp__fail(err, w.rc, "no memory for the hardware");
}
