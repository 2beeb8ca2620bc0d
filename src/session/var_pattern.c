/* SPDX-License-Identifier: MIT */
/*
 * Regular expressions on PCRE2, with its limits set.
 *
 * The original's patterns are PCRE patterns, so these are. A backtracking matcher can be
 * made to take for ever by a pattern from outside; PCRE2 counts its steps, its depth and
 * its memory, and gives up when one of them is used up. The value is then refused with a
 * message of its own: what cannot be checked is not accepted. See docs/decisions/.
 *
 * Counting graphemes is the same library's \X, because Unicode's tables are there.
 */
#include "session/var_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "session/checks.h"

enum {
    /* A search of the longest plain text stays far below these; together they keep the
     * worst pattern to some tens of milliseconds. */
    STEPS_MAX = 1000000,
    DEPTH_MAX = 10000,
    HEAP_KIB_MAX = 8192
};

struct pattern {
    pcre2_code *code;
    pcre2_match_context *limits;
    char text[];
};

static void *allocate_cb(PCRE2_SIZE size, void *user)
{
    return sp__malloc(size);
}

static void free_cb(void *memory, void *user)
{
    sp__free(memory);
}

static int no_memory(sp_error *err)
{
    return sp__fail(err, SP_ERR_NOMEM, "no memory for a pattern");
}

static int compile(struct pattern *pattern, pcre2_general_context *general, size_t size,
                   sp_error *err)
{
    int code;
    PCRE2_SIZE at;
    PCRE2_UCHAR why[128];
    pcre2_compile_context *compiling = pcre2_compile_context_create(general);
    if (compiling == NULL) {
        return no_memory(err);
    }
    pattern->code = pcre2_compile((PCRE2_SPTR)pattern->text, size,
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C,
                                  &code, &at, compiling);
    pcre2_compile_context_free(compiling);
    if (pattern->code == NULL) {
        if (code == PCRE2_ERROR_NOMEMORY || code == PCRE2_ERROR_HEAP_FAILED) {
            return no_memory(err);
        }
        (void)pcre2_get_error_message(code, why, sizeof why);
        return sp__fail(err, SP_ERR_BAD_VALUE, "pattern %s: %s at %zu",
                        sp__excerpt(pattern->text, size).text, (const char *)why,
                        (size_t)at);
    }
    pattern->limits = pcre2_match_context_create(general);
    if (pattern->limits == NULL) {
        return no_memory(err);
    }
    (void)pcre2_set_match_limit(pattern->limits, STEPS_MAX);
    (void)pcre2_set_depth_limit(pattern->limits, DEPTH_MAX);
    (void)pcre2_set_heap_limit(pattern->limits, HEAP_KIB_MAX);
    return SP_OK;
}

int sp__pattern_new(const char *text, size_t size, struct pattern **ret_pattern,
                    sp_error *err)
{
    if (size > PATTERN_BYTES_MAX) {
        return sp__fail(err, SP_ERR_BAD_VALUE, "a pattern of %zu bytes: at most %d",
                        size, PATTERN_BYTES_MAX);
    }
    pcre2_general_context *general =
        pcre2_general_context_create(allocate_cb, free_cb, NULL);
    struct pattern *pattern = sp__calloc(1, sizeof *pattern + size + 1);
    if (general == NULL || pattern == NULL) {
        sp__free(pattern);
        pcre2_general_context_free(general);
        return no_memory(err);
    }
    memcpy(pattern->text, text, size);
    int rc = compile(pattern, general, size, err);
    pcre2_general_context_free(general);
    if (rc < 0) {
        sp__pattern_free(pattern);
        return rc;
    }
    *ret_pattern = pattern;
    return SP_OK;
}

void sp__pattern_free(struct pattern *pattern)
{
    if (pattern != NULL) {
        pcre2_code_free(pattern->code);
        pcre2_match_context_free(pattern->limits);
        sp__free(pattern);
    }
}

int sp__pattern_search(const struct pattern *pattern, const char *text, size_t size,
                       sp_error *err)
{
    pcre2_match_data *found = pcre2_match_data_create_from_pattern(pattern->code, NULL);
    if (found == NULL) {
        return no_memory(err);
    }
    int rc = pcre2_match(pattern->code, (PCRE2_SPTR)text, size, 0, 0, found,
                         pattern->limits);
    pcre2_match_data_free(found);
    if (rc >= 0) {
        return 1;
    }
    switch (rc) {
    case PCRE2_ERROR_NOMATCH:
        return 0;
    case PCRE2_ERROR_NOMEMORY:
        return no_memory(err);
    case PCRE2_ERROR_MATCHLIMIT:
    case PCRE2_ERROR_DEPTHLIMIT:
    case PCRE2_ERROR_HEAPLIMIT:
        return sp__fail(err, SP_ERR_BAD_VALUE,
                        "pattern %s takes more than %d steps on a text of %zu bytes",
                        pattern->text, STEPS_MAX, size);
    default: /* a text that is no UTF-8, such as a lone surrogate */
        return sp__fail(err, SP_ERR_BAD_VALUE,
                        "pattern %s cannot be applied: the text is not valid UTF-8",
                        pattern->text);
    }
}

/* Without any byte above 0x7f each is one, but for a line end of two. */
static int count_plain(const char *text, size_t size, size_t *ret_count)
{
    size_t count = size;
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] > 0x7f) {
            return 0;
        }
        count -= i > 0 && text[i] == '\n' && text[i - 1] == '\r';
    }
    *ret_count = count;
    return 1;
}

int sp__grapheme_count(const char *text, size_t size, size_t *ret_count, sp_error *err)
{
    if (count_plain(text, size, ret_count)) {
        return SP_OK;
    }
    struct pattern *cluster = NULL;
    int rc = sp__pattern_new("\\X", 2, &cluster, err);
    if (rc < 0) {
        return rc;
    }
    pcre2_match_data *found = pcre2_match_data_create_from_pattern(cluster->code, NULL);
    if (found == NULL) {
        sp__pattern_free(cluster);
        return no_memory(err);
    }
    size_t count = 0;
    size_t at = 0;
    uint32_t flags = 0; /* the first match checks the whole text */
    while (at < size && rc >= 0) {
        rc = pcre2_match(cluster->code, (PCRE2_SPTR)text, size, at, flags, found,
                         cluster->limits);
        if (rc >= 0) {
            at = pcre2_get_ovector_pointer(found)[1];
            flags = PCRE2_NO_UTF_CHECK;
            count++;
        }
    }
    pcre2_match_data_free(found);
    sp__pattern_free(cluster);
    if (rc < 0) {
        return rc == PCRE2_ERROR_NOMEMORY
                   ? no_memory(err)
                   : sp__fail(err, SP_ERR_BAD_VALUE, "the text is not valid UTF-8");
    }
    *ret_count = count;
    return SP_OK;
}
