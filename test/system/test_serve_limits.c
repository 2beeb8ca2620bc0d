/* SPDX-License-Identifier: MIT */
/* What a served pit puts up with: folders and users, sizes and numbers, slow clients and
 * those that flood, descriptors that run out. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caller.h"
#include "pits.h"
#include "wire/proto.h"

enum { OK = 0, DEADLINE = 4, EXHAUSTED = 8 };

static char path[108]; /* of this test */
static char open_folder[32];

static int listen_at(sp_pit *pit, const char *name, const sp_listen_options *options)
{
    char address[512];
    (void)snprintf(path, sizeof path, "%s", leak_path(name));
    (void)snprintf(address, sizeof address, "unix:%s", path);
    sp_error_clear(last_error());
    return sp_pit_listen(pit, address, options, last_error());
}

static void serve(sp_pit *pit, const sp_listen_options *options)
{
    if (listen_at(pit, "serve/pit.sock", options) != 0) {
        fail_msg("%s", last_error()->message);
    }
}

static sp_listen_stats served(sp_pit *pit)
{
    sp_listen_stats stats;
    assert_int_equal(sp_pit_listen_stats(pit, &stats, NULL), 0);
    return stats;
}

static sp_pit *plain_pit(void)
{
    sp_pool_options pool = pool_of_program("plain", NULL, 1);
    return pit_open_ready(&pool, 1);
}

static int echo_works(void)
{
    struct asked echo = caller_once(path, &(struct wish){.tool = "echo"});
    return echo.status == OK && strcmp(echo.json, "{}") == 0;
}

static int mode_of(const char *file)
{
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    return (int)(st.st_mode & 0777);
}

/* ---- where ---- */

static void the_folder_and_the_socket_are_private(void **state)
{
    serve(plain_pit(), NULL);
    assert_int_equal(mode_of(leak_path("serve")), 0700);
    assert_int_equal(mode_of(path), 0600);
}

static void the_socket_goes_with_the_pit(void **state)
{
    sp_pit *pit = plain_pit();
    serve(pit, NULL);
    assert_true(echo_works());
    pit_close(pit);
    assert_false(file_exists(path));
    assert_false(file_exists(leak_path("serve"))); /* which it had made */
}

static void a_folder_that_others_may_enter_is_refused(void **state)
{
    sp_pit *pit = plain_pit();
    const char *folder = leak_path("open");
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(chmod(folder, 0750), 0);
    assert_int_equal(listen_at(pit, "open/pit.sock", NULL), SP_ERR_CONFIG);
    assert_has(last_error()->message, "mode 750");
    /* With a list of users it must let them pass, but not write. */
    uint32_t users[] = {54321};
    sp_listen_options shared = {
        .size = sizeof shared, .users = users, .users_count = 1};
    assert_int_equal(chmod(folder, 0770), 0);
    assert_int_equal(listen_at(pit, "open/pit.sock", &shared), SP_ERR_CONFIG);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(listen_at(pit, "open/pit.sock", &shared), 0);
    assert_int_equal(mode_of(path), 0666);
}

static void a_link_is_not_followed(void **state)
{
    sp_pit *pit = plain_pit();
    assert_int_equal(mkdir(leak_path("real"), 0700), 0);
    assert_int_equal(symlink(leak_path("real"), leak_path("link")), 0);
    assert_int_equal(listen_at(pit, "link/pit.sock", NULL), SP_ERR_CONFIG);
    assert_has(last_error()->message, "links are not followed");
}

static void a_file_is_not_replaced(void **state)
{
    sp_pit *pit = plain_pit();
    assert_int_equal(mkdir(leak_path("serve"), 0700), 0);
    file_write(leak_path("serve/pit.sock"), "precious");
    assert_int_equal(listen_at(pit, "serve/pit.sock", NULL), SP_ERR_CONFIG);
    assert_has(last_error()->message, "no socket");
    assert_true(file_exists(path));
}

