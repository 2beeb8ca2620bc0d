/* SPDX-License-Identifier: MIT */
/* Sessions on a clock of our own: created, used, changed, over. */
#include "session/sessions.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"

static uint64_t clock_ms;

static uint64_t read_clock(void)
{
    return clock_ms;
}

static unsigned expired_told;
static unsigned high_told;
static char last_told[SP_NAME_MAX + 1];

static void record(const sp_event *event, void *user_data)
{
    expired_told += event->kind == SP_EVENT_SESSION_EXPIRED;
    high_told += event->kind == SP_EVENT_SESSIONS_HIGH;
    (void)snprintf(last_told, sizeof last_told, "%s", event->session);
}

static sp_sessions *opened;
static sp_error error;

static void close_set(void)
{
    sp_sessions_close(opened);
    opened = NULL;
    sp_error_clear(&error);
}

static sp_sessions *open_set(sp_sessions_options options)
{
    options.size = sizeof options;
    options.on_event = record;
    expired_told = high_told = 0;
    clock_ms = 1000000;
    assert_int_equal(sp_sessions_open(&options, &opened, &error), 0);
    opened->now_ms = read_clock;
    leak_at_end(close_set);
    return opened;
}

static sp_sessions *open_plain(void)
{
    return open_set((sp_sessions_options){.ttl_ms = 1000});
}

static void create(sp_sessions *sessions, const char *id)
{
    assert_int_equal(sp_session_create(sessions, id, NULL, &error), 1);
}

static void a_session_is_there_until_deleted(void **state)
{
    sp_sessions *set = open_plain();
    sp_session_info info;
    sp_session_options options = {
        .size = sizeof options, .metadata = "{\"user\": 7}", .ttl_ms = 5000};
    assert_int_equal(sp_session_exists(set, "a"), 0);
    assert_int_equal(sp_session_create(set, "a", &options, &error), 1);
    assert_int_equal(sp_session_exists(set, "a"), 1);
    assert_int_equal(sp_session_get(set, "a", &info, &error), 0);
    assert_string_equal(info.id, "a");
    assert_string_equal(info.metadata, "{\"user\": 7}");
    assert_int_equal(info.ttl_ms, 5000);
    assert_int_equal(info.remaining_ms, 5000);
    assert_true(info.bytes > 0);
    sp_session_info_clear(&info);
    assert_int_equal(sp_session_delete(set, "a", &error), 0);
    assert_int_equal(sp_session_exists(set, "a"), 0);
    assert_int_equal(sp_session_get(set, "a", NULL, &error), SP_ERR_NOT_FOUND);
    assert_string_equal(error.message, "no session \"a\"");
    assert_int_equal(sp_session_delete(set, "a", &error), SP_ERR_NOT_FOUND);
}

static void what_exists_is_refused_or_used(void **state)
{
    sp_sessions *set = open_plain();
    sp_session_options options = {.size = sizeof options, .or_get = 1};
    create(set, "a");
    assert_int_equal(sp_session_create(set, "a", NULL, &error), SP_ERR_EXISTS);
    clock_ms += 600;
    assert_int_equal(sp_session_create(set, "a", &options, &error), 0);
    clock_ms += 600; /* it was used in between */
    assert_int_equal(sp_session_exists(set, "a"), 1);
    assert_int_equal(sp_session_create(set, "b", &options, &error), 1);
}

static void use_prolongs_and_disuse_ends(void **state)
{
    sp_sessions *set = open_plain();
    create(set, "a");
    create(set, "b");
    for (int i = 0; i < 5; i++) {
        clock_ms += 999;
        assert_int_equal(sp_session_get(set, "a", NULL, &error), 0);
    }
    assert_int_equal(sp_session_exists(set, "b"), 0);
    assert_int_equal(sp_session_get(set, "b", NULL, &error), SP_ERR_NOT_FOUND);
    assert_int_equal(sp_sessions_cleanup(set, &error), 1);
    assert_int_equal(expired_told, 1);
    assert_string_equal(last_told, "b");
    clock_ms += 1000; /* at the very millisecond it is over */
    assert_int_equal(sp_session_exists(set, "a"), 0);
    assert_int_equal(sp_sessions_cleanup(set, &error), 1);
    assert_int_equal(sp_sessions_cleanup(set, &error), 0);
}

static void looking_is_not_use(void **state)
{
    sp_sessions *set = open_plain();
    create(set, "a");
    clock_ms += 999;
    assert_int_equal(sp_session_exists(set, "a"), 1);
    assert_int_equal(sp_sessions_list(set, NULL, NULL, &error), 1);
    clock_ms += 1;
    assert_int_equal(sp_session_exists(set, "a"), 0);
    assert_int_equal(sp_sessions_list(set, NULL, NULL, &error), 0);
}

