/* SPDX-License-Identifier: MIT */
/* A folder of this host alone, for the sockets of its stock workers. */
#ifndef SP_WORKER_SOCKET_FOLDER_H
#define SP_WORKER_SOCKET_FOLDER_H

#include "snakepit/error.h"

struct socket_folder {
    char path[80]; /* "": not made */
    int fd;        /* of the lock */
};

/* Make it, with mode 0700, unless it is made; and remove those that dead hosts of this
 * user have left beside it. SP_ERR_SYSTEM. */
int sp__socket_folder_make(struct socket_folder *folder, sp_error *err) SP_MUST_CHECK;
/* Remove it with what is in it, if it was made. */
void sp__socket_folder_remove(struct socket_folder *folder);

#endif