static void a_live_socket_is_refused_and_a_dead_one_replaced(void **state)
{
    sp_pit *pit = plain_pit();
    serve(pit, NULL);
    assert_int_equal(listen_at(pit, "serve/pit.sock", NULL), SP_ERR_CONFIG);
    assert_has(last_error()->message, "another program listens");
    assert_true(echo_works());
    /* One whose program died without a word. */
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    (void)snprintf(where.sun_path, sizeof where.sun_path, "%s",
                   leak_path("serve/dead.sock"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&where, sizeof where), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(listen_at(pit, "serve/dead.sock", NULL), 0);
    assert_true(echo_works());
}

static void addresses_are_checked(void **state)
{
    sp_pit *pit = plain_pit();
    char text[300] = "unix:/";
    size_t size = strlen(text);
    memset(text + size, 'x', 107);
    assert_int_equal(sp_pit_listen(pit, text, NULL, last_error()), SP_ERR_CONFIG);
    assert_has(last_error()->message, "at most 107 bytes, this one 108");
    assert_int_equal(sp_pit_listen(pit, "unix:pit.sock", NULL, last_error()),
                     SP_ERR_CONFIG);
    assert_int_equal(sp_pit_listen(pit, "unix:/tmp/", NULL, last_error()),
                     SP_ERR_CONFIG);
    assert_int_equal(sp_pit_listen(pit, "127.0.0.1:50051", NULL, last_error()),
                     SP_ERR_UNSUPPORTED);
    assert_int_equal(sp_pit_listen(pit, "unix-abstract:x", NULL, last_error()),
                     SP_ERR_UNSUPPORTED);
    sp_error_clear(last_error());
}

static int validate(void *user_data, const char *command, sp_bytes args_json,
                    sp_error *err)
{
    return 0;
}

static void a_pool_with_functions_of_the_program_is_not_served(void **state)
{
    static sp_adapter adapter;
    adapter = (sp_adapter){.size = sizeof adapter,
                           .executable = path_of_program("plain"),
                           .validate = validate};
    sp_pool_options pool = {.size = sizeof pool, .custom = &adapter, .workers = 1};
    sp_pit *pit = pit_open_ready(&pool, 1);
    assert_int_equal(listen_at(pit, "serve/pit.sock", NULL), SP_ERR_UNSUPPORTED);
    assert_false(file_exists(path));
}

/* ---- who ---- */

/* Connect as another user and report what came: 'G' goaway or data, 'E' end of file,
 * 'R' refused by the file's permissions. */
static char try_as(uid_t user)
{
    int pipe_fds[2];
    char said = '?';
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct sockaddr_un where = {.sun_family = AF_UNIX};
        (void)snprintf(where.sun_path, sizeof where.sun_path, "%s", path);
        char answer = '?';
        char byte;
        if (setgid(user) == 0 && setuid(user) == 0) {
            int fd = socket(AF_UNIX, SOCK_STREAM, 0);
            answer = connect(fd, (struct sockaddr *)&where, sizeof where) < 0 ? 'R'
                     : recv(fd, &byte, 1, 0) > 0                              ? 'G'
                                                                              : 'E';
        }
        _exit(write(pipe_fds[1], &answer, 1) == 1 ? 0 : 1);
    }
    (void)close(pipe_fds[1]);
    assert_int_equal(read(pipe_fds[0], &said, 1), 1);
    (void)close(pipe_fds[0]);
    (void)waitpid(pid, NULL, 0);
    return said;
}

enum { GUEST = 54321, STRANGER = 54322 };

/* Served to one user who is a guest, in a folder that is open to all, as that of the test
 * is not. */
