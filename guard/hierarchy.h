/* SPDX-License-Identifier: MIT */
/* Where control groups can be made; see hierarchy.c. */
#ifndef SP_GUARD_HIERARCHY_H
#define SP_GUARD_HIERARCHY_H

struct hierarchy {
    int dir; /* of the group above those to be made; -1: none can be */
    int is_v2;
};

/* The place for groups with a controller. Its descriptor stays open. */
struct hierarchy sp__hierarchy_find(const char *controller);

/* The version 2 group of this process, as a folder in which groups can be made. -1 with
 * errno. */
int sp__hierarchy_own(void);

/* Call for every entry of a folder, without allocating. */
void sp__hierarchy_list(int dir, void (*on_entry)(void *user, const char *name),
                        void *user);

#endif
