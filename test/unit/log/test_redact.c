/* SPDX-License-Identifier: MIT */
/* Secrets leave text, and nothing else does. */
#include "log/redact.h"

#include <stdlib.h>
#include <string.h>

#include "leak.h"

static const char *redacted(const char *const *patterns, const char *text)
{
    static char out[4096];
    struct redact redact = {0};
    assert_int_equal(sp__redact_init(&redact, patterns, NULL), 0);
    size_t size = sp__redact(&redact, text, out, sizeof out);
    assert_int_equal(size, strlen(out));
    sp__redact_fini(&redact);
    return out;
}

static const char *const pairs[][2] = {
    {"password=hunter2 next", "password=[redacted] next"},
    {"Password: hunter2, next", "Password: [redacted], next"},
    {"DB_PASSWORD='hunt er2' x", "DB_PASSWORD='[redacted]' x"},
    {"{\"api_key\": \"abc\\\"def\", \"n\": 1}",
     "{\"api_key\": \"[redacted]\", \"n\": 1}"},
    {"{'secret': 'abc', 'n': 1}", "{'secret': '[redacted]', 'n': 1}"},
    {"{\\\"token\\\": \\\"abc\\\", \\\"n\\\": 1}",
     "{\\\"token\\\": \\\"[redacted]\\\", \\\"n\\\": 1}"},
    {":token => \"abc\"", ":token => \"[redacted]\""},
    {"\"pin_secret\":12345}", "\"pin_secret\":[redacted]}"},
    {"\"secrets\": [\"a\", \"b\"] end", "\"secrets\": [[redacted]] end"},
    {"run --token abc --verbose", "run --token [redacted] --verbose"},
    {"run --api-key=abc -v", "run --api-key=[redacted] -v"},
    {"Authorization: Bearer abc.def\nnext", "Authorization: [redacted]\nnext"},
    {"authorization=Basic dXNlcjpwYXNz", "authorization=[redacted]"},
    {"Set-Cookie: sid=1; path=/", "Set-Cookie: [redacted]"},
    {"sent Bearer abcdefgh1234 twice", "sent Bearer [redacted] twice"},
    {"X-Auth-Token: Token abc", "X-Auth-Token: Token [redacted]"},
    {"postgres://user:pa:ss@host/db", "postgres://user:[redacted]@host/db"},
    {"https://abc123@host/x?y=a@b", "https://[redacted]@host/x?y=a@b"},
    {"GET https://host/x?access_token=abc&n=1",
     "GET https://host/x?access_token=[redacted]&n=1"},
    {"key sk-abcdefghijklmnopqrstuv end", "key [redacted] end"},
    {"AKIAIOSFODNN7EXAMPLE", "[redacted]"},
    {"jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_x", "jwt [redacted]"},
    {"-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nnext",
     "[redacted]\nnext"},
    {"-----BEGIN PRIVATE KEY-----\nMII", "[redacted]"},
    {"AWS_SECRET_ACCESS_KEY=ab/cd+ef TZ=UTC",
     "AWS_SECRET_ACCESS_KEY=[redacted] TZ=UTC"},
};

static void what_says_that_it_is_a_secret_goes(void **state)
{
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        assert_string_equal(redacted(NULL, pairs[i][0]), pairs[i][1]);
    }
}

static const char *const harmless[] = {
    "",
    "worker 7 of pool api is ready after 412 ms",
    "max_tokens=512 token_count: 7",
    "unexpected token: )",
    "basic knowledge of tokens",
    "https://host:8080/a@b",
    "-----BEGIN CERTIFICATE-----",
    "the password is wrong",
    "a=b c: d {\"x\": \"y\"}",
    "task-1 sk-short AKIA",
    "password=",
};

static void what_does_not_stays(void **state)
{
    for (size_t i = 0; i < COUNT_OF(harmless); i++) {
        assert_string_equal(redacted(NULL, harmless[i]), harmless[i]);
    }
}

static void expressions_of_the_configuration_take_more(void **state)
{
    const char *const patterns[] = {"card [0-9]{4}", "^x+", "q*", NULL};
    assert_string_equal(redacted(patterns, "xxx card 1234 card 5678 card 9"),
                        "[redacted] [redacted] [redacted] card 9");
}