static void an_id_is_free_again_when_its_session_is_over(void **state)
{
    sp_sessions *set = open_plain();
    create(set, "a");
    clock_ms += 1000;
    create(set, "a");
    assert_int_equal(expired_told, 1);
    assert_int_equal(sp_sessions_cleanup(set, &error), 0);
    assert_int_equal(sp_session_exists(set, "a"), 1);
}

static void some_never_end(void **state)
{
    sp_sessions *set = open_plain();
    sp_session_options options = {.size = sizeof options, .ttl_ms = SP_UNLIMITED};
    assert_int_equal(sp_session_create(set, "a", &options, &error), 1);
    clock_ms = UINT64_MAX - 5;
    assert_int_equal(sp_sessions_cleanup(set, &error), 0);
    assert_int_equal(sp_session_exists(set, "a"), 1);
}

static void ids_are_any_text_of_255_bytes(void **state)
{
    sp_sessions *set = open_plain();
    char id[SP_NAME_MAX + 2];
    memset(id, 'x', sizeof id);
    id[SP_NAME_MAX + 1] = '\0';
    assert_int_equal(sp_session_create(set, id, NULL, &error), SP_ERR_INVAL);
    assert_non_null(strstr(error.message, "longer than 255 bytes"));
    id[SP_NAME_MAX] = '\0';
    create(set, id);
    create(set, "../\xc3\xbc\xe2\x82\xac\xf0\x9f\x90\x8d' OR 1=1 --\n");
    assert_int_equal(sp_session_create(set, "", NULL, &error), SP_ERR_INVAL);
    assert_string_equal(error.message, "the session id is empty");
    assert_int_equal(sp_session_create(set, NULL, NULL, &error), SP_ERR_INVAL);
    assert_int_equal(sp_session_create(set, "\xff", NULL, &error), SP_ERR_INVAL);
    assert_string_equal(error.message, "the session id is not valid UTF-8");
    assert_int_equal(sp_sessions_list(set, NULL, NULL, &error), 2);
}

static void metadata_is_an_object_within_its_limit(void **state)
{
    sp_sessions *set = open_set((sp_sessions_options){.metadata_bytes = 20});
    sp_session_options options = {.size = sizeof options, .metadata = "[1]"};
    assert_int_equal(sp_session_create(set, "a", &options, &error), SP_ERR_INVAL);
    assert_string_equal(error.message, "metadata must be a JSON object, got [1]");
    options.metadata = "{\"a\":";
    assert_int_equal(sp_session_create(set, "a", &options, &error), SP_ERR_BAD_JSON);
    options.metadata = "{\"a\": \"0123456789abc\"}";
    assert_int_equal(sp_session_create(set, "a", &options, &error), SP_ERR_TOO_BIG);
    assert_string_equal(error.message, "metadata of 22 bytes: at most 20 are kept");
    assert_int_equal(sp_session_exists(set, "a"), 0);
}

/* ---- updates ---- */

static int rename_user(const sp_session_info *info, sp_session_edit *edit, void *user,
                       sp_error *err)
{
    assert_string_equal(info->metadata, "{}");
    edit->metadata = user;
    edit->ttl_ms = 50;
    return 0;
}

static int refuse(const sp_session_info *info, sp_session_edit *edit, void *user,
                  sp_error *err)
{
    edit->metadata = "{\"a\": 1}";
    return sp_error_set(err, SP_ERR_STOPPED_BY_CALLBACK, "not today");
}

static int change_again(const sp_session_info *info, sp_session_edit *edit, void *user,
                        sp_error *err)
{
    sp_error inner = {0};
    assert_int_equal(sp_session_delete(user, info->id, &inner), SP_ERR_INVAL);
    assert_int_equal(sp_session_get(user, info->id, NULL, &inner), 0); /* reading may */
    sp_error_clear(&inner);
    return 0;
}

