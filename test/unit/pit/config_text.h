/* SPDX-License-Identifier: MIT */
/*
 * Configurations as texts, without what this process's environment would add.
 *
 * TEST() checks that none of the library's memory is left behind.
 */
#ifndef TEST_CONFIG_TEXT_H
#define TEST_CONFIG_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "snakepit/config.h"

static int64_t live_before;

static int set_up(void **state)
{
    sp_config_key key;
    (void)state;
    for (size_t i = 0; sp_config_key_at(i, &key); i++) {
        if (key.environment[0] != '\0') {
            unsetenv(key.environment);
        }
    }
    unsetenv("SNAKEPIT_CONFIG");
    live_before = sp__mem_live();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return sp__mem_live() == live_before ? 0 : -1;
}

static inline sp_config *parse(const char *yaml)
{
    sp_config *config = NULL;
    sp_error err = {0};
    if (sp_config_parse(sp_text(yaml), "f.yaml", &config, &err) < 0) {
        fail_msg("%s\n--\n%s", err.message, yaml);
    }
    return config;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