static sp_pit *pit_with_a_guest(void)
{
    static uint32_t guest = GUEST;
    const sp_listen_options shared = {
        .size = sizeof shared, .users = &guest, .users_count = 1};
    char address[512];
    if (geteuid() != 0) {
        skip_because("only root can be other users");
    }
    (void)snprintf(open_folder, sizeof open_folder, "/tmp/snakepit-serve-XXXXXX");
    assert_non_null(mkdtemp(open_folder));
    assert_int_equal(chmod(open_folder, 0755), 0);
    (void)snprintf(path, sizeof path, "%s/pit.sock", open_folder);
    (void)snprintf(address, sizeof address, "unix:%s", path);
    sp_pit *pit = plain_pit();
    assert_int_equal(sp_pit_listen(pit, address, &shared, last_error()), 0);
    return pit;
}

/* It leaves nothing in the folder. */
static void close_with_its_folder(sp_pit *pit)
{
    pit_close(pit);
    assert_int_equal(rmdir(open_folder), 0);
}

static void strangers_are_turned_away(void **state)
{
    sp_pit *pit = pit_with_a_guest();
    assert_int_equal(try_as(GUEST), 'G');
    assert_int_equal(try_as(STRANGER), 'E');
    assert_int_equal(served(pit).clients_refused, 1);
    close_with_its_folder(pit);
}

/* What a user who may connect is told when it wants a worker drained: SP_ERR_. */
static int drain_as(uid_t user)
{
    char address[512];
    (void)snprintf(address, sizeof address, "unix:%s", path);
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        sp_daemon *daemon;
        sp_daemon_worker worker;
        int rc = 1;
        if (setgid(user) == 0 && setuid(user) == 0 &&
            sp_daemon_connect(address, 0, &daemon, NULL) == 0) {
            rc = sp_daemon_worker_drain(daemon, "default/0", &worker, NULL);
        }
        _exit(-rc & 0xff);
    }
    (void)waitpid(pid, &status, 0);
    return -WEXITSTATUS(status);
}

static void guests_may_call_and_not_drain(void **state)
{
    sp_pit *pit = pit_with_a_guest();
    assert_int_equal(drain_as(GUEST), SP_ERR_REFUSED);
    assert_int_equal(drain_as(0), SP_OK);
    close_with_its_folder(pit);
}

/* ---- how large, how many ---- */

static void a_message_at_the_limit_passes_and_one_byte_more_does_not(void **state)
{
    enum { LIMIT = 100000 };
    sp_listen_options options = {.size = sizeof options, .message_max_bytes = LIMIT};
    serve(plain_pit(), &options);
    /* tool_name "echo" is 6 bytes, the head of args_json (field 16) 2 + 3. */
    static char message[LIMIT + 1];
    for (int more = 0; more <= 1; more++) {
        size_t args = LIMIT + (size_t)more - 11;
        memset(message, ' ', sizeof message);
        memcpy(message,
               "\x12\x04"
               "echo\x82\x01",
               8);
        message[8] = (char)(0x80 | (args & 0x7f));
        message[9] = (char)(0x80 | ((args >> 7) & 0x7f));
        message[10] = (char)(args >> 14);
        memcpy(message + 11, "{}", 2);
        struct asked asked = caller_once(
            path, &(struct wish){.raw = message, .raw_size = LIMIT + (size_t)more});
        assert_int_equal(asked.status, more ? EXHAUSTED : OK);
    }
}

static void the_client_that_was_idle_longest_makes_room(void **state)
{
    sp_listen_options options = {.size = sizeof options, .clients_max = 2};
    sp_pit *pit = plain_pit();
    serve(pit, &options);
    struct caller *callers[3];
    for (int i = 0; i < 3; i++) {
        callers[i] = caller_open(path);
        struct asked *echo = caller_ask(callers[i], &(struct wish){.tool = "echo"});
        caller_await(callers[i], echo);
        assert_int_equal(echo->status, OK);
    }
    caller_await_close(callers[0]);
    assert_true(caller_got_goaway(callers[0]));
    assert_int_equal(served(pit).clients, 2);
    assert_int_equal(served(pit).clients_shed, 1);
    for (int i = 0; i < 3; i++) {
        caller_close(callers[i]);
    }
}

