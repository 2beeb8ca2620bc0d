/* SPDX-License-Identifier: MIT */
/* A pool's options: the defaults the header promises, and every limit from both sides. */
#include "pool/options.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "leak.h"

#define DAY 86400000ull
#define GIB (1024ull * 1024 * 1024)

static void an_empty_struct_means_the_promised_defaults(void **state)
{
    sp_pool_options given = {.size = sizeof given};
    sp_pool_options full;
    uint32_t twice = 2 * (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    assert_int_equal(sp__pool_options_fill(&given, &full, NULL), 0);
    assert_string_equal(full.name, "default");
    assert_string_equal(full.runtime, "python");
    assert_int_equal(full.workers, twice);
    assert_int_equal(full.threads, 1);
    assert_int_equal(full.pipeline_max, 64);
    assert_int_equal(full.startup_batch, twice < 8 ? 8 : twice);
    assert_int_equal(full.startup_batch_delay_ms, 0);
    assert_int_equal(full.startup_timeout_ms, 30000);
    assert_int_equal(full.init_timeout_ms, 20000);
    assert_int_equal(full.queue_timeout_ms, 5000);
    assert_int_equal(full.call_timeout_ms, 60000);
    assert_int_equal(full.stream_timeout_ms, 300000);
    assert_int_equal(full.cancel_grace_ms, 2000);
    assert_int_equal(full.shutdown_grace_ms, 2000);
    assert_int_equal(full.health_interval_ms, 30000);
    assert_int_equal(full.health_misses, 1);
    assert_int_equal(full.hang_grace_ms, 1000);
    assert_int_equal(full.queue_max, 1000);
    assert_int_equal(full.request_max_bytes, 128 << 20);
    assert_int_equal(full.response_max_bytes, 128 << 20);
    assert_int_equal(full.affinity, SP_AFFINITY_HINT);
}

static void no_struct_means_the_same(void **state)
{
    sp_pool_options full;
    assert_int_equal(sp__pool_options_fill(NULL, &full, NULL), 0);
    assert_string_equal(full.name, "default");
    assert_int_equal(full.size, sizeof full);
}

static void an_older_smaller_struct_is_understood(void **state)
{
    sp_pool_options given;
    sp_pool_options full;
    memset(&given, 0x7f, sizeof given); /* what lies behind must not be read */
    memset(&given, 0, offsetof(sp_pool_options, runtime));
    given.size = offsetof(sp_pool_options, runtime);
    given.name = "old";
    assert_int_equal(sp__pool_options_fill(&given, &full, NULL), 0);
    assert_string_equal(full.name, "old");
    assert_int_equal(full.queue_max, 1000);
}

static void a_struct_without_its_size_is_refused(void **state)
{
    sp_pool_options given = {.workers = 1};
    sp_pool_options full;
    sp_error err = {0};
    assert_int_equal(sp__pool_options_fill(&given, &full, &err), SP_ERR_INVAL);
    given.size = 1 << 20;
    assert_int_equal(sp__pool_options_fill(&given, &full, &err), SP_ERR_INVAL);
    sp_error_clear(&err);
}

struct limit {
    size_t at;
    size_t bytes;
    uint64_t max;
    int unlimited;
    uint64_t min; /* above 1: what is below it and not 0 is refused */
};

#define U32(member, max)                                \
    {                                                   \
        offsetof(sp_pool_options, member), 4, max, 0, 0 \
    }
#define U64(member, max, unlimited)                             \
    {                                                           \
        offsetof(sp_pool_options, member), 8, max, unlimited, 0 \
    }

static const struct limit limits[] = {
    U32(workers, 1000),
    U32(max_concurrency, 10000),
    U32(pipeline_max, 1024),
    U32(startup_batch, 1000),
    U32(queue_max, 10000000),
    U64(startup_batch_delay_ms, DAY, 0),
    U64(startup_timeout_ms, DAY, 0),
    U64(init_timeout_ms, DAY, 0),
    U64(queue_timeout_ms, DAY, 1),
    U64(call_timeout_ms, DAY, 1),
    U64(stream_timeout_ms, DAY, 1),
    U64(cancel_grace_ms, DAY, 1),
    U64(shutdown_grace_ms, DAY, 0),
    {offsetof(sp_pool_options, health_interval_ms), 8, DAY, 1, 10},
    U32(health_misses, 100),
    U64(hang_grace_ms, DAY, 0),
    U64(request_max_bytes, GIB, 0),
    U64(response_max_bytes, GIB, 0),
};

static int fill_with(const struct limit *limit, uint64_t value, sp_error *err)
{
    sp_pool_options given = {.size = sizeof given, .name = "p"};
    sp_pool_options full;
    uint32_t narrow = (uint32_t)value;
    memcpy((char *)&given + limit->at,
           limit->bytes == 4 ? (const void *)&narrow : (const void *)&value,
           limit->bytes);
    return sp__pool_options_fill(&given, &full, err);
}

static void every_limit_holds_and_is_named(void **state)
{
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        const struct limit *limit = &limits[i];
        sp_error err = {0};
        assert_int_equal(fill_with(limit, limit->max, &err), 0);
        assert_int_equal(fill_with(limit, limit->min > 1 ? limit->min : 1, &err), 0);
        assert_int_equal(fill_with(limit, limit->max + 1, &err), SP_ERR_CONFIG);
        assert_non_null(strstr(err.message, "pool p: "));
        assert_non_null(strstr(err.message, "allowed are"));
        if (limit->min > 1) {
            assert_int_equal(fill_with(limit, limit->min - 1, &err), SP_ERR_CONFIG);
        }
        if (limit->bytes == 8) {
            assert_int_equal(fill_with(limit, SP_UNLIMITED, &err),
                             limit->unlimited ? 0 : SP_ERR_CONFIG);
        }
        sp_error_clear(&err);
    }
}

