/* SPDX-License-Identifier: MIT */
/*
 * doctor: what mends a worker that does not start, as far as its failure tells: a command
 * to type or a key to set. What nothing is known about gets the hint of its error.
 */
#include "doctor.h"

#include <stdlib.h>
#include <string.h>

static const char *python_of(const struct doctor *doctor)
{
    return doctor->python[0] != '\0' ? doctor->python : "python3";
}

/* The name between a text and the next quote; 0: the text is not there. */
static int quoted_behind(const char *facts, const char *text, char *name, size_t max)
{
    const char *found = strstr(facts, text);
    size_t length = found != NULL ? strcspn(found + strlen(text), "'\"") : 0;
    if (length == 0 || length >= max) {
        return 0;
    }
    (void)snprintf(name, max, "%.*s", (int)length, found + strlen(text));
    return 1;
}

/* Of a variable that names what is not there: the failure names it. */
static int fix_variable(const char *variable, const char *facts, char fix[FIX_MAX])
{
    const char *value = getenv(variable);
    if (value == NULL || value[0] == '\0' || strstr(facts, variable) == NULL) {
        return 0;
    }
    (void)snprintf(fix, FIX_MAX, "unset %s", variable);
    return 1;
}

static void fix_adapter(const struct doctor *doctor, const sp_error *err,
                        const char *facts, char fix[FIX_MAX])
{
    char module[100];
    const char *pool = doctor->pool;
    if (quoted_behind(facts, "No module named '", module, sizeof module)) {
        char *dot = strchr(module, '.');
        if (dot != NULL) {
            *dot = '\0'; /* what is installed has the first part's name */
        }
        (void)snprintf(
            fix, FIX_MAX,
            "%.150s -m pip install %s; or set pools.%s.adapter to one that is "
            "there, or pools.%s.env.set.PYTHONPATH to its folder",
            python_of(doctor), module, pool, pool);
    } else if (err->code == SP_ERR_START_TIMEOUT ||
               strstr(facts, "was not ready after") != NULL) {
        (void)snprintf(fix, FIX_MAX,
                       "set pools.%s.init_timeout to more time, such as 2m", pool);
    } else if (strstr(facts, "require_gil_disabled") != NULL) {
        (void)snprintf(fix, FIX_MAX, "set pools.%s.require_gil_disabled to no", pool);
    } else {
        (void)snprintf(fix, FIX_MAX,
                       "mend it, or set pools.%s.adapter to another one; snakepit -v "
                       "call ping -p %s shows all that it prints",
                       pool, pool);
    }
}

void doctor_fix(const struct doctor *doctor, const char *what, const sp_error *err,
                const char *facts, char fix[FIX_MAX])
{
    (void)snprintf(fix, FIX_MAX, "%s", sp_error_hint(err->code));
    if (fix_variable("SNAKEPIT_GUARD", facts, fix) ||
        fix_variable("SNAKEPIT_BRIDGE_PATH", facts, fix)) {
        return;
    }
    if (strcmp(what, "adapter") == 0) {
        fix_adapter(doctor, err, facts, fix);
    } else if (strcmp(what, "call") == 0) {
        (void)snprintf(fix, FIX_MAX,
                       "mend the tool ping; snakepit call ping -p %s shows its whole "
                       "error",
                       doctor->pool);
    } else if (strcmp(what, "bridge") == 0) {
        (void)snprintf(fix, FIX_MAX,
                       "set pools.%s.python to an interpreter that the bridge is built "
                       "for, such as /usr/bin/python3",
                       doctor->pool);
    }
}
