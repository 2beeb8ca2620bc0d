/* SPDX-License-Identifier: MIT */
/*
 * A hash table of named objects: buckets of chains, doubled when there are as many nodes
 * as buckets, never shrunk.
 *
 * Names come from clients, so the hash is SipHash-1-3 (Aumasson and Bernstein; the
 * variant with one and three rounds that Rust and Ruby use) under a key drawn at the
 * first use. The key is published once and never changes: a hash may be kept.
 */
#include "base/names.h"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "snakepit/error.h"

enum { CAPACITY_MIN = 8 };

static uint64_t secret[2];
static pthread_once_t secret_once = PTHREAD_ONCE_INIT;

static void draw_secret(void)
{
    if (getrandom(secret, sizeof secret, GRND_NONBLOCK) != (ssize_t)sizeof secret) {
        /* Before the kernel's pool is filled; still not known from outside. */
        secret[0] = sp__unix_ns();
        secret[1] = (uint64_t)(uintptr_t)&secret ^ sp__now_us();
    }
}

static inline uint64_t turn(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = turn(v[1], 13) ^ v[0];
    v[0] = turn(v[0], 32);
    v[2] += v[3];
    v[3] = turn(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = turn(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = turn(v[1], 17) ^ v[2];
    v[2] = turn(v[2], 32);
}

uint64_t sp__names_hash(const char *name, size_t size)
{
    (void)pthread_once(&secret_once, draw_secret);
    uint64_t v[4] = {secret[0] ^ 0x736f6d6570736575u, secret[1] ^ 0x646f72616e646f6du,
                     secret[0] ^ 0x6c7967656e657261u, secret[1] ^ 0x7465646279746573u};
    size_t left = size;
    uint64_t word;
    for (; left >= 8; left -= 8, name += 8) {
        memcpy(&word, name, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = 0;
    if (left > 0) {
        memcpy(&word, name, left);
    }
    word |= (uint64_t)size << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void sp__names_fini(struct names *names)
{
    sp__free(names->buckets);
    *names = (struct names){0};
}

static struct name_node **bucket_of(const struct names *names, uint32_t hash)
{
    return &names->buckets[hash & (names->capacity - 1)];
}

static int grow(struct names *names)
{
    struct names bigger = {.length = names->length};
    bigger.capacity = names->capacity == 0 ? CAPACITY_MIN : names->capacity * 2;
    bigger.buckets = sp__calloc(bigger.capacity, sizeof *bigger.buckets);
    if (bigger.buckets == NULL) {
        return SP_ERR_NOMEM;
    }
    for (size_t i = 0; i < names->capacity; i++) {
        struct name_node *node = names->buckets[i];
        while (node != NULL) {
            struct name_node *next = node->next;
            struct name_node **bucket = bucket_of(&bigger, node->hash);
            node->next = *bucket;
            *bucket = node;
            node = next;
        }
    }
    sp__free(names->buckets);
    *names = bigger;
    return SP_OK;
}

int sp__names_reserve(struct names *names, size_t length)
{
    while (names->capacity < length) {
        int rc = grow(names);
        if (rc < 0) {
            return rc;
        }
    }
    return SP_OK;
}

int sp__names_put(struct names *names, struct name_node *node, const char *name,
                  size_t size)
{
    int rc = sp__names_reserve(names, names->length + 1);
    if (rc < 0) {
        return rc;
    }
    node->hash = (uint32_t)sp__names_hash(name, size);
    node->size = (uint32_t)size;
    node->name = name;
    struct name_node **bucket = bucket_of(names, node->hash);
    node->next = *bucket;
    *bucket = node;
    names->length++;
    return SP_OK;
}

struct name_node *sp__names_find_hashed(const struct names *names, uint64_t hash,
                                        const char *name, size_t size)
{
    if (names->capacity == 0) {
        return NULL;
    }
    struct name_node *node = *bucket_of(names, (uint32_t)hash);
    while (node != NULL) {
        if (node->hash == (uint32_t)hash && node->size == size &&
            memcmp(node->name, name, size) == 0) {
            return node;
        }
        node = node->next;
    }
    return NULL;
}

struct name_node *sp__names_find(const struct names *names, const char *name,
                                 size_t size)
{
    return sp__names_find_hashed(names, sp__names_hash(name, size), name, size);
}

void sp__names_remove(struct names *names, struct name_node *node)
{
    struct name_node **at = bucket_of(names, node->hash);
    while (*at != node) {
        at = &(*at)->next;
    }
    *at = node->next;
    node->next = NULL;
    names->length--;
}

struct name_node *sp__names_next(const struct names *names, size_t *at,
                                 const struct name_node *node)
{
    if (node != NULL && node->next != NULL) {
        return node->next;
    }
    while (*at < names->capacity) {
        struct name_node *first = names->buckets[(*at)++];
        if (first != NULL) {
            return first;
        }
    }
    return NULL;
}
