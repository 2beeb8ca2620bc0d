/* SPDX-License-Identifier: MIT */
/*
 * The host's side of shared memory, against a worker that lies and scribbles.
 *
 * HAMMER rounds of it, or as many as SNAKEPIT_HAMMER says: none may end this process.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "leak.h"
#include "worker/internal.h"

enum { AREA = 1 << 20, MIN = 64 * 1024, HAMMER = 3000 };

static struct worker_spec spec;
static struct workshop shop;
static struct worker worker;
static int fd;
static struct arena_head *theirs; /* the same memory, as the worker has it */
static uint8_t payload[AREA];

static void fini(void)
{
    if (theirs != NULL) {
        (void)munmap(theirs, sp__arena_file_bytes(AREA));
        theirs = NULL;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    sp__worker_memory_close(&worker);
    sp__proto_scratch_fini(&shop.scratch);
}

static void init(void)
{
    spec = (struct worker_spec){.shared_min_bytes = MIN,
                                .shared_max_bytes = AREA,
                                .response_max_bytes = AREA / 2};
    shop = (struct workshop){0};
    worker = (struct worker){.spec = &spec, .shop = &shop};
    fd = sp__worker_memory_open(&worker);
    assert_true(fd >= 0);
    leak_at_end(fini);
    theirs = mmap(NULL, sp__arena_file_bytes(AREA), PROT_READ | PROT_WRITE, MAP_SHARED,
                  fd, 0);
    assert_true(theirs != MAP_FAILED);
    atomic_store(&theirs->is_mapped, 1);
    for (size_t i = 0; i < sizeof payload; i++) {
        payload[i] = (uint8_t)(i * 31 >> 3);
    }
}

static struct sp_buffer message_of(const struct proto_pair *pairs, size_t count)
{
    struct sp_buffer out;
    const struct proto_request request = {.tool_name = sp_text("tool"),
                                          .args_json = sp_text("{}"),
                                          .binary = pairs,
                                          .binary_count = count};
    sp__buf_init(&out, SIZE_MAX / 2);
    assert_int_equal(sp__proto_put_request(&out, &request, 0, NULL), SP_OK);
    return out;
}

static void its_size_is_fixed_for_ever(void **state)
{
    init();
    int seals = fcntl(fd, F_GET_SEALS);
    assert_int_equal(seals & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
                     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    static const off_t sizes[] = {0, 4096, AREA, 3 * AREA};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        assert_int_equal(ftruncate(fd, sizes[i]), -1);
        assert_int_equal(errno, EPERM);
    }
    assert_int_equal(theirs->area_bytes, AREA);
    assert_int_equal(theirs->min_bytes, MIN);
}

static void off_means_that_there_is_none(void **state)
{
    spec = (struct worker_spec){.shared_min_bytes = SP_UNLIMITED,
                                .shared_max_bytes = AREA};
    worker = (struct worker){.spec = &spec, .shop = &shop};
    assert_int_equal(sp__worker_memory_open(&worker), -1);
    assert_null(worker.memory);
    sp__worker_memory_close(&worker);
}

static void large_binaries_are_moved_and_small_ones_are_not(void **state)
{
    struct proto_scratch scratch = {0};
    struct proto_request got;
    struct worker_call call = {0};
    struct arena_ref ref;
    init();
    const struct proto_pair pairs[] = {{{"a", 1}, {payload, MIN}},
                                       {{"b", 1}, {payload, MIN - 1}},
                                       {{"c", 1}, {payload + 5, MIN + 5}}};
    struct sp_buffer message = message_of(pairs, 3);
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX / 2);
    assert_int_equal(sp__worker_share_call(
                         &worker, &call, (sp_bytes){message.data, message.size}, &out),
                     1);
    assert_true(out.size < MIN + 200);
    assert_int_equal(sp__proto_get_request(out.data, out.size, &scratch, &got, NULL),
                     SP_OK);
    assert_int_equal(got.binary_count, 1);
    assert_memory_equal(got.binary[0].key.data, "b", 1);
    assert_int_equal(got.shared_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const char *name = got.shared[i].key.data;
        assert_int_equal(sp__proto_get_ref(got.shared[i].value, &ref, NULL), SP_OK);
        const uint8_t *there = (uint8_t *)theirs + ARENA_HEAD_BYTES + ref.at;
        assert_int_equal(ref.size, *name == 'a' ? MIN : MIN + 5);
        assert_memory_equal(there, *name == 'a' ? payload : payload + 5, ref.size);
        assert_int_equal(atomic_load(&theirs->down.state[ref.slot]), ARENA_SENT);
        if (*name == 'a') {
            atomic_store(&theirs->down.state[ref.slot], ARENA_HELD);
        }
    }
    assert_int_equal(__builtin_popcountll(call.shared_slots), 2);
    sp__worker_unshare_call(&worker, &call);
    assert_int_equal(call.shared_slots, 0);
    unsigned held = 0;
    for (int i = 0; i < ARENA_SLOTS; i++) {
        held += atomic_load(&theirs->down.state[i]) != ARENA_FREE;
    }
    assert_int_equal(held, 1); /* what the worker holds stays until it lets go */
    sp__proto_scratch_fini(&scratch);
    sp__buf_fini(&message);
    sp__buf_fini(&out);
}

