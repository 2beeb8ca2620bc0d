/* SPDX-License-Identifier: MIT */
/* The phases of chaos: each opens its pit, maltreats it, lets it heal and closes it. */
#ifndef CHAOS_PHASES_H
#define CHAOS_PHASES_H

#include "scene.h"

struct phase {
    const char *name;
    const char *text;
    struct amounts usual;
    void (*run)(const struct amounts *amounts);
};

void phase_storm(const struct amounts *amounts);
void phase_soak(const struct amounts *amounts);
void phase_recycle(const struct amounts *amounts);
void phase_cancel(const struct amounts *amounts);
void phase_shutdown(const struct amounts *amounts);
void phase_overload(const struct amounts *amounts);
void phase_misdeeds(const struct amounts *amounts);

#endif
