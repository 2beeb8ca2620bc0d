/* SPDX-License-Identifier: MIT */
/* What machines have, of which there is only the picture: files under a root, and
 * programs that answer as the vendors' do. And of this one. */
#include "snakepit/hardware.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "leak.h"
#include "wire/json.h"

/* ---- a machine in the test's folder ---- */

/* The folder that is its root; a new one for each test. */
static const char *machine(void)
{
    static char of_test[128];
    static const char *folder;
    if (strcmp(of_test, getenv("TMPDIR")) != 0) {
        (void)snprintf(of_test, sizeof of_test, "%s", getenv("TMPDIR"));
        folder = leak_folder();
    }
    return folder;
}

static void make_parents(char *path)
{
    for (char *at = path + strlen(machine()) + 1; (at = strchr(at, '/')) != NULL;
         at++) {
        *at = '\0';
        (void)mkdir(path, 0700);
        *at = '/';
    }
}

static void put_file(const char *name, const char *text, mode_t mode)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s%s", machine(), name);
    make_parents(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static const char cpuinfo_x86[] =
    "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Some Xeon\n"
    "physical id\t: 0\ncore id\t\t: 0\nflags\t\t: fpu sse4_2 avx avx2 fma avx512f "
    "avx512bw amx_tile amx_int8\n\n"
    "processor\t: 1\nmodel name\t: Some Xeon\nphysical id\t: 0\ncore id\t\t: 0\n\n"
    "processor\t: 2\nmodel name\t: Some Xeon\nphysical id\t: 1\ncore id\t\t: 0\n\n"
    "processor\t: 3\nmodel name\t: Some Xeon\nphysical id\t: 1\ncore id\t\t: 7\n";

static void put_base(void)
{
    put_file("/proc/cpuinfo", cpuinfo_x86, 0600);
    put_file("/proc/meminfo", "MemTotal:       1000 kB\nMemAvailable:    600 kB\n",
             0600);
}

static void put_cuda(const char *script)
{
    put_file("/proc/driver/nvidia/version", "NVRM version: 550\n", 0600);
    put_file("/proc/driver/nvidia/gpus/0000:01:00.0/information",
             "Model: \t\t Tesla T4\nIRQ: 1\nGPU UUID: \t GPU-aaaa\n", 0600);
    if (script != NULL) {
        put_file("/bin/nvidia-smi", script, 0700);
    }
}

/* As it writes CSV without a header and without units: a board, and one of whose figures
 * some cannot be had, in the words that it has for that. */
static const char nvidia_smi[] = "#!/bin/sh\n"
                                 "echo 'NVIDIA A100-SXM4-40GB, GPU-aaaa-1, 40960, "
                                 "40000, 8.0, 12, 5, 41, 55.25, 400.00, "
                                 "550.54.15'\n"
                                 "echo 'NVIDIA A100-SXM4-40GB, GPU-bbbb-2, 40960, "
                                 "1024, 8.0, [N/A], [Not Supported], "
                                 "60, [Unknown Error], [GPU is lost], 550.54.15'\n";

static const char gpu_node[] = "cpu_cores_count 0\nsimd_count 440\ngfx_target_version "
                               "90010\nunique_id 18446744073709551615\n"
                               "drm_render_minor 128\n";

static void put_rocm(void)
{
    put_file("/opt/rocm/.info/version", "6.1.0-82\n", 0600);
    put_file("/sys/class/kfd/kfd/topology/nodes/0/properties",
             "cpu_cores_count 8\nsimd_count 0\n", 0600);
    put_file("/sys/class/kfd/kfd/topology/nodes/1/properties", gpu_node, 0600);
    put_file("/sys/class/kfd/kfd/topology/nodes/1/name", "aldebaran\n", 0600);
    put_file("/sys/class/kfd/kfd/topology/nodes/1/mem_banks/0/properties",
             "heap_type 1\nsize_in_bytes 68702699520\n", 0600);
}

/* ---- looking at it ---- */

static char found[32 * 1024];

static void note_json(sp_bytes json, void *user)
{
    (void)user;
    assert_true(json.size < sizeof found);
    memcpy(found, json.data, json.size);
    found[json.size] = '\0';
    assert_int_equal(
        sp__json_read(found, json.size, SP__JSON_DEPTH_MAX, NULL, NULL, NULL), 0);
}

static sp_hardware_options options_here(void)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/bin", machine());
    return (sp_hardware_options){
        .size = sizeof(sp_hardware_options), .root = machine(), .path = path};
}

static void look(void)
{
    sp_hardware_options options = options_here();
    assert_int_equal(sp_hardware_json(&options, note_json, NULL, NULL), 0);
}

#define FOUND(text)                               \
    do {                                          \
        if (strstr(found, text) == NULL) {        \
            fail_msg("no %s in %s", text, found); \
        }                                         \
    } while (0)