static void one_too_many_is_told_that_nothing_ran(void **state)
{
    sp_listen_options options = {.size = sizeof options, .clients_max = 1};
    sp_pit *pit = plain_pit();
    serve(pit, &options);
    struct caller *first = caller_open(path);
    struct asked *watch =
        caller_ask(first, &(struct wish){.path = SP__PATH_HEALTH_WATCH});
    caller_await_messages(first, watch, 1);
    struct caller *second = caller_open(path);
    struct asked *echo = caller_ask(second, &(struct wish){.tool = "echo"});
    caller_await_close(second);
    assert_true(caller_got_goaway(second));
    assert_true(!echo->ended || echo->refused);
    assert_int_equal(served(pit).clients_turned_away, 1);
    caller_close(second);
    caller_close(first);
    UNTIL(served(pit).clients == 0);
    assert_true(echo_works());
}

/* ---- slow ones ---- */

static void a_client_that_does_not_greet_is_cut_off(void **state)
{
    sp_listen_options options = {.size = sizeof options, .greeting_timeout_ms = 40};
    sp_pit *pit = plain_pit();
    serve(pit, &options);
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    (void)snprintf(where.sun_path, sizeof where.sun_path, "%s", path);
    /* Nothing at all; half of the preface; a header block that does not end. */
    static const char *const words[] = {"", "PRI * HT",
                                        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};
    static const char unfinished[] = "\0\0\0\4\0\0\0\0\0"
                                     "\0\0\1\1\0\0\0\0\1"
                                     "\x83";
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        char byte[64];
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&where, sizeof where), 0);
        size_t size = strlen(words[i]);
        assert_int_equal(write(fd, words[i], size), size);
        if (i == 2) {
            assert_int_equal(write(fd, unfinished, sizeof unfinished - 1),
                             sizeof unfinished - 1);
        }
        while (read(fd, byte, sizeof byte) > 0) {
        }
        (void)close(fd);
    }
    UNTIL(served(pit).clients == 0);
    assert_int_equal(served(pit).clients_cut, 3);
}

static void a_message_that_does_not_come_is_given_up(void **state)
{
    sp_listen_options options = {.size = sizeof options, .body_timeout_ms = 40};
    sp_pit *pit = plain_pit();
    serve(pit, &options);
    struct caller *caller = caller_open(path);
    struct asked *asked =
        caller_ask(caller, &(struct wish){.no_message = 1, .half_open = 1});
    caller_await(caller, asked);
    assert_int_equal(asked->status, DEADLINE);
    struct asked *echo = caller_ask(caller, &(struct wish){.tool = "echo"});
    caller_await(caller, echo);
    assert_int_equal(echo->status, OK);
    caller_close(caller);
}

static void an_idle_client_is_told_and_closed(void **state)
{
    sp_listen_options options = {.size = sizeof options, .idle_timeout_ms = 40};
    sp_pit *pit = plain_pit();
    serve(pit, &options);
    struct caller *caller = caller_open(path);
    struct asked *echo = caller_ask(caller, &(struct wish){.tool = "echo"});
    caller_await(caller, echo);
    assert_int_equal(echo->status, OK);
    caller_await_close(caller);
    assert_true(caller_got_goaway(caller));
    caller_close(caller);
}

static void an_answer_that_is_not_taken_is_dropped(void **state)
{
    sp_listen_options options = {.size = sizeof options, .stalled_timeout_ms = 40};
    sp_pit *pit = pit_of_probes(1);
    serve(pit, &options);
    struct caller *caller = caller_open(path);
    /* Far more than windows and socket hold; nothing is read. */
    for (int i = 0; i < 4; i++) {
        (void)caller_ask(caller,
                         &(struct wish){.tool = "text", .args = "{\"size\":8000000}"});
    }
    UNTIL(served(pit).clients_total == 1 && served(pit).clients == 0);
    assert_int_equal(served(pit).clients_cut, 1);
    assert_int_equal(served(pit).calls, 0);
    caller_close(caller);
}

/* ---- those that flood ---- */

