/* SPDX-License-Identifier: MIT */
/* The tools of a pool: announced, declared, looked up, refused, listed. */
#include "pool/tools.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"

/* An announcement of plain tools, or of streams. */
static struct proto_announce announce_of(const char *const *names, size_t n,
                                         int streaming)
{
    struct proto_announce announce = {.tools_count = n};
    announce.tools = sp__calloc(n, sizeof *announce.tools);
    for (size_t i = 0; i < n; i++) {
        announce.tools[i].name = sp__strdup(names[i]);
        announce.tools[i].description = sp__strdup("does it");
        announce.tools[i].streaming = streaming;
        announce.tools[i].params = sp__calloc(1, sizeof *announce.tools[i].params);
        announce.tools[i].params[0].name = sp__strdup("a");
        announce.tools[i].params[0].type = sp__strdup("int");
        announce.tools[i].params[0].description = sp__strdup("");
        announce.tools[i].params[0].default_json = i == 0 ? NULL : sp__strdup("5");
        announce.tools[i].params_count = 1;
    }
    return announce;
}

static void announce(struct tools *tools, const char *const *names, size_t n,
                     int streaming)
{
    struct proto_announce message = announce_of(names, n, streaming);
    sp_error err = {0};
    assert_int_equal(sp__tools_announce(tools, &message, &err), 0);
    sp__proto_announce_fini(&message);
}

static int check(struct tools *tools, const char *name, int streaming, sp_error *err)
{
    struct tool *tool;
    int rc = sp__tools_check(tools, name, streaming, "p", &tool, err);
    if (tool != NULL) {
        assert_string_equal(tool->name, name);
    }
    return rc;
}

static const char *const some[] = {"ping", "add", "echo"};

static void before_an_announcement_nothing_is_refused(void **state)
{
    struct tools tools;
    sp__tools_init(&tools);
    assert_int_equal(check(&tools, "anything", 0, NULL), 0);
    assert_int_equal(check(&tools, "anything", 1, NULL), 0);
    assert_int_equal(sp__tools_each(&tools, NULL, NULL), 0);
    sp__tools_fini(&tools);
}

static void an_unknown_tool_is_refused_with_near_matches(void **state)
{
    struct tools tools;
    sp_error err = {0};
    sp__tools_init(&tools);
    announce(&tools, some, 3, 0);
    assert_int_equal(check(&tools, "add", 0, &err), 0);
    assert_int_equal(check(&tools, "ad", 0, &err), SP_ERR_NO_TOOL);
    assert_string_equal(err.message, "pool p has no tool \"ad\"; near matches: add");
    assert_int_equal(check(&tools, "frobnicate", 0, &err), SP_ERR_NO_TOOL);
    assert_string_equal(err.message, "pool p has no tool \"frobnicate\"");
    sp_error_clear(&err);
    sp__tools_fini(&tools);
}

static void a_called_name_does_not_become_a_tool(void **state)
{
    struct tools tools;
    sp__tools_init(&tools);
    assert_non_null(sp__tools_of(&tools, "dreamt"));
    announce(&tools, some, 3, 0);
    assert_int_equal(check(&tools, "dreamt", 0, NULL), SP_ERR_NO_TOOL);
    assert_int_equal(sp__tools_each(&tools, NULL, NULL), 3);
    sp__tools_fini(&tools);
}

static void a_stream_is_refused_as_a_plain_call(void **state)
{
    struct tools tools;
    sp_error err = {0};
    const char *const names[] = {"numbers"};
    sp__tools_init(&tools);
    announce(&tools, some, 3, 0);
    announce(&tools, names, 1, 1);
    assert_int_equal(check(&tools, "numbers", 0, &err), SP_ERR_BAD_ARGS);
    assert_string_equal(err.message,
                        "tool \"numbers\" answers a stream: open it as one");
    assert_int_equal(check(&tools, "numbers", 1, &err), 0);
    assert_int_equal(check(&tools, "ping", 1, &err), 0);
    sp_error_clear(&err);
    sp__tools_fini(&tools);
}

static void a_second_announcement_only_adds(void **state)
{
    struct tools tools;
    const char *const more[] = {"add", "subtract"};
    sp__tools_init(&tools);
    announce(&tools, some, 3, 0);
    announce(&tools, more, 2, 0);
    assert_int_equal(sp__tools_each(&tools, NULL, NULL), 4);
    assert_int_equal(check(&tools, "echo", 0, NULL), 0);
    assert_int_equal(check(&tools, "subtract", 0, NULL), 0);
    sp__tools_fini(&tools);
}

