/* SPDX-License-Identifier: MIT */
/* Death certificates: written once, shared by whoever wants to read them. */
#ifndef SP_WORKER_DEATH_H
#define SP_WORKER_DEATH_H

#include "snakepit/death.h"

enum { DEATH_CALLS_MAX = 64 }; /* that are told one by one */

struct death;

/* A copy of everything, with one reference; NULL without memory. */
struct death *sp__death_new(const sp_death *facts);

/* Any thread. NULL is fine and stays NULL. */
struct death *sp__death_hold(struct death *death);
void sp__death_drop(struct death *death);

const sp_death *sp__death_facts(const struct death *death);

#endif
