/* SPDX-License-Identifier: MIT */
/*
 * The shortest program: open a pit, call a Python function, close.
 *
 *     cc hello.c $(pkg-config --cflags --libs snakepit) -o hello && ./hello
 *
 * Without options a pit has one pool of Python workers with the showcase adapter. What
 * goes wrong anywhere is in `err`; closing is fine in every case.
 */
#include <snakepit/snakepit.h>
#include <stdio.h>

int main(void)
{
    sp_pit *pit = NULL;
    sp_result result = {0};
    sp_error err = {0};
    int rc = sp_pit_open(NULL, &pit, &err);
    if (rc == 0) {
        rc = sp_execute(pit, "add", sp_text("{\"a\": 5, \"b\": 3}"), NULL, &result,
                        &err);
    }
    printf("%s\n", rc == 0 ? result.json : err.message);
    sp_result_clear(&result);
    sp_error_clear(&err);
    sp_pit_close(pit);
    return rc == 0 ? 0 : 1;
}
