/* SPDX-License-Identifier: MIT */
/* Graphics processors of a machine that is only files and a script, told as events. */
#include "telemetry/gpu.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "leak.h"

static struct herald herald;
static uint64_t copy[RECORD_MAX / sizeof(uint64_t)];
static struct read_event read_event;
static sp_hardware_options options;

static void on_more(struct tap *tap)
{
    (void)tap;
}

static void put_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void make_machine(void)
{
    static const char *const folders[] = {"proc", "proc/driver", "proc/driver/nvidia",
                                          "bin"};
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        assert_int_equal(mkdir(leak_path(folders[i]), 0700), 0);
    }
    put_file(
        leak_path("bin/nvidia-smi"),
        "#!/bin/sh\n"
        "echo 'A100, GPU-a, 100, 40, 8.0, 12, 5, 41, 55.5, 400.00, 550.54'\n"
        "echo 'A100, GPU-b, 100, 90, 8.0, [N/A], [N/A], [N/A], [N/A], 400, 550.54'\n",
        0700);
    options = (sp_hardware_options){
        .size = sizeof options, .root = leak_path(""), .path = leak_path("bin")};
    sp__herald_init(&herald);
}

static const sp_event *take(struct tap *tap)
{
    if (sp__tap_take(&herald, tap, copy, 1) == 0) {
        return NULL;
    }
    sp__record_read((const void *)copy, &read_event);
    return &read_event.event;
}

static void expect(struct tap *tap, int kind, const char *device, double first,
                   double second)
{
    const sp_event *event = take(tap);
    assert_non_null(event);
    assert_int_equal(event->kind, kind);
    assert_string_equal(event->metadata[0].name, "device");
    assert_string_equal(event->metadata[0].text, device);
    assert_true(event->measurements[0].value == first);
    if (event->measurements_count > 1) {
        assert_true(event->measurements[1].value == second);
    }
}

static void each_device_tells_what_it_knows(void **state)
{
    const double mib = 1024 * 1024;
    struct tap tap = {.on_more = on_more};
    make_machine();
    assert_int_equal(sp__tap_open(&herald, &tap, "gpu.", TAP_FROM_NOW, NULL), 0);
    assert_int_equal(sp__gpu_sample(&herald, &options), 2);
    expect(&tap, SP_EVENT_GPU_MEMORY, "cuda:0", 60 * mib, 40 * mib);
    expect(&tap, SP_EVENT_GPU_UTILIZATION, "cuda:0", 12, 5);
    expect(&tap, SP_EVENT_GPU_TEMPERATURE, "cuda:0", 41, 0);
    expect(&tap, SP_EVENT_GPU_POWER, "cuda:0", 55.5, 400);
    expect(&tap, SP_EVENT_GPU_MEMORY, "cuda:1", 10 * mib, 90 * mib);
    assert_null(take(&tap));
    sp__tap_close(&herald, &tap);
    sp__herald_fini(&herald);
}

static void while_nobody_listens_nobody_looks(void **state)
{
    make_machine();
    assert_int_equal(sp__gpu_sample(&herald, &options), 0);
    sp__herald_fini(&herald);
}

static void the_sampler_looks_again_and_again_until_it_is_closed(void **state)
{
    struct tap tap = {.on_more = on_more};
    struct gpu_sampler *sampler = NULL;
    unsigned seen = 0;
    make_machine();
    assert_int_equal(
        sp__tap_open(&herald, &tap, "gpu.power.sampled", TAP_FROM_NOW, NULL), 0);
    assert_int_equal(sp__gpu_open(&herald, &options, 1, &sampler, NULL), 0);
    UNTIL((seen += take(&tap) != NULL) >= 3);
    sp__gpu_close(sampler);
    sp__gpu_close(NULL);
    sp__tap_close(&herald, &tap);
    sp__herald_fini(&herald);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_device_tells_what_it_knows),
        TEST(while_nobody_listens_nobody_looks),
        TEST(the_sampler_looks_again_and_again_until_it_is_closed),
    };
    return cmocka_run_group_tests_name("gpu", tests, NULL, NULL);
}
