/* SPDX-License-Identifier: MIT */
/* Single messages with descriptors, and sealed blocks; see channel.c. */
#ifndef SP_GUARD_CHANNEL_H
#define SP_GUARD_CHANNEL_H

#include <stddef.h>

#include "guard/guard.h"
#include "guard/protocol.h"

/* Send one message with descriptors, without waiting. 0, or an errno: EAGAIN when it
 * must be tried again later, others when the guard is beyond reach. */
int sp__channel_send(int socket, const struct guard_message *message, const int *fds,
                     size_t fds_count);

/* Take one message and perhaps a descriptor (else -1), without waiting. 0, or an errno:
 * EAGAIN when there is none, EPIPE at the end, EPROTO when it is no message of ours. */
int sp__channel_receive(int socket, struct guard_message *message, int *ret_fd);

/* Put a command's strings into a sealed memfd and its counts into the message. */
int sp__channel_pack(const struct guard_command *command, struct guard_message *message,
                     int *ret_fd, sp_error *err) SP_MUST_CHECK;

#endif