static void workers_that_run_anything_refuse_nothing(void **state)
{
    struct tools tools;
    struct proto_announce message = announce_of(some, 3, 0);
    message.accepts_any = 1;
    sp__tools_init(&tools);
    assert_int_equal(sp__tools_announce(&tools, &message, NULL), 0);
    sp__proto_announce_fini(&message);
    assert_int_equal(check(&tools, "statistics.fmean", 0, NULL), 0);
    sp__tools_fini(&tools);
}

static void declared_commands_are_the_whole_truth(void **state)
{
    struct tools tools;
    const char *const names[] = {"one", "two", "one", NULL};
    sp__tools_init(&tools);
    assert_int_equal(sp__tools_declare(&tools, names, NULL), 0);
    assert_int_equal(sp__tools_each(&tools, NULL, NULL), 2);
    assert_int_equal(check(&tools, "one", 0, NULL), 0);
    assert_int_equal(check(&tools, "one", 1, NULL), 0);
    assert_int_equal(check(&tools, "three", 0, NULL), SP_ERR_NO_TOOL);
    sp__tools_fini(&tools);
}

static void an_announcement_describes_declared_commands_and_adds_none(void **state)
{
    struct tools tools;
    const char *const names[] = {"numbers", "one", NULL};
    const char *const announced[] = {"numbers", "two"};
    sp__tools_init(&tools);
    assert_int_equal(sp__tools_declare(&tools, names, NULL), 0);
    announce(&tools, announced, 2, 1);
    assert_int_equal(sp__tools_each(&tools, NULL, NULL), 2);
    assert_int_equal(check(&tools, "two", 1, NULL), SP_ERR_NO_TOOL);
    assert_int_equal(check(&tools, "one", 0, NULL), 0);
    assert_int_equal(check(&tools, "numbers", 0, NULL), SP_ERR_BAD_ARGS);
    assert_int_equal(check(&tools, "numbers", 1, NULL), 0);
    sp__tools_fini(&tools);
}

static void a_declared_list_narrows_workers_that_run_anything(void **state)
{
    struct tools tools;
    const char *const names[] = {"one", NULL};
    struct proto_announce message = announce_of(some, 3, 0);
    message.accepts_any = 1;
    sp__tools_init(&tools);
    assert_int_equal(sp__tools_declare(&tools, names, NULL), 0);
    assert_int_equal(sp__tools_announce(&tools, &message, NULL), 0);
    sp__proto_announce_fini(&message);
    assert_int_equal(check(&tools, "one", 0, NULL), 0);
    assert_int_equal(check(&tools, "ping", 0, NULL), SP_ERR_NO_TOOL);
    sp__tools_fini(&tools);
}

struct listing {
    char text[256];
};

static void note(const sp_tool_info *tool, void *user_data)
{
    struct listing *listing = user_data;
    size_t used = strlen(listing->text);
    assert_int_equal(tool->parameters_count, 1);
    assert_string_equal(tool->description, "does it");
    assert_int_equal(tool->streaming, 0);
    (void)snprintf(listing->text + used, sizeof listing->text - used, "%s(%s %s%s%s) ",
                   tool->name, tool->parameters[0].type, tool->parameters[0].name,
                   tool->parameters[0].required ? "" : "=",
                   tool->parameters[0].required ? ""
                                                : tool->parameters[0].default_json);
}

static void tools_are_listed_by_name(void **state)
{
    struct tools tools;
    struct listing listing = {""};
    sp__tools_init(&tools);
    announce(&tools, some, 3, 0);
    assert_int_equal(sp__tools_each(&tools, note, &listing), 3);
    assert_string_equal(listing.text, "add(int a=5) echo(int a=5) ping(int a) ");
    sp__tools_fini(&tools);
}

static void an_entry_stays_where_it_is_while_the_table_grows(void **state)
{
    struct tools tools;
    char name[32];
    sp__tools_init(&tools);
    struct tool *first = sp__tools_of(&tools, "first");
    first->average_us = 7;
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(name, sizeof name, "tool%d", i);
        assert_non_null(sp__tools_of(&tools, name));
    }
    assert_ptr_equal(sp__tools_of(&tools, "first"), first);
    assert_int_equal(first->average_us, 7);
    sp__tools_fini(&tools);
}

enum { READERS = 3, ADDED = 1000 };

struct reader {
    struct tools *tools;
    const struct tool *first;
    atomic_int *is_over;
    unsigned looks;
    unsigned wrong;
    pthread_t thread;
};