/* The worker gives a place back before its answer comes, and another call has it then. */
static void the_end_of_a_call_leaves_the_place_of_another_alone(void **state)
{
    struct worker_call calls[2] = {{.worker = NULL}, {.worker = NULL}};
    struct sp_buffer out[2];
    init();
    const struct proto_pair pair = {{"a", 1}, {payload, MIN}};
    struct sp_buffer message = message_of(&pair, 1);
    for (int i = 0; i < 2; i++) {
        sp__buf_init(&out[i], SIZE_MAX / 2);
        assert_int_equal(sp__worker_share_call(&worker, &calls[i],
                                               (sp_bytes){message.data, message.size},
                                               &out[i]),
                         1);
        if (i == 0) {
            int slot = __builtin_ctzll(calls[0].shared_slots);
            atomic_store(&theirs->down.state[slot], ARENA_FREE);
        }
    }
    assert_true(calls[0].shared_slots == calls[1].shared_slots);
    int slot = __builtin_ctzll(calls[1].shared_slots);
    sp__worker_unshare_call(&worker, &calls[0]);
    assert_int_equal(atomic_load(&theirs->down.state[slot]), ARENA_SENT);
    sp__worker_unshare_call(&worker, &calls[1]);
    assert_int_equal(atomic_load(&theirs->down.state[slot]), ARENA_FREE);
    for (int i = 0; i < 2; i++) {
        sp__buf_fini(&out[i]);
    }
    sp__buf_fini(&message);
}

static void a_worker_that_has_not_mapped_it_gets_nothing_there(void **state)
{
    struct worker_call call = {0};
    struct sp_buffer out;
    init();
    atomic_store(&theirs->is_mapped, 0);
    const struct proto_pair pair = {{"a", 1}, {payload, MIN}};
    struct sp_buffer message = message_of(&pair, 1);
    sp__buf_init(&out, SIZE_MAX / 2);
    assert_int_equal(sp__worker_share_call(
                         &worker, &call, (sp_bytes){message.data, message.size}, &out),
                     0);
    assert_int_equal(call.shared_slots, 0);
    sp__buf_fini(&message);
}

static void without_memory_a_call_goes_by_the_socket(void **state)
{
    init();
    const struct proto_pair pair = {{"a", 1}, {payload, MIN}};
    struct sp_buffer message = message_of(&pair, 1);
    for (uint64_t n = 1; n < 10; n++) {
        struct worker_call call = {0};
        struct sp_buffer out;
        sp__proto_scratch_fini(&shop.scratch);
        sp__buf_init(&out, SIZE_MAX / 2);
        uint64_t before = sp__mem_calls();
        sp__mem_fail_at(n, 0);
        int is_shared = sp__worker_share_call(
            &worker, &call, (sp_bytes){message.data, message.size}, &out);
        int failed = sp__mem_calls() - before >= n;
        sp__mem_fail_at(0, 0);
        assert_int_equal(is_shared, !failed);
        assert_int_equal(call.shared_slots != 0, is_shared);
        sp__worker_unshare_call(&worker, &call);
        sp__buf_fini(&out);
    }
    sp__buf_fini(&message);
}

static int fetch(const struct arena_ref *ref, struct sp_buffer *memory, sp_error *err)
{
    uint8_t text[SP__PROTO_REF_MAX];
    struct proto_response response = {.success = 1};
    response.shared_result = (sp_bytes){text, sp__proto_put_ref(text, ref)};
    sp__buf_init(memory, SIZE_MAX / 2);
    const struct worker_call call = {.worker = &worker};
    int rc = sp__worker_fetch_result(&call, &response, memory, err);
    if (rc == SP_OK) {
        assert_ptr_equal(response.binary_result.data, memory->data);
        assert_int_equal(response.binary_result.size, ref->size);
    }
    return rc;
}

static void a_result_is_copied_and_its_place_is_free(void **state)
{
    struct arena down, up;
    struct arena_ref ref;
    struct sp_buffer memory;
    init();
    sp__arena_init(&down, &up, theirs, AREA);
    for (int i = 0; i < 200; i++) { /* far more than there is room for at once */
        assert_int_equal(sp__arena_put(&up, (sp_bytes){payload, AREA / 2 - i}, 1, &ref),
                         1);
        assert_int_equal(fetch(&ref, &memory, NULL), SP_OK);
        assert_memory_equal(memory.data, payload, memory.size);
        sp__buf_fini(&memory);
    }
    sp__arena_fini(&up);
}

