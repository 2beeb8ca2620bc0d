/* SPDX-License-Identifier: MIT */
/*
 * Writes snakepit-errors(7), as scdoc reads it, from the table of errors; run by the build.
 */
#include <stdio.h>

#include "base/grpc_status.h"
#include "snakepit/error.h"

#include "scdoc.h"

/* QUEUE_FULL as SP-QUEUE-FULL. */
static void put_name(const char *symbol)
{
    (void)fputs("*SP-", stdout);
    for (; *symbol != '\0'; symbol++) {
        (void)putchar(*symbol == '_' ? '-' : *symbol);
    }
    (void)puts("*");
}

static void put_error(const char *symbol, int number, const char *category,
                      int retryable, int status, const char *text, const char *hint)
{
    put_name(symbol);
    (void)fputs("\t", stdout);
    put_escaped(text);
    (void)fputs(". Try: ", stdout);
    put_escaped(hint);
    (void)printf(".\n\n\tNumber %d, category _%s_, gRPC status ", number, category);
    put_escaped(sp__grpc_status_name(status));
    (void)printf("; %s.\n\n", retryable ? "the same call may succeed later"
                                        : "the same call fails again");
}

int main(void)
{
    static const char *const words[] = {
#define X(name, word, text) [SP_CATEGORY_##name] = word,
        SP_CATEGORY_TABLE(X)
#undef X
    };
    (void)puts(
        "snakepit-errors(7)\n\n# NAME\n\nsnakepit-errors - every error, what it "
        "means and what to do\n\n# DESCRIPTION\n\n"
        "An error has a stable name, which programs may compare, a number in C, a "
        "category, and a sentence of its own. \"The same call may succeed later\" "
        "does not say that repeating it is safe: for that look at _executed_. "
        "*snakepit explain* shows the same for one of them; in Python and "
        "JavaScript each has a class.\n\n# CATEGORIES\n");
#define X(name, word, text) (void)puts("*" word "*\n\t" text "\n");
    SP_CATEGORY_TABLE(X)
#undef X
    (void)puts("# ERRORS\n");
#define X(name, number, category, retryable, grpc, text, hint)                     \
    put_error(#name, number, words[SP_CATEGORY_##category], retryable, grpc, text, \
              hint);
    SP_ERROR_TABLE(X)
#undef X
    (void)puts("# SEE ALSO\n\n*snakepit*(1), *snakepit*(7), *snakepit-wire*(7)");
    return 0;
}
