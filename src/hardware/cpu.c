/* SPDX-License-Identifier: MIT */
/*
 * Processors and memory, from /proc/cpuinfo, /proc/meminfo and /sys/devices/system/node.
 *
 * x86 says model, places and flags of each processor; ARM says implementer, part and
 * Features, and no cores, which are as many as there are processors then.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/mem.h"
#include "hardware/hardware.h"

enum {
    CPUINFO_BYTES = 1024 * 1024,
    CORES_MAX = 4096,
    VALUE_BYTES = 128,
    FLAGS_BYTES = 8192
};

/* What is told of a processor, and the words for it in cpuinfo. AVX-512 and AMX are
 * families; neon is asimd on 64 bits. */
static const struct {
    const char *name;
    const char *flags; /* any of them, between blanks */
} features[] = {
    {"sse4_2", " sse4_2 "},
    {"avx", " avx "},
    {"avx2", " avx2 "},
    {"fma", " fma "},
    {"avx512f", " avx512f "},
    {"avx512bw", " avx512bw "},
    {"avx512vl", " avx512vl "},
    {"avx512_vnni", " avx512_vnni "},
    {"avx512_bf16", " avx512_bf16 "},
    {"avx_vnni", " avx_vnni "},
    {"amx_tile", " amx_tile "},
    {"amx_int8", " amx_int8 "},
    {"amx_bf16", " amx_bf16 "},
    {"neon", " asimd neon "},
    {"sve", " sve "},
};

static int has_any(const char *words, const char *wanted)
{
    char word[32];
    for (const char *at = wanted + 1; *at != '\0';) {
        size_t size = strcspn(at, " ");
        (void)snprintf(word, sizeof word, "%.*s", (int)size, at);
        if (sp__hardware_has_word(words, word)) {
            return 1;
        }
        at += size + strspn(at + size, " ");
    }
    return 0;
}

static void find_features(const char *cpuinfo, struct hardware *hardware)
{
    char flags[FLAGS_BYTES];
    size_t size = 0;
    if (sp__hardware_value(cpuinfo, "flags", flags, sizeof flags) < 0 &&
        sp__hardware_value(cpuinfo, "Features", flags, sizeof flags) < 0) {
        return;
    }
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        if (has_any(flags, features[i].flags) && size < FEATURES_BYTES - 16) {
            size += (size_t)snprintf(hardware->features + size, FEATURES_BYTES - size,
                                     "%s%s", size > 0 ? " " : "", features[i].name);
        }
    }
}

/* Processors, and the different pairs of package and core among them. */
static void count_cores(const char *cpuinfo, struct hardware *hardware)
{
    static const char begin[] = "processor";
    uint32_t *seen = sp__calloc(CORES_MAX, sizeof *seen);
    size_t cores = 0;
    uint32_t packages = 0;
    const char *at = strncmp(cpuinfo, begin, sizeof begin - 1) == 0 ? cpuinfo : NULL;
    while (at != NULL) {
        char package[VALUE_BYTES];
        char core[VALUE_BYTES];
        const char *next = strstr(at, "\n\nprocessor");
        char entry[FLAGS_BYTES];
        size_t size = next != NULL ? (size_t)(next - at) : strlen(at);
        (void)snprintf(entry, sizeof entry, "%.*s", (int)size, at);
        hardware->threads++;
        if (seen != NULL &&
            sp__hardware_value(entry, "physical id", package, sizeof package) == 0 &&
            sp__hardware_value(entry, "core id", core, sizeof core) == 0) {
            uint32_t place = (uint32_t)(strtoul(package, NULL, 10) << 16 |
                                        (strtoul(core, NULL, 10) & 0xffff));
            size_t i = 0;
            while (i < cores && seen[i] != place) {
                i++;
            }
            if (i == cores && cores < CORES_MAX) {
                seen[cores++] = place;
            }
            packages = (place >> 16) + 1 > packages ? (place >> 16) + 1 : packages;
        }
        at = next != NULL ? next + 2 : NULL;
    }
    sp__free(seen);
    hardware->cores = cores > 0 ? (uint32_t)cores : hardware->threads;
    hardware->sockets = packages > 0 ? packages : hardware->threads > 0;
}

static void find_name(const char *cpuinfo, struct hardware *hardware)
{
    char part[VALUE_BYTES];
    if (sp__hardware_value(cpuinfo, "model name", hardware->model,
                           sizeof hardware->model) < 0 &&
        sp__hardware_value(cpuinfo, "Hardware", hardware->model,
                           sizeof hardware->model) < 0 &&
        sp__hardware_value(cpuinfo, "CPU part", part, sizeof part) == 0) {
        (void)snprintf(hardware->model, sizeof hardware->model, "part %.64s", part);
    }
    if (sp__hardware_value(cpuinfo, "vendor_id", hardware->vendor,
                           sizeof hardware->vendor) < 0) {
        (void)sp__hardware_value(cpuinfo, "CPU implementer", hardware->vendor,
                                 sizeof hardware->vendor);
    }
}

/* Of another root it is not asked who may use what. */
static void find_usable(const struct search *search, struct hardware *hardware)
{
    cpu_set_t set;
    hardware->usable = hardware->threads;
    if (search->root[0] == '\0' && sched_getaffinity(0, sizeof set, &set) == 0) {
        hardware->usable = (uint32_t)CPU_COUNT(&set);
    }
}

/* "  12345 kB" in bytes. */
static uint64_t kib(const char *text, const char *key)
{
    char value[VALUE_BYTES];
    return sp__hardware_value(text, key, value, sizeof value) == 0
               ? 1024 * strtoull(value, NULL, 10)
               : 0;
}

static void find_nodes(const struct search *search, struct hardware *hardware)
{
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        char path[96];
        char key[32];
        char meminfo[4096];
        struct node *node = &hardware->nodes[hardware->nodes_count];
        (void)snprintf(path, sizeof path, "/sys/devices/system/node/node%u/cpulist", i);
        if (sp__hardware_read(search, path, node->cpus, sizeof node->cpus) < 0) {
            continue;
        }
        (void)snprintf(path, sizeof path, "/sys/devices/system/node/node%u/meminfo", i);
        (void)sp__hardware_read(search, path, meminfo, sizeof meminfo);
        (void)snprintf(key, sizeof key, "Node %u MemTotal", i);
        node->number = i;
        node->memory_bytes = kib(meminfo, key);
        hardware->nodes_count++;
    }
}

void sp__hardware_find_cpu(const struct search *search, struct hardware *hardware)
{
    char meminfo[8192];
    struct utsname name;
    char *cpuinfo = sp__malloc(CPUINFO_BYTES);
    if (uname(&name) == 0) {
        (void)snprintf(hardware->architecture, sizeof hardware->architecture, "%.31s",
                       name.machine);
    }
    if (cpuinfo != NULL &&
        sp__hardware_read(search, "/proc/cpuinfo", cpuinfo, CPUINFO_BYTES) == 0) {
        find_name(cpuinfo, hardware);
        find_features(cpuinfo, hardware);
        count_cores(cpuinfo, hardware);
    } else {
        sp__hardware_note(hardware, "/proc/cpuinfo could not be read");
    }
    sp__free(cpuinfo);
    find_usable(search, hardware);
    (void)sp__hardware_read(search, "/proc/meminfo", meminfo, sizeof meminfo);
    hardware->memory_total_bytes = kib(meminfo, "MemTotal");
    hardware->memory_available_bytes = kib(meminfo, "MemAvailable");
    find_nodes(search, hardware);
}
