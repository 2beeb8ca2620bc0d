/* SPDX-License-Identifier: MIT */
/*
 * AMD's devices, as the kernel's compute driver lists them in /sys/class/kfd: a node with
 * SIMD units is one. Their memory in use, and figures, are those of the graphics driver in
 * /sys/class/drm, found by the render node's number; where it says nothing, rocm-smi is
 * asked for memory.
 *
 * ROCR_VISIBLE_DEVICES, then HIP_VISIBLE_DEVICES, choose by numbers among them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hardware/hardware.h"

enum {
    KFD_NODES_MAX = 128,
    BANKS_MAX = 16,
    SENSORS_MAX = 16,
    TEXT_BYTES = 4096,
    SAID_BYTES = 16 * 1024
};

/* -1 when there is no such file. */
static double number_in(const struct search *search, const char *path)
{
    char text[64];
    return sp__hardware_read(search, path, text, sizeof text) == 0
               ? strtod(text, NULL)
               : SP_HARDWARE_UNKNOWN;
}

static uint64_t property(const char *text, const char *key)
{
    char value[64];
    return sp__hardware_value(text, key, value, sizeof value) == 0
               ? strtoull(value, NULL, 10)
               : 0;
}

static uint64_t memory_of(const struct search *search, unsigned node)
{
    uint64_t bytes = 0;
    for (unsigned bank = 0; bank < BANKS_MAX; bank++) {
        char path[128];
        char text[TEXT_BYTES];
        (void)snprintf(path, sizeof path,
                       "/sys/class/kfd/kfd/topology/nodes/%u/mem_banks/%u/properties",
                       node, bank);
        if (sp__hardware_read(search, path, text, sizeof text) < 0) {
            break;
        }
        bytes += property(text, "size_in_bytes");
    }
    return bytes;
}

/* 90010 is gfx90a: major, minor and, in hexadecimal, the step. */
static void put_target(uint64_t version, char *out, size_t max)
{
    if (version > 0) {
        (void)snprintf(out, max, "gfx%u%u%x", (unsigned)(version / 10000 % 100),
                       (unsigned)(version / 100 % 100), (unsigned)(version % 100));
    }
}

static void take_sensors(const struct search *search, uint64_t render,
                         sp_device *device)
{
    char path[160];
    int n = snprintf(path, sizeof path, "/sys/class/drm/renderD%llu/device/",
                     (unsigned long long)render);
    char *name = path + n;
    size_t room = sizeof path - (size_t)n;
    (void)snprintf(name, room, "mem_info_vram_used");
    double used = number_in(search, path);
    if (used >= 0 && (uint64_t)used <= device->memory_total_bytes) {
        device->memory_free_bytes = device->memory_total_bytes - (uint64_t)used;
    }
    (void)snprintf(name, room, "gpu_busy_percent");
    device->busy_percent = number_in(search, path);
    (void)snprintf(name, room, "mem_busy_percent");
    device->memory_busy_percent = number_in(search, path);
    for (unsigned i = 0; i < SENSORS_MAX; i++) {
        (void)snprintf(name, room, "hwmon/hwmon%u/temp1_input", i);
        double heat = number_in(search, path);
        if (heat < 0) {
            continue;
        }
        device->celsius = heat / 1000;
        (void)snprintf(name, room, "hwmon/hwmon%u/power1_average", i);
        double power = number_in(search, path);
        if (power < 0) { /* newer ones only say what it is now */
            (void)snprintf(name, room, "hwmon/hwmon%u/power1_input", i);
            power = number_in(search, path);
        }
        device->watts = power < 0 ? SP_HARDWARE_UNKNOWN : power / 1000000;
        (void)snprintf(name, room, "hwmon/hwmon%u/power1_cap", i);
        power = number_in(search, path);
        device->watts_limit = power < 0 ? SP_HARDWARE_UNKNOWN : power / 1000000;
    }
}

/* The compute driver's name of the chip. Of chips that describe themselves it only says so;
 * then the board's, where its maker has written one, or the target. */
