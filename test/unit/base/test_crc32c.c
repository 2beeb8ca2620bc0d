/* SPDX-License-Identifier: MIT */
/* The checksum, against the numbers of RFC 3720 and itself with errors put in. */
#include "base/crc32c.h"

#include <string.h>

#include "leak.h"

static void known_texts_have_known_sums(void **state)
{
    unsigned char bytes[32];
    assert_int_equal(sp__crc32c("", 0), 0);
    assert_int_equal(sp__crc32c("123456789", 9), 0xe3069283u);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(sp__crc32c(bytes, sizeof bytes), 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(sp__crc32c(bytes, sizeof bytes), 0x62a8ab43u);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)i;
    }
    assert_int_equal(sp__crc32c(bytes, sizeof bytes), 0x46dd794eu);
}

static void two_wrong_bits_never_go_unnoticed(void **state)
{
    unsigned char bytes[256];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(i * 7u);
    }
    uint32_t sum = sp__crc32c(bytes, sizeof bytes);
    for (size_t a = 0; a < sizeof bytes * 8; a += 3) {
        bytes[a / 8] ^= (unsigned char)(1u << a % 8);
        assert_true(sp__crc32c(bytes, sizeof bytes) != sum);
        for (size_t b = a + 1; b < sizeof bytes * 8; b += 97) {
            bytes[b / 8] ^= (unsigned char)(1u << b % 8);
            assert_true(sp__crc32c(bytes, sizeof bytes) != sum);
            bytes[b / 8] ^= (unsigned char)(1u << b % 8);
        }
        bytes[a / 8] ^= (unsigned char)(1u << a % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(known_texts_have_known_sums),
        TEST(two_wrong_bits_never_go_unnoticed),
    };
    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
