/* SPDX-License-Identifier: MIT */
/* A daemon that the program has connected to, for the files about it. */
#ifndef SP_API_DAEMON_H
#define SP_API_DAEMON_H

struct remote;

struct sp_daemon {
    struct remote *remote;
};

#endif
