/* SPDX-License-Identifier: MIT */
/* An intrusive, doubly linked list that knows its length. */
#ifndef SP_BASE_LIST_H
#define SP_BASE_LIST_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

struct link {
    struct link *prev;
    struct link *next;
    struct list *on; /* the list it stands on, or NULL */
};

struct list {
    struct link *first;
    struct link *last;
    uint32_t length;
};

/* The object around a link: ITEM(link, struct worker, on_state). */
#define ITEM(link_pointer, type, member) \
    ((type *)(void *)((char *)(link_pointer)-offsetof(type, member)))

static inline void sp__list_append(struct list *list, struct link *link)
{
    assert(link->on == NULL);
    link->prev = list->last;
    link->next = NULL;
    link->on = list;
    if (list->last != NULL) {
        list->last->next = link;
    } else {
        list->first = link;
    }
    list->last = link;
    list->length++;
}

static inline void sp__list_prepend(struct list *list, struct link *link)
{
    assert(link->on == NULL);
    link->next = list->first;
    link->prev = NULL;
    link->on = list;
    if (list->first != NULL) {
        list->first->prev = link;
    } else {
        list->last = link;
    }
    list->first = link;
    list->length++;
}

/* Nothing happens when it stands on no list. */
static inline void sp__list_remove(struct link *link)
{
    struct list *list = link->on;
    if (list == NULL) {
        return;
    }
    if (link->prev != NULL) {
        link->prev->next = link->next;
    } else {
        list->first = link->next;
    }
    if (link->next != NULL) {
        link->next->prev = link->prev;
    } else {
        list->last = link->prev;
    }
    list->length--;
    *link = (struct link){0};
}

static inline struct link *sp__list_pop(struct list *list)
{
    struct link *link = list->first;
    if (link != NULL) {
        sp__list_remove(link);
    }
    return link;
}

#endif