static void take_name(const struct search *search, unsigned node, uint64_t render,
                      sp_device *device)
{
    char path[128];
    (void)snprintf(path, sizeof path, "/sys/class/kfd/kfd/topology/nodes/%u/name",
                   node);
    (void)sp__hardware_read(search, path, device->name, sizeof device->name);
    if (device->name[0] != '\0' && strcmp(device->name, "ip discovery") != 0) {
        return;
    }
    (void)snprintf(path, sizeof path, "/sys/class/drm/renderD%llu/device/product_name",
                   (unsigned long long)render);
    if (sp__hardware_read(search, path, device->name, sizeof device->name) < 0 ||
        device->name[0] == '\0') {
        (void)snprintf(device->name, sizeof device->name, "%s", device->capability);
    }
}

static void take_node(const struct search *search, unsigned node,
                      struct hardware *hardware)
{
    char path[128];
    char text[TEXT_BYTES];
    (void)snprintf(path, sizeof path, "/sys/class/kfd/kfd/topology/nodes/%u/properties",
                   node);
    if (sp__hardware_read(search, path, text, sizeof text) < 0 ||
        property(text, "simd_count") == 0) {
        return; /* a processor's */
    }
    sp_device *device = sp__hardware_add(hardware, SP_DEVICE_ROCM);
    if (device == NULL) {
        return;
    }
    uint64_t id = property(text, "unique_id");
    if (id != 0) {
        (void)snprintf(device->id, sizeof device->id, "%016llx",
                       (unsigned long long)id);
    }
    put_target(property(text, "gfx_target_version"), device->capability,
               sizeof device->capability);
    device->memory_total_bytes = memory_of(search, node);
    uint64_t render = property(text, "drm_render_minor");
    take_sensors(search, render, device);
    take_name(search, node, render, device);
}

/* ---- rocm-smi ---- */

static int is_number(const char *field)
{
    return field != NULL && field[0] >= '0' && field[0] <= '9';
}

/* "card0,17163091968,6275072", in the order of the devices; "N/A" for what it cannot get. */
static void take_memory(char *line, sp_device *device)
{
    char *at = line;
    (void)sp__hardware_field(&at);
    char *total = sp__hardware_field(&at);
    char *used = sp__hardware_field(&at);
    if (is_number(total) && is_number(used)) {
        device->memory_total_bytes = strtoull(total, NULL, 10);
        uint64_t in_use = strtoull(used, NULL, 10);
        device->memory_free_bytes = in_use < device->memory_total_bytes
                                        ? device->memory_total_bytes - in_use
                                        : 0;
    }
}

static void ask_tool(const struct search *search, size_t first,
                     struct hardware *hardware)
{
    static const char *const argv[] = {"rocm-smi", "--showmeminfo", "vram", "--csv",
                                       NULL};
    char text[SAID_BYTES];
    size_t at = first;
    if (sp__hardware_run(search, argv, text, sizeof text, hardware) != 0) {
        return;
    }
    char *said = text;
    for (char *line; (line = sp__hardware_line(&said)) != NULL;) {
        if (strncmp(line, "card", 4) == 0 && at < hardware->devices_count) {
            take_memory(line, &hardware->devices[at++]);
        }
    }
}

/* ---- the whole ---- */

void sp__hardware_find_rocm(const struct search *search, struct hardware *hardware)
{
    size_t first = hardware->devices_count;
    int needs_tool = 0;
    (void)sp__hardware_read(search, "/opt/rocm/.info/version", hardware->rocm_version,
                            sizeof hardware->rocm_version);
    for (unsigned node = 0; node < KFD_NODES_MAX; node++) {
        take_node(search, node, hardware);
    }
    for (size_t i = first; i < hardware->devices_count; i++) {
        needs_tool = needs_tool || hardware->devices[i].memory_free_bytes == 0;
    }
    if (needs_tool) {
        ask_tool(search, first, hardware);
    }
    sp__hardware_hide(hardware, first, "ROCR_VISIBLE_DEVICES", "ROCm", 0);
    sp__hardware_hide(hardware, first, "HIP_VISIBLE_DEVICES", "ROCm", 0);
}
