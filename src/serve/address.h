/* SPDX-License-Identifier: MIT */
/* Where a pit is served: a unix socket in a folder that nobody else may change. */
#ifndef SP_SERVE_ADDRESS_H
#define SP_SERVE_ADDRESS_H

#include <sys/types.h>

#include "snakepit/error.h"

enum { ADDRESS_PATH_MAX = 107 }; /* what the kernel takes, without the NUL */

struct address {
    int fd;     /* listening, non-blocking */
    int folder; /* the socket's folder, open */
    char path[ADDRESS_PATH_MAX + 1];
    int made;         /* the folder: it goes again when nothing is in it */
    const char *name; /* the socket's name in the folder; points into path */
    dev_t device;     /* which file it is, to remove no other's */
    ino_t inode;
};

/* Whether the text is an address; the path in *ret_path, which points into it. */
int sp__address_check(const char *text, const char **ret_path,
                      sp_error *err) SP_MUST_CHECK;

/* Make the socket and listen. `shared`: others than its owner may connect, and the
 * kernel's word on who they are decides. A socket that nobody listens on any more is
 * replaced. */
int sp__address_open(struct address *address, const char *text, int shared,
                     sp_error *err) SP_MUST_CHECK;

/* Stop listening and remove the socket, if it is still ours. Fine twice. */
void sp__address_close(struct address *address);

/* Who is at the other end of a connection; 0, or -1 when the kernel does not say. */
int sp__address_peer(int fd, uid_t *ret_user, pid_t *ret_pid);

#endif