static void lies_about_results_are_refused(void **state)
{
    static const struct {
        struct arena_ref ref;
        int rc;
    } lies[] = {
        {{0, AREA, 1}, SP_ERR_PROTOCOL},       {{0, 1, AREA}, SP_ERR_PROTOCOL},
        {{64, 0, 1}, SP_ERR_PROTOCOL},         {{UINT32_MAX, 0, 1}, SP_ERR_PROTOCOL},
        {{0, UINT64_MAX, 2}, SP_ERR_PROTOCOL}, {{0, 2, UINT64_MAX}, SP_ERR_PROTOCOL},
        {{0, 0, AREA / 2 + 1}, SP_ERR_TOO_BIG}};
    struct sp_buffer memory;
    sp_error err = {0};
    init();
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        assert_int_equal(fetch(&lies[i].ref, &memory, &err), lies[i].rc);
        sp__buf_fini(&memory);
    }
    const struct arena_ref fine = {0, 0, 100};
    sp__worker_memory_close(&worker); /* and none at all where nothing is shared */
    assert_int_equal(fetch(&fine, &memory, &err), SP_ERR_PROTOCOL);
    sp__buf_fini(&memory);
    sp_error_clear(&err);
}

static void results_of_calls_that_have_ended_are_nobodys(void **state)
{
    struct arena down, up;
    struct arena_ref ref;
    struct worker_call alive = {.stream_id = 5};
    init();
    sp__arena_init(&down, &up, theirs, AREA);
    sp__list_append(&worker.in_flight, &alive.on_worker);
    for (uint32_t stream = 1; stream <= 9; stream += 2) {
        assert_int_equal(sp__arena_put(&up, (sp_bytes){payload, MIN}, stream, &ref), 1);
    }
    sp__worker_sweep_memory(&worker);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(atomic_load(&theirs->up.state[i]),
                         i == 2 ? ARENA_SENT : ARENA_FREE);
    }
    sp__list_remove(&alive.on_worker);
    sp__worker_sweep_memory(&worker);
    assert_int_equal(atomic_load(&theirs->up.state[2]), ARENA_FREE);
    sp__arena_fini(&up);
}

/* ---- the hammer ---- */

static uint64_t seed = 0x9e3779b97f4a7c15ull;

static uint64_t any(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

/* Scribble over the head, or take pages away. */
static void misbehave(void)
{
    uint32_t *words = (uint32_t *)theirs;
    switch (any() % 4) {
    case 0:
        for (size_t i = 4; i < ARENA_HEAD_BYTES / sizeof *words; i++) {
            words[i] = (uint32_t)(any() % 3 == 0 ? any() : any() % 4);
        }
        break;
    case 1:
        for (size_t i = 0; i < 4; i++) {
            words[i] = (uint32_t)any(); /* the sizes, which the host knows itself */
        }
        break;
    case 2:
        (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        (off_t)(any() % AREA), (off_t)(any() % AREA + 1));
        break;
    default:
        assert_int_equal(ftruncate(fd, (off_t)(any() % AREA)), -1);
        break;
    }
    atomic_store(&theirs->is_mapped, 1);
}

static uint64_t near_a_limit(void)
{
    static const uint64_t limits[] = {0, AREA, AREA / 2, UINT64_MAX, MIN, 1ull << 32};
    return limits[any() % COUNT_OF(limits)] + any() % 5 - 2;
}

static void nothing_a_worker_writes_ends_the_host(void **state)
{
    const char *wanted = getenv("SNAKEPIT_HAMMER");
    long rounds = wanted != NULL ? strtol(wanted, NULL, 10) : HAMMER;
    struct worker_call call = {0};
    init();
    const struct proto_pair pairs[] = {{{"a", 1}, {payload, MIN}},
                                       {{"b", 1}, {payload, 2 * MIN}}};
    struct sp_buffer message = message_of(pairs, 2);
    for (long i = 0; i < rounds; i++) {
        struct sp_buffer memory;
        struct sp_buffer out;
        struct arena_ref ref = {(uint32_t)(any() % 70), near_a_limit(), near_a_limit()};
        sp__buf_init(&out, SIZE_MAX / 2);
        misbehave();
        (void)sp__worker_share_call(&worker, &call,
                                    (sp_bytes){message.data, message.size}, &out);
        misbehave();
        int rc = fetch(&ref, &memory, NULL);
        assert_true(rc == SP_OK || rc == SP_ERR_PROTOCOL || rc == SP_ERR_TOO_BIG);
        sp__worker_sweep_memory(&worker);
        sp__worker_unshare_call(&worker, &call);
        sp__buf_fini(&memory);
        sp__buf_fini(&out);
    }
    sp__buf_fini(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(its_size_is_fixed_for_ever),
        TEST(off_means_that_there_is_none),
        TEST(large_binaries_are_moved_and_small_ones_are_not),
        TEST(the_end_of_a_call_leaves_the_place_of_another_alone),
        TEST(a_worker_that_has_not_mapped_it_gets_nothing_there),
        TEST(without_memory_a_call_goes_by_the_socket),
        TEST(a_result_is_copied_and_its_place_is_free),
        TEST(lies_about_results_are_refused),
        TEST(results_of_calls_that_have_ended_are_nobodys),
        TEST(nothing_a_worker_writes_ends_the_host),
    };
    return cmocka_run_group_tests_name("worker_memory", tests, NULL, NULL);
}
