/* SPDX-License-Identifier: MIT */
/*
 * hardware: what this machine can compute with, or the device that would be chosen.
 *
 * It asks the library, as workers do (snakepit_bridge.hardware), so both see the same.
 */
#include <stdlib.h>
#include <string.h>

#include "fields.h"

static void parse(sp_bytes json, void *user_data)
{
    json_t **found = user_data;
    *found = json_loadb(json.data, json.size, 0, NULL);
}

/* "1.5 GiB", "-" for what is unknown. */
static const char *size_of(const json_t *object, const char *key, char *text,
                           size_t max)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) {
        (void)snprintf(text, max, "-");
        return text;
    }
    double bytes = json_number_value(value);
    const double gib = 1024.0 * 1024 * 1024;
    if (bytes >= gib) {
        (void)snprintf(text, max, "%.1f GiB", bytes / gib);
    } else {
        (void)snprintf(text, max, "%.0f MiB", bytes / (1024 * 1024));
    }
    return text;
}

static void print_features(const json_t *cpu)
{
    const json_t *features = json_object_get(cpu, "features");
    for (size_t i = 0; i < json_array_size(features); i++) {
        (void)printf("%s%s", i == 0 ? "  features  " : " ",
                     json_string_value(json_array_get(features, i)));
    }
    (void)fputs(json_array_size(features) > 0 ? "\n" : "", stdout);
}

static void print_machine(const json_t *found)
{
    const json_t *cpu = json_object_get(found, "cpu");
    const json_t *memory = json_object_get(found, "memory");
    const json_t *time = json_object_get(found, "cpu_limit");
    char total[32];
    char free_bytes[32];
    char limit[32];
    (void)printf("processor  %s (%s)\n", field_words(cpu, "model"),
                 field_words(cpu, "architecture"));
    (void)printf("  threads   %lld, %lld cores, %lld sockets; %lld for this process\n",
                 field_number(cpu, "threads"), field_number(cpu, "cores"),
                 field_number(cpu, "sockets"), field_number(cpu, "usable"));
    print_features(cpu);
    if (json_is_number(time)) {
        (void)printf("  limit     %.2f processors' worth of time\n",
                     json_number_value(time));
    }
    (void)printf("memory     %s, %s available",
                 size_of(memory, "total_bytes", total, sizeof total),
                 size_of(memory, "available_bytes", free_bytes, sizeof free_bytes));
    if (json_is_number(json_object_get(memory, "limit_bytes"))) {
        (void)printf(", limit %s", size_of(memory, "limit_bytes", limit, sizeof limit));
    }
    (void)fputs("\n\n", stdout);
}

static const char *figure(const json_t *device, const char *key, const char *unit,
                          char *text, size_t max)
{
    const json_t *value = json_object_get(device, key);
    if (json_is_number(value)) {
        (void)snprintf(text, max, "%.0f%s", json_number_value(value), unit);
    } else {
        (void)snprintf(text, max, "-");
    }
    return text;
}

static void print_devices(const json_t *found)
{
    static const char *const headings[] = {"DEVICE", "NAME",  "CAPABILITY",
                                           "MEMORY", "FREE",  "BUSY",
                                           "TEMP",   "POWER", NULL};
    struct table *table = table_new(headings);
    const json_t *devices = json_object_get(found, "devices");
    for (size_t i = 0; i < json_array_size(devices); i++) {
        const json_t *device = json_array_get(devices, i);
        char text[32];
        const char *capability = field_words(device, "capability");
        table_cell(table, "%s", field_words(device, "device"));
        table_cell(table, "%s", field_words(device, "name"));
        table_cell(table, "%s", capability[0] != '\0' ? capability : "-");
        table_cell(table, "%s",
                   size_of(device, "memory_total_bytes", text, sizeof text));
        table_cell(table, "%s",
                   size_of(device, "memory_free_bytes", text, sizeof text));
        table_cell(table, "%s",
                   figure(device, "busy_percent", " %", text, sizeof text));
        table_cell(table, "%s", figure(device, "celsius", " C", text, sizeof text));
        table_cell(table, "%s", figure(device, "watts", " W", text, sizeof text));
    }
    table_print(table, "");
    table_free(table);
}

static void print_notes(const json_t *found)
{
    const json_t *notes = json_object_get(found, "notes");
    for (size_t i = 0; i < json_array_size(notes); i++) {
        (void)printf("%snote: %s\n", i == 0 ? "\n" : "",
                     json_string_value(json_array_get(notes, i)));
    }
}

static int fail(sp_error *err, int rc)
{
    int code = rc == SP_ERR_INVAL ? CODE_USAGE : CODE_NOT_FOUND;
    if (rc == SP_ERR_INVAL || rc == SP_ERR_NOT_FOUND) {
        code = complain(code, "%s", err->message);
    } else {
        code = report(err);
    }
    sp_error_clear(err);
    return code;
}

/* Only the device that the words choose. */
static int choose(const struct cli *cli, const json_t *found)
{
    struct text wanted = {0};
    sp_device device;
    sp_error err = {0};
    for (int i = 0; i < cli->words_count; i++) {
        text_printf(&wanted, "%s%s", i > 0 ? "," : "", cli->words[i]);
    }
    int rc = sp_hardware_select(text_c(&wanted), NULL, &device, &err);
    text_free(&wanted);
    if (rc < 0) {
        return fail(&err, rc);
    }
    if (!wants_json(cli)) {
        (void)puts(device.text);
        return print_flush();
    }
    const json_t *devices = json_object_get(found, "devices");
    for (size_t i = 0; i < json_array_size(devices); i++) {
        if (strcmp(field_words(json_array_get(devices, i), "device"), device.text) ==
            0) {
            print_json(json_array_get(devices, i));
        }
    }
    return print_flush();
}

int cmd_hardware(struct cli *cli)
{
    json_t *found = NULL;
    sp_error err = {0};
    int rc = sp_hardware_json(NULL, parse, &found, &err);
    int code = CODE_OK;
    if (rc < 0) {
        return fail(&err, rc);
    }
    need(found);
    if (cli->words_count > 0) {
        code = choose(cli, found);
    } else if (wants_json(cli)) {
        print_json(found);
        code = print_flush();
    } else {
        print_machine(found);
        print_devices(found);
        print_notes(found);
        code = print_flush();
    }
    json_decref(found);
    return code;
}
