/* SPDX-License-Identifier: MIT */
/* The worker's side of shared memory: what it refuses to map, and how long it holds. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "leak.h"
#include "runtime/runtime.h"

enum { AREA = 128 * 1024, ALL_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

static int file_of(size_t bytes, int seals, uint64_t area)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct arena_head head = {.area_bytes = area, .min_bytes = 4096};
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    if (bytes >= sizeof head) {
        assert_int_equal(pwrite(fd, &head, sizeof head, 0), sizeof head);
    }
    if (seals != 0) {
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    }
    return fd;
}

static void what_could_end_it_is_not_mapped(void **state)
{
    (void)state;
    const struct {
        size_t bytes;
        int seals;
        uint64_t area;
    } wrong[] = {
        {sp__arena_file_bytes(AREA), 0, AREA},
        {sp__arena_file_bytes(AREA), F_SEAL_GROW, AREA},
        {sp__arena_file_bytes(AREA), F_SEAL_SHRINK, AREA},
        {0, ALL_SEALS, AREA},
        {100, ALL_SEALS, AREA},
        {ARENA_HEAD_BYTES - 1, ALL_SEALS, 0},
        {sp__arena_file_bytes(AREA) - 1, ALL_SEALS, AREA},
        {sp__arena_file_bytes(AREA), ALL_SEALS, AREA + 1},
        {sp__arena_file_bytes(AREA), ALL_SEALS, AREA * 2},
        {sp__arena_file_bytes(AREA), ALL_SEALS, UINT64_MAX},
        {sp__arena_file_bytes(AREA), ALL_SEALS, UINT64_MAX / 2 + AREA},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct memory *memory = NULL;
        sp_error err = {0};
        int fd = file_of(wrong[i].bytes, wrong[i].seals, wrong[i].area);
        assert_int_equal(sp__memory_open(fd, &memory, &err), SP_ERR_INVAL);
        assert_non_null(strstr(err.message, "SNAKEPIT_MEMORY_FD"));
        assert_null(memory);
        (void)close(fd);
        sp_error_clear(&err);
    }
    char path[] = "/tmp/snakepit-memory-XXXXXX";
    struct memory *memory = NULL;
    int fd = mkstemp(path); /* a file that knows no seals */
    assert_true(fd >= 0 && unlink(path) == 0);
    assert_int_equal(ftruncate(fd, (off_t)sp__arena_file_bytes(AREA)), 0);
    assert_int_equal(sp__memory_open(fd, &memory, NULL), SP_ERR_INVAL);
    (void)close(fd);
    assert_int_equal(sp__memory_open(-1, &memory, NULL), SP_ERR_INVAL);
}

static void what_is_held_outlives_the_worker(void **state)
{
    (void)state;
    struct memory *memory;
    struct arena down, up;
    struct arena_ref ref;
    struct held held = {0};
    uint8_t text[SP__PROTO_REF_MAX];
    int64_t live = sp__mem_live();
    int fd = file_of(sp__arena_file_bytes(AREA), ALL_SEALS, AREA);
    assert_int_equal(sp__memory_open(fd, &memory, NULL), SP_OK);
    struct arena_head *host = mmap(NULL, sp__arena_file_bytes(AREA),
                                   PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(host != MAP_FAILED);
    (void)close(fd);
    assert_int_equal(atomic_load(&host->is_mapped), 1);
    sp__arena_init(&down, &up, host, AREA);
    assert_int_equal(sp__arena_put(&down, sp_text("value"), 0, &ref), 1);

    struct proto_pair pair = {.key = {"x", 1}};
    pair.value = (sp_bytes){text, sp__proto_put_ref(text, &ref)};
    struct proto_request request = {.shared = &pair, .shared_count = 1};
    assert_int_equal(sp__memory_hold(memory, &request, &held, NULL), SP_OK);
    assert_int_equal(request.binary_count, 1);
    assert_int_equal(request.shared_count, 0);
    assert_memory_equal(pair.value.data, "value", 5);
    assert_int_equal(atomic_load(&host->down.state[ref.slot]), ARENA_HELD);
    sp__memory_drop(memory);
    assert_memory_equal(pair.value.data, "value", 5); /* it is mapped yet */
    sp__held_drop(&held);
    assert_int_equal(atomic_load(&host->down.state[ref.slot]), ARENA_FREE);
    sp__held_drop(&held); /* again is fine */
    sp__arena_fini(&down);
    assert_int_equal(sp__mem_live(), live);
    (void)munmap(host, sp__arena_file_bytes(AREA));
}

static void places_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct memory *memory;
    const struct arena_ref wrong[] = {
        {0, AREA, 1}, {64, 0, 1}, {0, 0, AREA + 1}, {0, UINT64_MAX, 2}};
    int fd = file_of(sp__arena_file_bytes(AREA), ALL_SEALS, AREA);
    assert_int_equal(sp__memory_open(fd, &memory, NULL), SP_OK);
    (void)close(fd);
    for (size_t i = 0; i < 4; i++) {
        uint8_t text[SP__PROTO_REF_MAX];
        struct held held = {0};
        struct proto_pair pair = {.value = {text, sp__proto_put_ref(text, &wrong[i])}};
        struct proto_request request = {.shared = &pair, .shared_count = 1};
        assert_int_equal(sp__memory_hold(memory, &request, &held, NULL),
                         SP_ERR_PROTOCOL);
        sp__held_drop(&held);
        assert_int_equal(sp__memory_hold(NULL, &request, &held, NULL), SP_ERR_BAD_ARGS);
    }
    const struct arena_ref given_up = {3, 0, 10};
    uint8_t text[SP__PROTO_REF_MAX];
    struct held held = {0};
    struct proto_pair pair = {.value = {text, sp__proto_put_ref(text, &given_up)}};
    struct proto_request request = {.shared = &pair, .shared_count = 1};
    assert_int_equal(sp__memory_hold(memory, &request, &held, NULL), SP_ERR_CANCELLED);
    sp__held_drop(&held);
    sp__memory_drop(memory);
}

static void answers_find_a_place_until_there_is_none(void **state)
{
    (void)state;
    static uint8_t large[AREA];
    struct memory *memory;
    struct arena_ref ref;
    int fd = file_of(sp__arena_file_bytes(AREA), ALL_SEALS, AREA);
    assert_int_equal(sp__memory_open(fd, &memory, NULL), SP_OK);
    (void)close(fd);
    assert_int_equal(sp__memory_put(memory, (sp_bytes){large, 4095}, 1, &ref), 0);
    assert_int_equal(sp__memory_put(NULL, (sp_bytes){large, AREA}, 1, &ref), 0);
    assert_int_equal(sp__memory_put(memory, (sp_bytes){large, AREA}, 1, &ref), 1);
    assert_int_equal(sp__memory_put(memory, (sp_bytes){large, 4096}, 3, &ref), 0);
    sp__memory_take_back(memory, ref.slot);
    assert_int_equal(sp__memory_put(memory, (sp_bytes){large, 4096}, 3, &ref), 1);
    sp__memory_drop(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_could_end_it_is_not_mapped),
        TEST(what_is_held_outlives_the_worker),
        TEST(places_that_cannot_be_are_refused),
        TEST(answers_find_a_place_until_there_is_none),
    };
    return cmocka_run_group_tests_name("shared", tests, NULL, NULL);
}