static const char *chosen(const char *wanted, int expected)
{
    static sp_device device;
    static sp_error err;
    sp_hardware_options options = options_here();
    sp_error_clear(&err);
    int rc = sp_hardware_select(wanted, &options, &device, &err);
    assert_int_equal(rc, expected);
    return rc == 0 ? device.text : err.message;
}

/* ---- processors, memory, limits ---- */

static void processors_are_counted_by_place(void **state)
{
    put_base();
    look();
    FOUND("\"model\":\"Some Xeon\",\"vendor\":\"GenuineIntel\"");
    FOUND("\"sockets\":2,\"cores\":3,\"threads\":4,\"usable\":4");
    FOUND("\"features\":[\"sse4_2\",\"avx\",\"avx2\",\"fma\",\"avx512f\",\"avx512bw\","
          "\"amx_tile\",\"amx_int8\"]");
    FOUND("\"total_bytes\":1024000,\"available_bytes\":614400,\"limit_bytes\":null");
    FOUND("\"avx512\":true,\"amx\":true,\"neon\":false");
    FOUND("\"devices\":[{\"device\":\"cpu\",\"kind\":\"cpu\",\"index\":0");
    assert_null(strstr(found, "avx_vnni"));
}

static void arm_has_features_and_no_cores(void **state)
{
    put_file("/proc/cpuinfo",
             "processor\t: 0\nFeatures\t: fp asimd sve\nCPU implementer\t: 0x41\n"
             "CPU part\t: 0xd40\n\nprocessor\t: 1\nFeatures\t: fp asimd sve\n",
             0600);
    look();
    FOUND("\"model\":\"part 0xd40\",\"vendor\":\"0x41\"");
    FOUND("\"sockets\":1,\"cores\":2,\"threads\":2");
    FOUND("\"features\":[\"neon\",\"sve\"]");
    FOUND("\"neon\":true");
}

static void the_smallest_limit_of_the_groups_counts(void **state)
{
    put_base();
    put_file("/proc/self/cgroup", "0::/a/b\n", 0600);
    put_file("/sys/fs/cgroup/a/memory.max", "4096000\n", 0600);
    put_file("/sys/fs/cgroup/a/b/memory.max", "max\n", 0600);
    put_file("/sys/fs/cgroup/a/cpu.max", "max 100000\n", 0600);
    put_file("/sys/fs/cgroup/a/b/cpu.max", "150000 100000\n", 0600);
    look();
    FOUND("\"limit_bytes\":4096000}");
    FOUND("\"cpu_limit\":1.5");
}

static void version_one_has_a_tree_for_each(void **state)
{
    put_base();
    put_file("/proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/\n", 0600);
    put_file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n",
             0600);
    put_file("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "8192000\n", 0600);
    put_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n", 0600);
    put_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n", 0600);
    look();
    FOUND("\"limit_bytes\":8192000}");
    FOUND("\"cpu_limit\":2,");
}

static void memory_has_places(void **state)
{
    put_base();
    put_file("/sys/devices/system/node/node0/cpulist", "0-1\n", 0600);
    put_file("/sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:  500 kB\n",
             0600);
    put_file("/sys/devices/system/node/node2/cpulist", "2-3\n", 0600);
    look();
    FOUND("\"numa\":[{\"node\":0,\"cpus\":\"0-1\",\"memory_bytes\":512000},{\"node\":2,"
          "\"cpus\":\"2-3\",\"memory_bytes\":null}]");
}

/* ---- devices ---- */

static void cuda_devices_have_figures(void **state)
{
    put_base();
    put_cuda(nvidia_smi);
    look();
    FOUND(
        "{\"device\":\"cuda:0\",\"kind\":\"cuda\",\"index\":0,\"name\":\"NVIDIA "
        "A100-SXM4-40GB\","
        "\"id\":\"GPU-aaaa-1\",\"capability\":\"8.0\",\"memory_total_bytes\":"
        "42949672960,"
        "\"memory_free_bytes\":41943040000,\"busy_percent\":12,\"memory_busy_percent\":"
        "5,"
        "\"celsius\":41,\"watts\":55.25,\"watts_limit\":400}");
    FOUND("\"device\":\"cuda:1\"");
    FOUND("\"busy_percent\":null,\"memory_busy_percent\":null,\"celsius\":60,\"watts\":"
          "null,\"watts_limit\":null");
    FOUND("\"drivers\":{\"cuda\":\"550.54.15\",\"rocm\":null}");
    FOUND("\"notes\":[]");
    FOUND("\"cuda\":true");
    assert_string_equal(chosen("auto", 0), "cuda:0");
    assert_string_equal(chosen("cuda:1", 0), "cuda:1");
    assert_string_equal(chosen("cpu", 0), "cpu");
}

