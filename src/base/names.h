/* SPDX-License-Identifier: MIT */
/* name -> object, intrusive: the object has the node inside it and its name beside it. */
#ifndef SP_BASE_NAMES_H
#define SP_BASE_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct name_node {
    struct name_node *next; /* in the same bucket */
    uint32_t hash;
    uint32_t size;
    const char *name; /* the object's own copy; not terminated as far as this knows */
};

struct names {
    struct name_node **buckets; /* a power of two of them, or NULL */
    size_t capacity;
    size_t length;
};

/* Keyed once per process with a random secret, so that nobody outside can choose names
 * that all meet in one bucket. */
uint64_t sp__names_hash(const char *name, size_t size);

void sp__names_fini(struct names *names); /* the nodes are their owner's */

/* Room for `length` nodes, so that putting in up to as many cannot fail. 0 or NOMEM. */
int sp__names_reserve(struct names *names, size_t length);

/* Put in. One of the same name may be there only to be removed next. 0 or SP_ERR_NOMEM. */
int sp__names_put(struct names *names, struct name_node *node, const char *name,
                  size_t size);
struct name_node *sp__names_find(const struct names *names, const char *name,
                                 size_t size); /* or NULL */
/* The same with the hash known. */
struct name_node *sp__names_find_hashed(const struct names *names, uint64_t hash,
                                        const char *name, size_t size);
void sp__names_remove(struct names *names, struct name_node *node); /* must be in it */

/* Walk: begin with *at = 0 and node = NULL. Nothing may be put in or removed meanwhile;
 * a node may be freed once its successor is known. */
struct name_node *sp__names_next(const struct names *names, size_t *at,
                                 const struct name_node *node);

#endif
