/* SPDX-License-Identifier: MIT */
/* A worker that says that it cannot start: refuses permanent|passing. */
#include <stdio.h>
#include <string.h>

#include "snakepit/worker.h"

int main(int argc, char **argv)
{
    sp_worker *worker;
    sp_error err = {0};
    if (sp_worker_open(NULL, &worker, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    int permanent = argc > 1 && strcmp(argv[1], "permanent") == 0;
    sp_worker_refuse(worker, permanent, "NoLicence", "the licence has run out",
                     "where: here\nwhy: so\n");
    sp_worker_close(worker);
    return 1;
}