/* What has been announced is found, and may be called, whatever is added meanwhile. */
static void *look_up(void *arg)
{
    struct reader *reader = arg;
    int is_last;
    do {
        struct tool *tool;
        is_last = atomic_load(reader->is_over);
        reader->wrong +=
            sp__tools_check(reader->tools, "first", 0, "p", &tool, NULL) != SP_OK ||
            tool != reader->first || !sp__tools_has(reader->tools, "first");
        reader->wrong +=
            sp__tools_check(reader->tools, "none", 0, "p", &tool, NULL) == SP_OK;
        reader->looks++;
    } while (!is_last);
    reader->wrong += sp__tools_lack(reader->tools, "tool999");
    return NULL;
}

static void threads_look_up_while_others_are_added(void **state)
{
    static const char *const first[] = {"first"};
    struct reader readers[READERS];
    atomic_int is_over = 0;
    struct tools tools;
    char name[32];
    const char *names[] = {name};
    sp__tools_init(&tools);
    announce(&tools, first, 1, 0);
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.tools = &tools,
                                     .first = sp__tools_of(&tools, "first"),
                                     .is_over = &is_over};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, look_up, &readers[i]),
                         0);
    }
    for (int i = 0; i < ADDED; i++) {
        (void)snprintf(name, sizeof name, "tool%d", i);
        announce(&tools, names, 1, 0);
    }
    atomic_store(&is_over, 1);
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_int_equal(readers[i].wrong, 0);
        assert_true(readers[i].looks > 0);
    }
    assert_int_equal(sp__tools_each(&tools, NULL, NULL), ADDED + 1);
    sp__tools_fini(&tools);
}

static void only_so_many_names_are_learnt(void **state)
{
    struct tools tools;
    char name[32];
    sp__tools_init(&tools);
    for (int i = 0; i < TOOLS_LEARNED_MAX; i++) {
        (void)snprintf(name, sizeof name, "tool%d", i);
        assert_non_null(sp__tools_of(&tools, name));
    }
    assert_null(sp__tools_of(&tools, "one too many"));
    assert_non_null(sp__tools_of(&tools, "tool0"));
    announce(&tools, some, 3, 0);
    assert_int_equal(check(&tools, "ping", 0, NULL), 0);
    sp__tools_fini(&tools);
}

static void every_failing_allocation_is_told_and_nothing_leaks(void **state)
{
    const char *const declared[] = {"x", "y", NULL};
    int worked = 0;
    for (uint64_t n = 1; !worked; n++) {
        struct tools tools;
        sp_error err = {0};
        struct proto_announce message = announce_of(some, 3, 0);
        sp__tools_init(&tools);
        sp__mem_fail_at(n, 0);
        int rc = sp__tools_announce(&tools, &message, &err);
        if (rc == 0) {
            rc = sp__tools_declare(&tools, declared, &err);
        }
        int listed = rc == 0 ? sp__tools_each(&tools, NULL, NULL) : rc;
        sp__mem_fail_at(0, 0);
        assert_true(rc == 0 || rc == SP_ERR_NOMEM);
        assert_int_equal(rc, err.code);
        worked = listed == 5;
        assert_true(worked || listed == SP_ERR_NOMEM);
        sp__proto_announce_fini(&message);
        sp_error_clear(&err);
        sp__tools_fini(&tools);
    }
}

static void freeing_needs_no_memory(void **state)
{
    struct tools tools;
    sp__tools_init(&tools);
    announce(&tools, some, 3, 0);
    sp__mem_fail_at(1, 1);
    sp__tools_fini(&tools);
    sp__mem_fail_at(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(before_an_announcement_nothing_is_refused),
        TEST(an_unknown_tool_is_refused_with_near_matches),
        TEST(a_called_name_does_not_become_a_tool),
        TEST(a_stream_is_refused_as_a_plain_call),
        TEST(a_second_announcement_only_adds),
        TEST(workers_that_run_anything_refuse_nothing),
        TEST(declared_commands_are_the_whole_truth),
        TEST(an_announcement_describes_declared_commands_and_adds_none),
        TEST(a_declared_list_narrows_workers_that_run_anything),
        TEST(tools_are_listed_by_name),
        TEST(an_entry_stays_where_it_is_while_the_table_grows),
        TEST(threads_look_up_while_others_are_added),
        TEST(only_so_many_names_are_learnt),
        TEST(every_failing_allocation_is_told_and_nothing_leaks),
        TEST(freeing_needs_no_memory),
    };
    return cmocka_run_group_tests_name("tools", tests, NULL, NULL);
}