static void without_the_tool_the_driver_names_them(void **state)
{
    put_base();
    put_cuda(NULL);
    look();
    FOUND("\"device\":\"cuda:0\",\"kind\":\"cuda\",\"index\":0,\"name\":\"Tesla "
          "T4\",\"id\":"
          "\"GPU-aaaa\"");
    FOUND("\"memory_total_bytes\":null");
    FOUND("nvidia-smi is not on PATH");
}

static void a_tool_that_fails_or_hangs_is_a_note(void **state)
{
    sp_hardware_options options = options_here();
    put_base();
    put_cuda(
        "#!/bin/sh\necho 'Failed to initialize NVML: Driver/library version mismatch'\n"
        "echo 'NVML library version: 550.54'\nexit 18\n");
    look();
    FOUND("bin/nvidia-smi ended with 18: Failed to initialize NVML: Driver/library "
          "version "
          "mismatch\"");
    FOUND("\"name\":\"Tesla T4\"");
    put_cuda("#!/bin/sh\necho 'Field \"compute_cap\" is not a valid field to query.'\n"
             "echo\nexit 2\n"); /* of a driver before 470 */
    look();
    FOUND("ended with 2: Field \\\"compute_cap\\\" is not a valid field to query.\"");
    put_cuda("#!/bin/sh\nexec sleep 1000\n");
    options.timeout_ms = 50;
    assert_int_equal(sp_hardware_json(&options, note_json, NULL, NULL), 0);
    FOUND("did not end within 50 ms");
    put_cuda("#!/bin/sh\nexec yes\n");
    look();
    FOUND("or said too much");
    put_cuda("#!/nonexistent\n");
    look();
    FOUND("could not be run");
}

static void a_program_sees_what_its_variable_shows(void **state)
{
    put_base();
    put_cuda(nvidia_smi);
    (void)setenv("CUDA_VISIBLE_DEVICES", "GPU-bbbb, 7, 0", 1);
    look();
    FOUND("\"device\":\"cuda:0\",\"kind\":\"cuda\",\"index\":0,\"name\":\"NVIDIA "
          "A100-SXM4-40GB\",\"id\":"
          "\"GPU-bbbb-2\"");
    FOUND("CUDA_VISIBLE_DEVICES shows 1 of 2 CUDA devices");
    (void)setenv("CUDA_VISIBLE_DEVICES", "", 1);
    look();
    FOUND("\"cuda\":false");
    assert_string_equal(chosen("auto", 0), "cpu");
    (void)unsetenv("CUDA_VISIBLE_DEVICES");
}

static void rocm_devices_come_from_the_kernel(void **state)
{
    put_base();
    put_rocm();
    put_file("/sys/class/drm/renderD128/device/mem_info_vram_used", "2699520\n", 0600);
    put_file("/sys/class/drm/renderD128/device/gpu_busy_percent", "97\n", 0600);
    put_file("/sys/class/drm/renderD128/device/hwmon/hwmon3/temp1_input", "45000\n",
             0600);
    put_file("/sys/class/drm/renderD128/device/hwmon/hwmon3/power1_average",
             "90500000\n", 0600);
    look();
    FOUND("{\"device\":\"rocm:0\",\"kind\":\"rocm\",\"index\":0,\"name\":\"aldebaran\","
          "\"id\":"
          "\"ffffffffffffffff\",\"capability\":\"gfx90a\",\"memory_total_bytes\":"
          "68702699520,"
          "\"memory_free_bytes\":68700000000,\"busy_percent\":97,\"memory_busy_"
          "percent\":null,"
          "\"celsius\":45,\"watts\":90.5,\"watts_limit\":null}");
    FOUND("\"rocm\":\"6.1.0-82\"");
    assert_string_equal(chosen("cuda,mps,rocm,cpu", 0), "rocm:0");
}

static void rocm_smi_tells_the_memory_that_the_kernel_does_not(void **state)
{
    put_base();
    put_rocm();
    put_file(
        "/bin/rocm-smi",
        "#!/bin/sh\necho 'device,VRAM Total Memory (B),VRAM Total Used Memory (B)'\n"
        "echo 'card0,68702699520,702699520'\necho\n",
        0700);
    look();
    FOUND("\"memory_total_bytes\":68702699520,\"memory_free_bytes\":68000000000");
    put_file(
        "/bin/rocm-smi",
        "#!/bin/sh\necho 'device,VRAM Total Memory (B),VRAM Total Used Memory (B)'\n"
        "echo 'card0,N/A,N/A'\necho\n",
        0700);
    look();
    FOUND("\"memory_total_bytes\":68702699520,\"memory_free_bytes\":null");
}

