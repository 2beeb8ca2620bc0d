/* SPDX-License-Identifier: MIT */
/*
 * Apple's Metal: there is one on every Mac with a processor of Apple's, and it uses the
 * machine's memory. On other systems this finds nothing.
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "hardware/hardware.h"

void sp__hardware_find_mps(const struct search *search, struct hardware *hardware)
{
    struct utsname name;
    if (search->root[0] != '\0' || uname(&name) < 0 ||
        strcmp(name.sysname, "Darwin") != 0 || strcmp(name.machine, "arm64") != 0) {
        return;
    }
    sp_device *device = sp__hardware_add(hardware, SP_DEVICE_MPS);
    if (device != NULL) {
        (void)snprintf(device->name, sizeof device->name, "Apple Metal");
        device->memory_total_bytes = hardware->memory_total_bytes;
        device->memory_free_bytes = hardware->memory_available_bytes;
    }
}
