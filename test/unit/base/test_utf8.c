/* SPDX-License-Identifier: MIT */
/* Characters of UTF-8: every one there is, and what is none. */
#include "base/utf8.h"

#include <string.h>

#include "leak.h"

static size_t encode(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

static void every_character_has_its_size(void **state)
{
    for (uint32_t c = 0; c < 0x110000; c++) {
        uint8_t bytes[4];
        size_t size = encode(c, bytes);
        int is_surrogate = c >= 0xd800 && c <= 0xdfff;
        assert_true(sp__utf8_size(bytes, size) == (is_surrogate ? 0 : size));
        assert_true(size == 1 || sp__utf8_size(bytes, size - 1) == 0);
    }
}

static void what_is_malformed_has_none(void **state)
{
    static const char *const texts[] = {"\x80",
                                        "\xbf",
                                        "\xc0\x80",
                                        "\xc1\xbf",
                                        "\xc3",
                                        "\xc3(",
                                        "\xe0\x9f\xbf",
                                        "\xe2\x82",
                                        "\xe2(\xa1",
                                        "\xed\xa0\x80",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xf0\x9f\x98",
                                        "\xf4\x90\x80\x80",
                                        "\xf5\x80\x80\x80",
                                        "\xff"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(sp__utf8_size(texts[i], strlen(texts[i])), 0);
        assert_int_equal(sp__utf8_size(texts[i], SIZE_MAX), 0); /* it ends with NUL */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_character_has_its_size),
        TEST(what_is_malformed_has_none),
    };
    return cmocka_run_group_tests_name("base_utf8", tests, NULL, NULL);
}
