/* SPDX-License-Identifier: MIT */
/*
 * The chunks of a stream on their way to its consumer.
 *
 * Two buffers: the loop fills one under the lock, the consumer empties the other without
 * it and swaps when it has nothing left. A chunk costs a copy and a lock that is hardly
 * ever contended, and no allocation once the buffers have grown. Their size is bounded
 * by the stream's window: credit goes back only when a whole buffer has been consumed.
 */
#include "pool/mailbox.h"

#include "base/error.h"
#include "base/mem.h"

enum { KEEP_BYTES = 256 * 1024 };

void sp__mailbox_init(struct mailbox *mailbox)
{
    *mailbox = (struct mailbox){0};
    (void)pthread_mutex_init(&mailbox->lock, NULL);
    /* One chunk may be as large as response_max_bytes; the window bounds the rest. */
    sp__buf_init(&mailbox->filling, SIZE_MAX / 2);
    sp__buf_init(&mailbox->draining, SIZE_MAX / 2);
    sp__latch_init(&mailbox->ready);
}

void sp__mailbox_fini(struct mailbox *mailbox)
{
    sp__buf_fini(&mailbox->filling);
    sp__buf_fini(&mailbox->draining);
    (void)pthread_mutex_destroy(&mailbox->lock);
}

int sp__mailbox_put(struct mailbox *mailbox, const void *data, size_t size,
                    size_t wire_bytes, sp_error *err)
{
    if (size > UINT32_MAX) {
        return sp__fail(err, SP_ERR_TOO_BIG, "a chunk of %zu bytes", size);
    }
    uint32_t head = (uint32_t)size;
    pthread_mutex_lock(&mailbox->lock);
    int was_empty = mailbox->filling.size == 0;
    int rc = sp__buf_reserve(&mailbox->filling, sizeof head + size, err);
    if (rc == SP_OK) {
        memcpy(mailbox->filling.data + mailbox->filling.size, &head, sizeof head);
        if (size > 0) {
            memcpy(mailbox->filling.data + mailbox->filling.size + sizeof head, data,
                   size);
        }
        mailbox->filling.size += sizeof head + size;
        mailbox->filling_wire += wire_bytes;
    }
    pthread_mutex_unlock(&mailbox->lock);
    return rc < 0 ? rc : was_empty;
}

void sp__mailbox_end(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    mailbox->ended = 1;
    pthread_mutex_unlock(&mailbox->lock);
}

/* The consumer has emptied its buffer: take the full one, hand back the credit. */
static int swap(struct mailbox *mailbox, size_t *ret_credit)
{
    mailbox->draining.size = 0;
    mailbox->draining_at = 0;
    sp__buf_shrink(&mailbox->draining, KEEP_BYTES);

    pthread_mutex_lock(&mailbox->lock);
    struct sp_buffer empty = mailbox->draining;
    mailbox->draining = mailbox->filling;
    mailbox->filling = empty;
    *ret_credit = mailbox->draining_wire;
    mailbox->draining_wire = mailbox->filling_wire;
    mailbox->filling_wire = 0;
    int ended = mailbox->ended;
    if (mailbox->draining.size == 0 && !ended) {
        sp__latch_close(&mailbox->ready);
    }
    pthread_mutex_unlock(&mailbox->lock);
    return mailbox->draining.size > 0 ? 1 : ended ? -1 : 0;
}

int sp__mailbox_take(struct mailbox *mailbox, const uint8_t **ret_data,
                     size_t *ret_size, size_t *ret_credit)
{
    *ret_credit = 0;
    if (mailbox->draining_at == mailbox->draining.size) {
        int rc = swap(mailbox, ret_credit);
        if (rc <= 0) {
            return rc;
        }
    }
    uint32_t head;
    memcpy(&head, mailbox->draining.data + mailbox->draining_at, sizeof head);
    *ret_data = mailbox->draining.data + mailbox->draining_at + sizeof head;
    *ret_size = head;
    mailbox->draining_at += sizeof head + head;
    mailbox->index++;
    return 1;
}