static void an_affinity_is_one_of_four(void **state)
{
    sp_pool_options given = {.size = sizeof given};
    sp_pool_options full;
    for (int affinity = -2; affinity < 7; affinity++) {
        given.affinity = affinity;
        assert_int_equal(sp__pool_options_fill(&given, &full, NULL),
                         affinity >= 0 && affinity <= 4 ? 0 : SP_ERR_CONFIG);
    }
    given.affinity = SP_AFFINITY_DEFAULT;
    assert_int_equal(sp__pool_options_fill(&given, &full, NULL), 0);
    assert_int_equal(full.affinity, SP_AFFINITY_HINT);
}

/* What is asked of one profile with the other's number is not guessed at. */
static void each_profile_has_its_own_number(void **state)
{
    sp_error err = {0};
    sp_pool_options full;
    sp_pool_options given = {.size = sizeof given, .name = "p", .threads = 2};
    assert_int_equal(sp__pool_options_fill(&given, &full, &err), SP_ERR_CONFIG);
    assert_non_null(strstr(err.message, "threads is 2, but with the profile process"));

    given.profile = SP_PROFILE_THREAD;
    assert_int_equal(sp__pool_options_fill(&given, &full, &err), 0);
    assert_int_equal(sp__pool_options_capacity(&full), 2);
    given.threads = 0;
    assert_int_equal(sp__pool_options_fill(&given, &full, &err), 0);
    assert_int_equal(sp__pool_options_capacity(&full), 10);
    given.threads = 257;
    assert_int_equal(sp__pool_options_fill(&given, &full, &err), SP_ERR_CONFIG);
    assert_non_null(strstr(err.message, "threads is 257, allowed are 1 to 256"));
    given.threads = 256;
    assert_int_equal(sp__pool_options_fill(&given, &full, &err), 0);

    given.max_concurrency = 2;
    assert_int_equal(sp__pool_options_fill(&given, &full, &err), SP_ERR_CONFIG);
    assert_non_null(strstr(err.message, "max_concurrency is 2, but with the profile"));
    given.profile = SP_PROFILE_PROCESS;
    given.threads = 1;
    assert_int_equal(sp__pool_options_fill(&given, &full, &err), 0);
    assert_int_equal(sp__pool_options_capacity(&full), 2);
    given.profile = 2;
    assert_int_equal(sp__pool_options_fill(&given, &full, &err), SP_ERR_CONFIG);
    sp_error_clear(&err);
}

static void a_name_has_one_to_64_bytes(void **state)
{
    char name[66];
    sp_pool_options given = {.size = sizeof given, .name = name};
    sp_pool_options full;
    memset(name, 'n', sizeof name);
    name[64] = '\0';
    assert_int_equal(sp__pool_options_fill(&given, &full, NULL), 0);
    name[64] = 'n';
    name[65] = '\0';
    assert_int_equal(sp__pool_options_fill(&given, &full, NULL), SP_ERR_CONFIG);
    name[0] = '\0';
    assert_int_equal(sp__pool_options_fill(&given, &full, NULL), SP_ERR_CONFIG);
}

static void a_kind_of_worker_needs_what_it_needs(void **state)
{
    sp_pool_options full;
    sp_error err = {0};
    const char *const command[] = {"prog", NULL};
    const char *const empty[] = {NULL};
    sp_adapter adapter = {.size = sizeof adapter, .executable = "prog"};
    sp_pool_options given = {.size = sizeof given, .runtime = "cobol"};
    assert_int_equal(sp__pool_options_fill(&given, &full, &err), SP_ERR_CONFIG);
    assert_non_null(strstr(
        err.message, "none of python, node, ruby, r, exec, grpc, grpc_server, stdio"));
    given.runtime = "exec";
    assert_int_equal(sp__pool_options_fill(&given, &full, &err), SP_ERR_CONFIG);
    given.command = empty;
    assert_int_equal(sp__pool_options_fill(&given, &full, &err), SP_ERR_CONFIG);
    given.command = command;
    assert_int_equal(sp__pool_options_fill(&given, &full, &err), 0);
    given.command = NULL;
    given.custom = &adapter;
    assert_int_equal(sp__pool_options_fill(&given, &full, &err), 0);
    adapter.executable = NULL;
    assert_int_equal(sp__pool_options_fill(&given, &full, &err), SP_ERR_CONFIG);
    sp_error_clear(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_struct_means_the_promised_defaults),
        TEST(no_struct_means_the_same),
        TEST(an_older_smaller_struct_is_understood),
        TEST(a_struct_without_its_size_is_refused),
        TEST(every_limit_holds_and_is_named),
        TEST(an_affinity_is_one_of_four),
        TEST(each_profile_has_its_own_number),
        TEST(a_name_has_one_to_64_bytes),
        TEST(a_kind_of_worker_needs_what_it_needs),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
