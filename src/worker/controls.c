/* SPDX-License-Identifier: MIT */
/*
 * What the program has said of telemetry: one control for each pool of which it has said
 * something, and one for all the others.
 *
 * A control is made whole before it takes the place of the one before it. Loops read it
 * under the lock when they ask workers for something else, never for a call or an event.
 */
#include "worker/controls.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "snakepit/pool.h"

static const char between[] = ", \t";

void sp__controls_init(struct controls *controls)
{
    *controls = (struct controls){0};
    (void)pthread_mutex_init(&controls->lock, NULL);
}

static void free_control(struct control *control)
{
    if (control != NULL) {
        sp__free(control->pool);
        sp__free(control->sample.text);
        sp__free(control->allow.text);
        sp__free(control->deny.text);
        sp__free(control);
    }
}

/* Locked, or nobody else is there. NULL as pool: all of them. */
static void drop(struct controls *controls, const char *pool)
{
    struct link *next;
    for (struct link *link = controls->list.first; link != NULL; link = next) {
        struct control *control = ITEM(link, struct control, on_controls);
        next = link->next;
        if (pool == NULL ||
            (control->pool != NULL && strcmp(control->pool, pool) == 0)) {
            sp__list_remove(link);
            free_control(control);
        }
    }
}

void sp__controls_fini(struct controls *controls)
{
    drop(controls, NULL);
    (void)pthread_mutex_destroy(&controls->lock);
}

/* ---- making one ---- */

static int read_words(struct control_words *words, const char *what, const char *text,
                      sp_error *err)
{
    size_t size = text != NULL ? strlen(text) : 0;
    if (size > CONTROL_TEXT_MAX) {
        return sp__fail(err, SP_ERR_INVAL, "%s has %zu bytes: at most %d", what, size,
                        (int)CONTROL_TEXT_MAX);
    }
    if (size == 0) {
        return SP_OK;
    }
    words->text = sp__strdup(text);
    if (words->text == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %s", what);
    }
    char *rest = NULL;
    for (char *word = strtok_r(words->text, between, &rest); word != NULL;
         word = strtok_r(NULL, between, &rest)) {
        if (words->count == CONTROL_WORDS) {
            return sp__fail(err, SP_ERR_INVAL, "%s has more than %d patterns", what,
                            (int)CONTROL_WORDS);
        }
        words->at[words->count++] = word;
    }
    return SP_OK;
}

static int read_rate(double *ret_rate, uint32_t permille, sp_error *err)
{
    if (permille > 1000 && permille != SP_NONE) {
        return sp__fail(err, SP_ERR_INVAL, "sample_permille is %u: at most 1000",
                        permille);
    }
    *ret_rate = permille == SP_NONE ? 0 : permille == 0 ? 1 : permille / 1000.0;
    return SP_OK;
}

static int make(const char *pool, const sp_telemetry_options *options,
                struct control **ret_control, sp_error *err)
{
    struct control *control = sp__calloc(1, sizeof *control);
    if (control == NULL ||
        (pool != NULL && (control->pool = sp__strdup(pool)) == NULL)) {
        free_control(control);
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a control of telemetry");
    }
    control->is_off = options->off;
    int rc = read_rate(&control->rate, options->sample_permille, err);
    if (rc == SP_OK) {
        rc = read_words(&control->sample, "sample", options->sample, err);
    }
    if (rc == SP_OK) {
        rc = read_words(&control->allow, "allow", options->allow, err);
    }
    if (rc == SP_OK) {
        rc = read_words(&control->deny, "deny", options->deny, err);
    }
    if (rc < 0) {
        free_control(control);
        return rc;
    }
    *ret_control = control;
    return SP_OK;
}

int sp__controls_set(struct controls *controls, const char *pool,
                     const sp_telemetry_options *options, sp_error *err)
{
    struct control *control = NULL;
    int rc = options != NULL ? make(pool, options, &control, err) : SP_OK;
    if (rc < 0) {
        return rc;
    }
    (void)pthread_mutex_lock(&controls->lock);
    drop(controls, pool);
    if (control != NULL) {
        sp__list_append(&controls->list, &control->on_controls);
    }
    (void)pthread_mutex_unlock(&controls->lock);
    return SP_OK;
}

/* ---- reading ---- */

const struct control *sp__controls_enter(struct controls *controls, const char *pool)
{
    const struct control *found = NULL;
    (void)pthread_mutex_lock(&controls->lock);
    for (struct link *link = controls->list.first; link != NULL; link = link->next) {
        const struct control *control = ITEM(link, struct control, on_controls);
        if (control->pool != NULL && strcmp(control->pool, pool) == 0) {
            return control;
        }
        if (control->pool == NULL) {
            found = control;
        }
    }
    return found;
}

void sp__controls_leave(struct controls *controls)
{
    (void)pthread_mutex_unlock(&controls->lock);
}