static void a_flood_of_resets_ends_the_connection(void **state)
{
    sp_pit *pit = plain_pit();
    serve(pit, NULL);
    struct caller *caller = caller_open(path);
    int asked_count = 0;
    while (!caller_is_over(caller) && asked_count < 5000) {
        struct asked *asked = caller_ask(caller, &(struct wish){.tool = "echo"});
        caller_reset(caller, asked);
        (void)caller_turn(caller, 0);
        asked_count++;
    }
    caller_await_close(caller);
    assert_true(caller_got_goaway(caller));
    caller_close(caller);
    UNTIL(served(pit).clients == 0);
    assert_int_equal(served(pit).calls, 0);
    assert_true(echo_works());
}

/* ---- descriptors ---- */

static void more_than_the_limit_of_descriptors_allows_is_refused(void **state)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    sp_listen_options options = {.size = sizeof options,
                                 .clients_max = (uint32_t)limit.rlim_cur};
    sp_pit *pit = plain_pit();
    assert_int_equal(listen_at(pit, "serve/pit.sock", &options), SP_ERR_CONFIG);
    assert_has(last_error()->message, "RLIMIT_NOFILE");
    assert_false(file_exists(path));
}

/* The process has no descriptor left: whoever comes is told, and calls go on. */
static void without_descriptors_new_clients_are_turned_away(void **state)
{
    sp_pit *pit = plain_pit();
    serve(pit, NULL);
    struct caller *caller = caller_open(path);
    struct asked *before = caller_ask(caller, &(struct wish){.tool = "echo"});
    caller_await(caller, before);
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    (void)snprintf(where.sun_path, sizeof where.sun_path, "%s", path);
    int late = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct rlimit limit;
    struct rlimit low;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = (struct rlimit){.rlim_cur = (rlim_t)late, .rlim_max = limit.rlim_max};
    int holes[64];
    size_t holes_count = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (holes_count < 64 && (holes[holes_count] = dup(late)) >= 0) {
        holes_count++;
    }
    assert_int_equal(connect(late, (struct sockaddr *)&where, sizeof where), 0);
    char bytes[256];
    ssize_t n;
    size_t got = 0;
    while ((n = read(late, bytes, sizeof bytes)) > 0) {
        got += (size_t)n;
    }
    struct asked *during = caller_ask(caller, &(struct wish){.tool = "echo"});
    caller_await(caller, during);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (holes_count > 0) {
        (void)close(holes[--holes_count]);
    }
    (void)close(late);
    assert_true(got > 0);
    assert_int_equal(during->status, OK);
    assert_int_equal(served(pit).clients_turned_away, 1);
    caller_close(caller);
    assert_true(echo_works());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_folder_and_the_socket_are_private),
        TEST(the_socket_goes_with_the_pit),
        TEST(a_folder_that_others_may_enter_is_refused),
        TEST(a_link_is_not_followed),
        TEST(a_file_is_not_replaced),
        TEST(a_live_socket_is_refused_and_a_dead_one_replaced),
        TEST(addresses_are_checked),
        TEST(a_pool_with_functions_of_the_program_is_not_served),
        TEST(strangers_are_turned_away),
        TEST(guests_may_call_and_not_drain),
        TEST(a_message_at_the_limit_passes_and_one_byte_more_does_not),
        TEST(the_client_that_was_idle_longest_makes_room),
        TEST(one_too_many_is_told_that_nothing_ran),
        TEST(a_client_that_does_not_greet_is_cut_off),
        TEST(a_message_that_does_not_come_is_given_up),
        TEST(an_idle_client_is_told_and_closed),
        TEST(an_answer_that_is_not_taken_is_dropped),
        TEST(a_flood_of_resets_ends_the_connection),
        TEST(more_than_the_limit_of_descriptors_allows_is_refused),
        TEST(without_descriptors_new_clients_are_turned_away),
    };
    return RUN_SYSTEM_TESTS("serve_limits", tests);
}
