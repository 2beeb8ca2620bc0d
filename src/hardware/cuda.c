/* SPDX-License-Identifier: MIT */
/*
 * NVIDIA's devices. That the driver is loaded is known from /proc/driver/nvidia, and so
 * are the devices' names; memory and figures only nvidia-smi tells.
 *
 * CUDA_VISIBLE_DEVICES chooses and orders what a program sees, by numbers or the
 * beginnings of UUIDs, up to the first that fits nothing; numbers of devices are those
 * that a CUDA program would give them. nvidia-smi counts in the order of PCI addresses,
 * CUDA by speed unless CUDA_DEVICE_ORDER says PCI_BUS_ID: with devices of different kinds
 * the two may differ, which a note says.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hardware/hardware.h"

enum { SAID_BYTES = 32 * 1024, TEXT_BYTES = 4096 };

static const uint64_t mib = 1024 * 1024;

static double figure(const char *field)
{
    char *end;
    double value = field != NULL ? strtod(field, &end) : 0;
    return field != NULL && end > field ? value : SP_HARDWARE_UNKNOWN; /* "[N/A]" */
}

static uint64_t in_bytes(const char *field)
{
    double value = figure(field);
    return value > 0 ? (uint64_t)value * mib : 0;
}

static void put_text(char *to, size_t max, const char *field)
{
    (void)snprintf(to, max, "%s", field != NULL && field[0] != '[' ? field : "");
}

/* One line of what QUERY asks for, cut in pieces. */
#define QUERY                                                                     \
    "--query-gpu=name,uuid,memory.total,memory.free,compute_cap,utilization.gpu," \
    "utilization.memory,temperature.gpu,power.draw,power.limit,driver_version"

static void take_line(char *line, struct hardware *hardware)
{
    char *at = line;
    sp_device *device = sp__hardware_add(hardware, SP_DEVICE_CUDA);
    if (device == NULL) {
        return;
    }
    put_text(device->name, sizeof device->name, sp__hardware_field(&at));
    put_text(device->id, sizeof device->id, sp__hardware_field(&at));
    device->memory_total_bytes = in_bytes(sp__hardware_field(&at));
    device->memory_free_bytes = in_bytes(sp__hardware_field(&at));
    put_text(device->capability, sizeof device->capability, sp__hardware_field(&at));
    device->busy_percent = figure(sp__hardware_field(&at));
    device->memory_busy_percent = figure(sp__hardware_field(&at));
    device->celsius = figure(sp__hardware_field(&at));
    device->watts = figure(sp__hardware_field(&at));
    device->watts_limit = figure(sp__hardware_field(&at));
    put_text(hardware->cuda_driver, sizeof hardware->cuda_driver,
             sp__hardware_field(&at));
}

static void take_lines(char *text, struct hardware *hardware)
{
    for (char *line; (line = sp__hardware_line(&text)) != NULL;) {
        if (strchr(line, ',') != NULL) {
            take_line(line, hardware);
        }
    }
}

/* Without its tool the driver still names the devices. */
static void take_folders(const struct search *search, struct hardware *hardware)
{
    char folder[512];
    (void)snprintf(folder, sizeof folder, "%s/proc/driver/nvidia/gpus", search->root);
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[320];
        char text[TEXT_BYTES];
        (void)snprintf(path, sizeof path, "/proc/driver/nvidia/gpus/%s/information",
                       entry->d_name);
        if (entry->d_name[0] == '.' ||
            sp__hardware_read(search, path, text, sizeof text) < 0) {
            continue;
        }
        sp_device *device = sp__hardware_add(hardware, SP_DEVICE_CUDA);
        if (device != NULL) {
            (void)sp__hardware_value(text, "Model", device->name, sizeof device->name);
            (void)sp__hardware_value(text, "GPU UUID", device->id, sizeof device->id);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

static void note_order(struct hardware *hardware, size_t first)
{
    const char *order = getenv("CUDA_DEVICE_ORDER");
    if (order != NULL && strcmp(order, "PCI_BUS_ID") == 0) {
        return;
    }
    for (size_t i = first + 1; i < hardware->devices_count; i++) {
        if (strcmp(hardware->devices[i].name, hardware->devices[first].name) != 0) {
            sp__hardware_note(
                hardware, "CUDA devices differ: set CUDA_DEVICE_ORDER=PCI_BUS_ID, or "
                          "programs may number them by speed");
            return;
        }
    }
}

void sp__hardware_find_cuda(const struct search *search, struct hardware *hardware)
{
    static const char *const argv[] = {"nvidia-smi", QUERY,
                                       "--format=csv,noheader,nounits", NULL};
    char text[SAID_BYTES];
    size_t first = hardware->devices_count;
    if (!sp__hardware_exists(search, "/proc/driver/nvidia")) {
        return;
    }
    int rc = sp__hardware_run(search, argv, text, sizeof text, hardware);
    if (rc == 0) {
        take_lines(text, hardware);
    } else if (rc > 0) {
        sp__hardware_note(hardware,
                          "nvidia-smi is not on PATH: no figures of CUDA devices");
    }
    if (hardware->devices_count == first) {
        take_folders(search, hardware);
    }
    note_order(hardware, first);
    sp__hardware_hide(hardware, first, "CUDA_VISIBLE_DEVICES", "CUDA", 1);
}
