/* SPDX-License-Identifier: MIT */
/*
 * The configuration as an enemy writes it: any bytes parse or give an error with a
 * place, and what was parsed can be shown, set again from what was shown, and freed.
 * The first byte chooses between a whole file and one flag ("key\nvalue").
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "snakepit/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void set_again(const sp_setting *setting, void *user_data)
{
    size_t length = strlen(setting->key);
    int is_name = length > 5 && strcmp(setting->key + length - 5, ".name") == 0;
    const char *key = setting->key;
    char bare[128] = "pool.";
    if (setting->value[0] == '\0' || is_name) {
        return;
    }
    /* Pools of the copy have other names: set the key for every pool. */
    for (const char *dot = strchr(key, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
        sp_config_key row;
        (void)strncpy(bare + 5, dot + 1, sizeof bare - 6);
        if (sp_config_explain(bare, &row, NULL) == 0) {
            key = bare;
            break;
        }
    }
    sp_error err = {0};
    if (sp_config_set(user_data, key, setting->value, &err) < 0) {
        abort(); /* what `config show` prints must be accepted */
    }
}

static void fuzz_file(sp_bytes yaml)
{
    sp_config *config = NULL;
    sp_config *copy = NULL;
    sp_error err = {0};
    if (sp_config_parse(yaml, "f", &config, &err) < 0) {
        if (err.code != SP_ERR_CONFIG || strncmp(err.message, "f:", 2) != 0) {
            abort();
        }
        return;
    }
    if (sp_config_parse(sp_text(""), "g", &copy, NULL) == 0) {
        sp_config_each(config, set_again, copy);
    }
    sp_config_free(copy);
    sp_config_free(config);
}

static void fuzz_flag(const uint8_t *data, size_t size)
{
    char text[4096];
    sp_config *config = NULL;
    if (size >= sizeof text) {
        return;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    char *value = strchr(text, '\n');
    if (value == NULL || sp_config_parse(sp_text(""), "g", &config, NULL) < 0) {
        return;
    }
    *value++ = '\0';
    sp_config_key row;
    (void)sp_config_set(config, text, value, NULL);
    (void)sp_config_explain(text, &row, NULL);
    sp_config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    if (data[0] == '!') {
        fuzz_flag(data + 1, size - 1);
    } else {
        fuzz_file((sp_bytes){data, size});
    }
    return 0;
}