static void an_update_is_whole_or_nothing(void **state)
{
    sp_sessions *set = open_plain();
    sp_session_info info;
    create(set, "a");
    assert_int_equal(sp_session_update(set, "a", refuse, NULL, &error),
                     SP_ERR_STOPPED_BY_CALLBACK);
    assert_string_equal(error.message, "not today");
    char wrong[] = "7";
    assert_int_equal(sp_session_update(set, "a", rename_user, wrong, &error),
                     SP_ERR_INVAL);
    assert_int_equal(sp_session_update(set, "a", change_again, set, &error), 0);
    char right[] = "{\"name\": \"Ada\"}";
    assert_int_equal(sp_session_update(set, "a", rename_user, right, &error), 0);
    assert_int_equal(sp_session_get(set, "a", &info, &error), 0);
    assert_string_equal(info.metadata, right);
    assert_int_equal(info.ttl_ms, 50);
    sp_session_info_clear(&info);
    clock_ms += 50; /* a shorter life counts at once */
    assert_int_equal(sp_sessions_cleanup(set, &error), 1);
    assert_int_equal(sp_session_update(set, "a", rename_user, right, &error),
                     SP_ERR_NOT_FOUND);
}

enum { THREADS = 4, ROUNDS = 500 };

static int count_up(const sp_session_info *info, sp_session_edit *edit, void *user,
                    sp_error *err)
{
    unsigned n = 0;
    (void)sscanf(info->metadata, "{\"n\": %u}", &n);
    (void)snprintf(user, 32, "{\"n\": %u}", n + 1);
    edit->metadata = user;
    return 0;
}

static void *count_up_often(void *user)
{
    char text[32];
    for (int i = 0; i < ROUNDS; i++) {
        if (sp_session_update(user, "a", count_up, text, NULL) < 0) {
            return user;
        }
    }
    return NULL;
}

static void no_update_is_lost_between_threads(void **state)
{
    sp_sessions *set = open_plain();
    pthread_t threads[THREADS];
    sp_session_info info;
    void *failed;
    create(set, "a");
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_up_often, set), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(sp_session_get(set, "a", &info, &error), 0);
    assert_string_equal(info.metadata, "{\"n\": 2000}");
    sp_session_info_clear(&info);
}

/* ---- limits, lists, sums ---- */

static void the_quota_holds_and_the_over_make_room(void **state)
{
    sp_sessions *set = open_set((sp_sessions_options){
        .sessions_max = 10, .ttl_ms = 1000, .warn_permille = 800});
    sp_session_options or_get = {.size = sizeof or_get, .or_get = 1};
    char id[16];
    for (int i = 0; i < 10; i++) {
        (void)snprintf(id, sizeof id, "s%d", i);
        create(set, id);
        assert_int_equal(high_told, i >= 7 ? 1 : 0);
    }
    assert_int_equal(sp_session_create(set, "more", NULL, &error), SP_ERR_QUOTA);
    assert_string_equal(error.message, "there are 10 sessions, as many as may be");
    assert_int_equal(sp_session_create(set, "s3", &or_get, &error), 0);
    assert_int_equal(sp_session_create(set, "more", &or_get, &error), SP_ERR_QUOTA);
    clock_ms += 1000;
    create(set, "more");
    assert_int_equal(expired_told, 10);
    assert_int_equal(sp_sessions_list(set, NULL, NULL, &error), 1);
    for (int i = 0; i < 9; i++) {
        (void)snprintf(id, sizeof id, "t%d", i);
        create(set, id);
    }
    assert_int_equal(high_told, 2); /* it was low in between */
}

static void join_ids(const sp_session_info *info, void *user)
{
    strncat(user, info->id, 8);
}

static void a_list_is_in_order_and_sums_are_right(void **state)
{
    sp_sessions *set = open_plain();
    sp_sessions_stats stats;
    char ids[64] = "";
    create(set, "c");
    create(set, "a");
    create(set, "b");
    assert_int_equal(sp_session_delete(set, "b", &error), 0);
    assert_int_equal(sp_sessions_list(set, join_ids, ids, &error), 2);
    assert_string_equal(ids, "ac");
    clock_ms += 1000;
    assert_int_equal(sp_sessions_cleanup(set, &error), 2);
    create(set, "d");
    assert_int_equal(sp_sessions_stats_get(set, &stats, &error), 0);
    assert_int_equal(stats.sessions, 1);
    assert_int_equal(stats.sessions_created, 4);
    assert_int_equal(stats.sessions_deleted, 1);
    assert_int_equal(stats.sessions_expired, 2);
    assert_int_equal(stats.cleanup_runs, 1);
    assert_int_equal(stats.sessions_max, 10000);
    assert_true(stats.memory_bytes > 0);
    assert_int_equal(sp_session_delete(set, "d", &error), 0);
    assert_int_equal(sp_sessions_stats_get(set, &stats, &error), 0);
    assert_int_equal(stats.memory_bytes, 0);
}