static void a_wrong_expression_is_named(void **state)
{
    const char *const patterns[] = {"fine", "card [0-9", NULL};
    struct redact redact = {0};
    sp_error err = {0};
    assert_int_equal(sp__redact_init(&redact, patterns, &err), SP_ERR_CONFIG);
    assert_non_null(strstr(err.message, "log.redact: \"card [0-9\""));
    const char *many[REDACT_PATTERNS_MAX + 2] = {0};
    for (size_t i = 0; i <= REDACT_PATTERNS_MAX; i++) {
        many[i] = "x";
    }
    assert_int_equal(sp__redact_init(&redact, many, &err), SP_ERR_CONFIG);
    assert_non_null(strstr(err.message, "more than 32"));
    sp_error_clear(&err);
}

static void what_does_not_fit_is_cut(void **state)
{
    struct redact redact = {0};
    const char *const patterns[] = {"b", NULL};
    assert_int_equal(sp__redact_init(&redact, patterns, NULL), 0);
    for (size_t max = 1; max < 80; max++) {
        char out[80];
        memset(out, 'z', sizeof out);
        size_t size = sp__redact(&redact, "a password=hunter2 b b b b b b", out, max);
        assert_true(size < max);
        assert_int_equal(out[size], '\0');
        assert_null(strstr(out, "hunter2"));
    }
    sp__redact_fini(&redact);
}

/* A generator of our own, so that a failure can be had again. */
static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Rubbish of the bytes that mean something to the search, and others. */
static size_t put_rubbish(uint64_t *seed, char *out, size_t most)
{
    static const char bytes[] = "ab=:\"'\\ \t,;{}[]()-_.@/\xc3\xa9\xff<>&?#%0\n";
    size_t size = next(seed) % most;
    for (size_t i = 0; i < size; i++) {
        out[i] = bytes[next(seed) % (sizeof bytes - 1)];
    }
    return size;
}

/* However it is framed: a secret in one of these forms, which rubbish surrounds, is not
 * in the copy, and a copy of the copy is the same. */
static void no_rubbish_around_it_saves_a_secret(void **state)
{
    static const char *const forms[] = {" password=S3CR3TS3CR3T ",
                                        " \"token\": \"S3CR3TS3CR3T\" ",
                                        " Authorization: Bearer S3CR3TS3CR3T\n",
                                        " redis://u:S3CR3TS3CR3T@h/ ",
                                        " --client-secret S3CR3TS3CR3T ",
                                        " {\\\"api_key\\\":\\\"S3CR3TS3CR3T\\\"} "};
    uint64_t seed = 20261126;
    struct redact redact = {0};
    for (unsigned round = 0; round < 50000; round++) {
        char text[512];
        char once[1024];
        char twice[1024];
        size_t size = put_rubbish(&seed, text, 100);
        const char *form = forms[next(&seed) % COUNT_OF(forms)];
        memcpy(text + size, form, strlen(form));
        size += strlen(form);
        size += put_rubbish(&seed, text + size, 100);
        text[size] = '\0';
        (void)sp__redact(&redact, text, once, sizeof once);
        if (strstr(once, "S3CR3T") != NULL) {
            fail_msg("round %u keeps it: %s\n->%s", round, text, once);
        }
        (void)sp__redact(&redact, once, twice, sizeof twice);
        assert_null(strstr(twice, "S3CR3T"));
    }
}

static void names_say_what_is_secret(void **state)
{
    static const char *const secret[] = {"password", "DB_PASSWORD", "x-api-key",
                                         "apiKey",   "authToken",   "client.secret",
                                         "COOKIE"};
    static const char *const open[] = {"pool", "max_tokens", "token_count",  "passing",
                                       "key",  "",           "secret_length"};
    for (size_t i = 0; i < COUNT_OF(secret); i++) {
        assert_true(sp__redact_is_secret(secret[i], strlen(secret[i])));
    }
    for (size_t i = 0; i < COUNT_OF(open); i++) {
        assert_false(sp__redact_is_secret(open[i], strlen(open[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_says_that_it_is_a_secret_goes),
        TEST(what_does_not_stays),
        TEST(expressions_of_the_configuration_take_more),
        TEST(a_wrong_expression_is_named),
        TEST(what_does_not_fit_is_cut),
        TEST(no_rubbish_around_it_saves_a_secret),
        TEST(names_say_what_is_secret),
    };
    return cmocka_run_group_tests_name("redact", tests, NULL, NULL);
}