static void a_chip_that_describes_itself_has_the_name_of_its_board(void **state)
{
    put_base();
    put_rocm();
    put_file("/sys/class/kfd/kfd/topology/nodes/1/name", "ip discovery\n", 0600);
    put_file("/sys/class/drm/renderD128/device/hwmon/hwmon3/temp1_input", "45000\n",
             0600);
    put_file("/sys/class/drm/renderD128/device/hwmon/hwmon3/power1_input", "90500000\n",
             0600);
    look();
    FOUND("\"name\":\"gfx90a\"");
    FOUND("\"celsius\":45,\"watts\":90.5,");
    put_file("/sys/class/drm/renderD128/device/product_name", "AMD Instinct MI210\n",
             0600);
    look();
    FOUND("\"name\":\"AMD Instinct MI210\"");
}

/* ---- choosing ---- */

static void the_first_that_is_there_is_taken(void **state)
{
    put_base();
    assert_string_equal(chosen("auto", 0), "cpu");
    assert_string_equal(chosen("cuda, mps, cpu", 0), "cpu");
    assert_string_equal(
        chosen("cuda,rocm", SP_ERR_NOT_FOUND),
        "no device of those wanted: cuda: there is none; rocm: there is "
        "none");
    put_cuda(nvidia_smi);
    assert_string_equal(chosen("cuda:7,cuda:1,cpu", 0), "cuda:1");
    assert_string_equal(chosen("cuda:7", SP_ERR_NOT_FOUND),
                        "no device of those wanted: cuda:7: there are not so many");
}

static void what_is_no_device_is_named(void **state)
{
    static const char *const wrong[] = {"tpu",     "cuda:", "cuda:x",  "cpu:0",
                                        "cuda:-1", "cud",   "cpu,gpu", "cuda:1x",
                                        "",        "cpu,",  "CUDA",    "mps:0"};
    put_base();
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_non_null(strstr(chosen(wrong[i], SP_ERR_INVAL), "is no device"));
    }
    sp_device device;
    sp_hardware_options sizeless = {0};
    assert_int_equal(sp_hardware_select(NULL, NULL, &device, NULL), SP_ERR_INVAL);
    assert_int_equal(sp_hardware_select("cpu", &sizeless, &device, NULL), SP_ERR_INVAL);
    assert_int_equal(sp_hardware_json(NULL, NULL, NULL, NULL), SP_ERR_INVAL);
}

/* ---- this machine ---- */

static void an_empty_machine_has_a_processor_all_the_same(void **state)
{
    look();
    FOUND("\"model\":null");
    FOUND("/proc/cpuinfo could not be read");
    assert_string_equal(chosen("auto", 0), "cpu");
}

static void this_machine_is_found_and_remembered(void **state)
{
    sp_hardware_options again = {.size = sizeof again, .refresh = 1};
    sp_device device;
    char threads[64];
    assert_int_equal(sp_hardware_json(NULL, note_json, NULL, NULL), 0);
    (void)snprintf(threads, sizeof threads, "\"threads\":%ld,",
                   sysconf(_SC_NPROCESSORS_ONLN));
    FOUND(threads);
    char first[sizeof found];
    (void)snprintf(first, sizeof first, "%s", found);
    assert_int_equal(sp_hardware_json(NULL, note_json, NULL, NULL), 0);
    assert_string_equal(found, first); /* free memory too: nobody looked */
    assert_int_equal(sp_hardware_json(&again, note_json, NULL, NULL), 0);
    FOUND(threads);
    assert_int_equal(sp_hardware_select("cpu", NULL, &device, NULL), 0);
    assert_true(device.memory_total_bytes > 0);
}

static void every_allocation_may_fail(void **state)
{
    sp_hardware_options options = options_here();
    put_base();
    uint64_t n = 0;
    int rc;
    do {
        sp__mem_fail_at(++n, 0);
        rc = sp_hardware_json(&options, note_json, NULL, NULL);
        sp__mem_fail_at(0, 0);
        assert_true(rc == 0 || rc == SP_ERR_NOMEM);
    } while (n < 12);
    assert_int_equal(rc, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(processors_are_counted_by_place),
        TEST(arm_has_features_and_no_cores),
        TEST(the_smallest_limit_of_the_groups_counts),
        TEST(version_one_has_a_tree_for_each),
        TEST(memory_has_places),
        TEST(cuda_devices_have_figures),
        TEST(without_the_tool_the_driver_names_them),
        TEST(a_tool_that_fails_or_hangs_is_a_note),
        TEST(a_program_sees_what_its_variable_shows),
        TEST(rocm_devices_come_from_the_kernel),
        TEST(rocm_smi_tells_the_memory_that_the_kernel_does_not),
        TEST(a_chip_that_describes_itself_has_the_name_of_its_board),
        TEST(the_first_that_is_there_is_taken),
        TEST(what_is_no_device_is_named),
        TEST(an_empty_machine_has_a_processor_all_the_same),
        TEST(this_machine_is_found_and_remembered),
        TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("hardware", tests, NULL, NULL);
}