static void a_cleanup_stops_when_its_time_is_used(void **state)
{
    sp_sessions *set = open_plain();
    size_t expired = 0;
    char id[16];
    unsigned rounds = 0;
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(id, sizeof id, "s%d", i);
        create(set, id);
    }
    clock_ms += 1000;
    while (sp__sessions_cleanup(set, 0, &expired)) {
        rounds++; /* one small portion each */
    }
    assert_int_equal(expired, 5000);
    assert_true(rounds > 5000 / 32);
    assert_int_equal(set->graves.length, 0);
}

/* The clock may jump by anything: nobody ends early, nobody lives longer than allowed. */
static void jumps_of_the_clock_neither_end_nor_prolong(void **state)
{
    sp_sessions *set = open_plain();
    uint32_t seed = 7;
    uint64_t used_ms = clock_ms;
    create(set, "a");
    for (int i = 0; i < 100000; i++) {
        seed = seed * 1664525u + 1013904223u;
        clock_ms += seed % 8 == 0 ? (seed >> 8) % 100000 : (seed >> 8) % 900;
        int there = sp_session_exists(set, "a");
        assert_int_equal(there, clock_ms - used_ms < 1000);
        if (seed & 1u << 20) {
            (void)sp_sessions_cleanup(set, &error);
        }
        if (!there) {
            create(set, "a");
        } else {
            assert_int_equal(sp_session_get(set, "a", NULL, &error), 0);
        }
        used_ms = clock_ms;
    }
}

static void without_memory_nothing_is_half_done(void **state)
{
    sp_sessions *set = open_plain();
    create(set, "a");
    for (uint64_t n = 1;; n++) {
        sp_session_info info = {0};
        char right[] = "{\"x\": 1}";
        sp__mem_fail_at(n, 0);
        int made = sp_session_create(set, "b", NULL, &error);
        int got = sp_session_get(set, "a", &info, &error);
        int updated = sp_session_update(set, "a", rename_user, right, &error);
        int listed = sp_sessions_list(set, NULL, NULL, &error);
        sp__mem_fail_at(0, 0);
        sp_session_info_clear(&info);
        assert_true(made == 1 || made == SP_ERR_NOMEM);
        assert_int_equal(sp_session_exists(set, "b"), made == 1);
        if (made == 1) {
            assert_int_equal(sp_session_delete(set, "b", &error), 0);
        }
        if (updated == 0) { /* back to what it was */
            assert_int_equal(sp_session_delete(set, "a", &error), 0);
            create(set, "a");
        }
        if (made == 1 && got == 0 && updated == 0 && listed == 2) {
            break;
        }
        assert_true(n < 100);
    }
}

static void nonsense_is_refused(void **state)
{
    sp_sessions *set = open_plain();
    sp_sessions_options options = {.size = sizeof options, .warn_permille = 1001};
    sp_session_options session = {.size = 3};
    sp_sessions *none = NULL;
    assert_int_equal(sp_sessions_open(&options, &none, &error), SP_ERR_INVAL);
    assert_string_equal(error.message, "warn_permille is 1001: 1 to 1000");
    assert_null(none);
    assert_int_equal(sp_sessions_open(&options, NULL, &error), SP_ERR_INVAL);
    assert_int_equal(sp_session_create(NULL, "a", NULL, &error), SP_ERR_INVAL);
    assert_int_equal(sp_session_create(set, "a", &session, &error), SP_ERR_INVAL);
    assert_int_equal(sp_session_update(set, "a", NULL, NULL, &error), SP_ERR_INVAL);
    assert_int_equal(sp_sessions_stats_get(set, NULL, &error), SP_ERR_INVAL);
    assert_int_equal(sp_session_exists(NULL, "a"), 0);
    sp_sessions_close(NULL);
    sp_session_info_clear(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_session_is_there_until_deleted),
        TEST(what_exists_is_refused_or_used),
        TEST(use_prolongs_and_disuse_ends),
        TEST(looking_is_not_use),
        TEST(an_id_is_free_again_when_its_session_is_over),
        TEST(some_never_end),
        TEST(ids_are_any_text_of_255_bytes),
        TEST(metadata_is_an_object_within_its_limit),
        TEST(an_update_is_whole_or_nothing),
        TEST(no_update_is_lost_between_threads),
        TEST(the_quota_holds_and_the_over_make_room),
        TEST(a_list_is_in_order_and_sums_are_right),
        TEST(a_cleanup_stops_when_its_time_is_used),
        TEST(jumps_of_the_clock_neither_end_nor_prolong),
        TEST(without_memory_nothing_is_half_done),
        TEST(nonsense_is_refused),
    };
    return cmocka_run_group_tests_name("sessions", tests, NULL, NULL);
}
