/* SPDX-License-Identifier: MIT */
/*
 * Events about the machine, each of which is made to happen. Its graphics processor is a
 * vendor's tool of this test's own, which says what the real one says, and the trace that a
 * driver leaves in /proc, seen by this process and its children alone.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "sightings.h"

#define EVENTS_FILE "machine"
#define DRIVERS "/proc/driver"

static void nothing(sp_bytes json, void *user_data)
{
}

static void ask(sp_pit *pit, const char *options)
{
    assert_int_equal(
        sp_pit_report(pit, "hardware", options, nothing, NULL, last_error()), 0);
}

static void the_machine_is_looked_at(void)
{
    sp_pool_options pool = pool_of_eventful(NULL);
    sp_pit *pit = sights_open_ready(&pool);
    ask(pit, "{\"refresh\":true}");
    ask(pit, "{\"select\":\"cpu\"}");
}

/* ---- a graphics processor ---- */

static void uncover_drivers(void)
{
    (void)umount2(DRIVERS, MNT_DETACH);
}

static void install_driver(void)
{
    if (unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", DRIVERS, "tmpfs", 0, "mode=0755") < 0) {
        scenario_skip("no folder of one's own over " DRIVERS);
    }
    leak_at_end(uncover_drivers);
    assert_int_equal(mkdir(DRIVERS "/nvidia", 0755), 0);
}

static char *path_before;

static void restore_path(void)
{
    (void)setenv("PATH", path_before, 1);
    free(path_before);
    path_before = NULL;
}

static void install_tool(void)
{
    char path[4096];
    const char *file = leak_path("bin/nvidia-smi");
    path_before = strdup(getenv("PATH"));
    leak_at_end(restore_path);
    assert_int_equal(mkdir(leak_path("bin"), 0700), 0);
    file_write(file,
               "#!/bin/sh\n"
               "echo 'A100, GPU-a, 100, 40, 8.0, 12, 5, 41, 55.5, 400, 550.54'\n");
    assert_int_equal(chmod(file, 0700), 0);
    (void)snprintf(path, sizeof path, "%s:%s", leak_path("bin"), path_before);
    (void)setenv("PATH", path, 1);
}

static void a_graphics_processor_is_looked_at(void)
{
    sp_pool_options pool = pool_of_eventful(NULL);
    install_driver();
    install_tool();
    sp_pit_options options = {.pools = &pool, .pools_count = 1, .gpu_interval_ms = 100};
    (void)sights_open(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(the_machine_is_looked_at),
        SCENARIO(a_graphics_processor_is_looked_at),
        ALL_CLAIMS,
    };
    return RUN_SYSTEM_TESTS("events_machine", tests);
}
