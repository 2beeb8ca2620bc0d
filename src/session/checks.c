/* SPDX-License-Identifier: MIT */
/*
 * Checks of what comes from outside: names and JSON. Pure.
 */
#include "session/checks.h"

#include <string.h>

#include "base/error.h"
#include "snakepit/session.h"
#include "wire/json.h"

struct excerpt sp__excerpt(const char *text, size_t size)
{
    struct excerpt excerpt;
    size_t n = size <= EXCERPT_MAX ? size : EXCERPT_MAX;
    while (n > 0 && n < size && ((unsigned char)text[n] & 0xc0) == 0x80) {
        n--;
    }
    if (n > 0) {
        memcpy(excerpt.text, text, n);
    }
    memcpy(excerpt.text + n, n < size ? "..." : "", n < size ? 4 : 1);
    return excerpt;
}

int sp__check_name(const char *what, const char *name, size_t *ret_size, sp_error *err)
{
    if (name == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a %s is needed", what);
    }
    size_t size = strnlen(name, SP_NAME_MAX + 1);
    if (size == 0) {
        return sp__fail(err, SP_ERR_INVAL, "the %s is empty", what);
    }
    if (size > SP_NAME_MAX) {
        return sp__fail(err, SP_ERR_INVAL, "the %s \"%s\" is longer than %d bytes",
                        what, sp__excerpt(name, size).text, SP_NAME_MAX);
    }
    if (!sp__json_is_utf8(name, size)) {
        return sp__fail(err, SP_ERR_INVAL, "the %s is not valid UTF-8", what);
    }
    *ret_size = size;
    return SP_OK;
}

int sp__check_json(const char *what, const char *json, size_t size, size_t max,
                   sp_error *err)
{
    if (size > max) {
        return sp__fail(err, SP_ERR_TOO_BIG, "%s of %zu bytes: at most %zu are kept",
                        what, size, max);
    }
    int rc = sp__json_read(json, size, STATE_DEPTH_MAX, NULL, NULL, err);
    return rc < 0 ? sp__wrap(err, rc, "%s", what) : SP_OK;
}

int sp__check_object(const char *what, const char *json, size_t size, size_t max,
                     sp_error *err)
{
    int rc = sp__check_json(what, json, size, max, err);
    if (rc == SP_OK && sp__json_kind(json, size) != '{') {
        return sp__fail(err, SP_ERR_INVAL, "%s must be a JSON object, got %s", what,
                        sp__excerpt(json, size).text);
    }
    return rc;
}
