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

enum {
    KEEP_BYTES = 256 * 1024,
    ALIGNMENT = 16 /* of binaries; the buffers themselves begin at a multiple of it */
};

struct head {
    uint32_t size;
    uint32_t binary_size;
};

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

/* Where a chunk's binary begins, when its data ends at `at` of the buffer. */
static size_t binary_at(size_t at, size_t binary_size)
{
    return binary_size == 0 ? at : (at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

int sp__mailbox_put(struct mailbox *mailbox, sp_bytes data, sp_bytes binary,
                    size_t wire_bytes, sp_error *err)
{
    if (data.size > UINT32_MAX || binary.size > UINT32_MAX) {
        return sp__fail(err, SP_ERR_TOO_BIG, "a chunk of %zu bytes",
                        data.size + binary.size);
    }
    struct head head = {(uint32_t)data.size, (uint32_t)binary.size};
    pthread_mutex_lock(&mailbox->lock);
    struct sp_buffer *to = &mailbox->filling;
    int was_empty = to->size == 0;
    size_t from = binary_at(to->size + sizeof head + data.size, binary.size);
    int rc = sp__buf_reserve(to, from + binary.size - to->size, err);
    if (rc == SP_OK) {
        memcpy(to->data + to->size, &head, sizeof head);
        if (data.size > 0) {
            memcpy(to->data + to->size + sizeof head, data.data, data.size);
        }
        if (binary.size > 0) {
            memcpy(to->data + from, binary.data, binary.size);
        }
        to->size = from + binary.size;
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
    int ended = mailbox->ended;
    *ret_credit = ended ? 0 : mailbox->draining_wire; /* nobody is to go on */
    mailbox->draining_wire = mailbox->filling_wire;
    mailbox->filling_wire = 0;
    if (mailbox->draining.size == 0 && !ended) {
        sp__latch_close(&mailbox->ready);
    }
    pthread_mutex_unlock(&mailbox->lock);
    return mailbox->draining.size > 0 ? 1 : ended ? -1 : 0;
}

int sp__mailbox_take(struct mailbox *mailbox, struct mailbox_chunk *ret_chunk,
                     size_t *ret_credit)
{
    *ret_credit = 0;
    if (mailbox->draining_at == mailbox->draining.size) {
        int rc = swap(mailbox, ret_credit);
        if (rc <= 0) {
            return rc;
        }
    }
    struct head head;
    const uint8_t *start = mailbox->draining.data;
    memcpy(&head, start + mailbox->draining_at, sizeof head);
    size_t data_at = mailbox->draining_at + sizeof head;
    size_t from = binary_at(data_at + head.size, head.binary_size);
    *ret_chunk = (struct mailbox_chunk){
        .data = start + data_at,
        .size = head.size,
        .binary = head.binary_size > 0 ? start + from : NULL,
        .binary_size = head.binary_size,
    };
    mailbox->draining_at = from + head.binary_size;
    mailbox->index++;
    return 1;
}
