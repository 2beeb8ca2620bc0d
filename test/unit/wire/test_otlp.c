/* SPDX-License-Identifier: MIT */
/* OTLP as bytes, checked one by one; that they are what others read is a system test. */
#include "wire/otlp.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "leak.h"

/* A length as the writer has it: a varint of four bytes. */
#define LENGTH(n) (char)(0x80 | (n)), (char)0x80, (char)0x80, 0

static void a_span_has_the_published_numbers(void **state)
{
    (void)state;
    struct sp_buffer out;
    struct otlp_writer writer;
    sp_error err = {0};
    sp__buf_init(&out, 4096);
    const struct otlp_attribute attribute = {.key = "k", .number = 3};
    struct otlp_span span = {.trace = {1},
                             .span = {2},
                             .parent = {3},
                             .name = "n",
                             .kind = OTLP_CLIENT,
                             .begin_unix_ns = 1,
                             .end_unix_ns = 2,
                             .attributes = {&attribute, 1},
                             .failed = 1,
                             .message = "m"};
    sp__otlp_begin(&writer, &out, (struct otlp_list){0}, "v");
    size_t head = out.size;
    sp__otlp_put_span(&writer, &span);
    assert_int_equal(sp__otlp_end(&writer, &err), SP_OK);
    static const char wanted[] = {0x12,       LENGTH(96 + 8), /* spans */
                                  0x0a,       16,
                                  1,          0,
                                  0,          0,
                                  0,          0,
                                  0,          0,
                                  0,          0,
                                  0,          0,
                                  0,          0,
                                  0,          0, /* trace_id */
                                  0x12,       8,
                                  2,          0,
                                  0,          0,
                                  0,          0,
                                  0,          0, /* span_id */
                                  0x22,       8,
                                  3,          0,
                                  0,          0,
                                  0,          0,
                                  0,          0, /* parent_span_id */
                                  0x2a,       1,
                                  'n',           /* name */
                                  0x30,       3, /* kind */
                                  0x39,       1,
                                  0,          0,
                                  0,          0,
                                  0,          0,
                                  0, /* start_time_unix_nano */
                                  0x41,       2,
                                  0,          0,
                                  0,          0,
                                  0,          0,
                                  0, /* end_time_unix_nano */
                                  0x4a,       7,
                                  0x0a,       1,
                                  'k',        0x12,
                                  2,          0x18,
                                  3, /* attributes */
                                  0x7a,       LENGTH(5),
                                  0x12,       1,
                                  'm',        0x18,
                                  2, /* status */
                                  (char)0x85, 0x01,
                                  1,          0,
                                  0,          0}; /* flags */
    size_t length = sizeof wanted - 5;
    assert_int_equal(out.size - head, sizeof wanted);
    assert_int_equal((uint8_t)out.data[head + 1], 0x80 | (length & 0x7f));
    assert_memory_equal(out.data + head + 5, wanted + 5, length);
    /* Both messages around it end where it does. */
    assert_int_equal(out.data[0], 0x0a);
    size_t whole = (size_t)(out.data[1] & 0x7f) | (size_t)(out.data[2] & 0x7f) << 7;
    assert_int_equal(whole, out.size - 5);
    sp__buf_fini(&out);
}

static void without_room_the_end_says_so(void **state)
{
    (void)state;
    const struct otlp_span span = {.name = "n", .kind = OTLP_INTERNAL};
    size_t needed = 4096;
    for (size_t max = needed; max > 0; max = max == 4096 ? needed - 1 : max - 1) {
        struct sp_buffer out;
        struct otlp_writer writer;
        sp_error err = {0};
        sp__buf_init(&out, max);
        sp__otlp_begin(&writer, &out, (struct otlp_list){0}, "0.1.0");
        sp__otlp_put_span(&writer, &span);
        assert_int_equal(sp__otlp_end(&writer, &err),
                         max == 4096 ? SP_OK : SP_ERR_TOO_BIG);
        needed = max == 4096 ? out.size : needed;
        sp__buf_fini(&out);
    }
}

static void without_memory_the_end_says_so(void **state)
{
    (void)state;
    struct sp_buffer out;
    struct otlp_writer writer;
    sp_error err = {0};
    sp__buf_init(&out, 4096);
    sp__mem_fail_at(1, 0);
    sp__otlp_begin(&writer, &out, (struct otlp_list){0}, "0.1.0");
    sp__mem_fail_at(0, 0);
    assert_int_equal(sp__otlp_end(&writer, &err), SP_ERR_NOMEM);
    sp__buf_fini(&out);
}

static void texts_are_cut_between_characters(void **state)
{
    (void)state;
    struct sp_buffer out;
    struct otlp_writer writer;
    sp_error err = {0};
    char name[400];
    sp__buf_init(&out, 4096);
    for (size_t i = 0; i < sizeof name; i += 2) {
        memcpy(name + i, "\xc3\xbc", 2);
    }
    memmove(name + 1, name, sizeof name - 1);
    name[0] = 'x'; /* so that the cut would split one */
    name[sizeof name - 1] = '\0';
    const struct otlp_span span = {.name = name, .kind = OTLP_INTERNAL};
    sp__otlp_begin(&writer, &out, (struct otlp_list){0}, "");
    size_t head = out.size;
    sp__otlp_put_span(&writer, &span);
    assert_int_equal(sp__otlp_end(&writer, &err), SP_OK);
    const uint8_t *field = out.data + head + 5 + 18 + 10;
    assert_int_equal(field[0], 0x2a);
    assert_int_equal(field[1] | 0x80, 0x80 | 0x7f); /* 255 = 0xff 0x01 */
    assert_int_equal(field[2], 1);
    assert_int_equal(field[3 + 255], 0x30); /* the kind follows */
    sp__buf_fini(&out);
}

static void an_answer_may_refuse_some(void **state)
{
    (void)state;
    static const char partial[] = {0x0a, 6, 0x08, 5, 0x12, 2, 'n', 'o'};
    uint64_t refused = 1;
    sp_bytes message;
    sp_error err = {0};
    assert_int_equal(sp__otlp_get_reply((sp_bytes){0}, &refused, &message, &err),
                     SP_OK);
    assert_int_equal(refused, 0);
    assert_int_equal(sp__otlp_get_reply((sp_bytes){partial, sizeof partial}, &refused,
                                        &message, &err),
                     SP_OK);
    assert_int_equal(refused, 5);
    assert_int_equal(message.size, 2);
    for (size_t size = 1; size < sizeof partial; size++) {
        (void)!sp__otlp_get_reply((sp_bytes){partial, size}, &refused, &message, &err);
    }
    assert_int_equal(
        sp__otlp_get_reply((sp_bytes){"\xff", 1}, &refused, &message, &err),
        SP_ERR_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_span_has_the_published_numbers), TEST(without_room_the_end_says_so),
        TEST(without_memory_the_end_says_so),   TEST(texts_are_cut_between_characters),
        TEST(an_answer_may_refuse_some),
    };
    return cmocka_run_group_tests_name("otlp", tests, NULL, NULL);
}
