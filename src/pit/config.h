/* SPDX-License-Identifier: MIT */
/* Between the files of the configuration: YAML tree, table of settings, values. */
#ifndef SP_PIT_CONFIG_H
#define SP_PIT_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "snakepit/config.h"

/* --- The tree (config_yaml.c) ------------------------------------------------------ */

enum node_kind { NODE_SCALAR = 1, NODE_LIST, NODE_MAP };

/* One YAML value and where it stands. The parent owns its children; a child of a map
 * carries its key. Lines and columns count from 1. */
struct node {
    enum node_kind kind;
    int is_plain; /* a scalar without quotes */
    uint32_t line;
    uint32_t column;
    char *text; /* of a scalar */
    char *key;
    uint32_t key_line;
    uint32_t key_column;
    uint32_t count; /* of children */
    struct node *first;
    struct node *last;
    struct node *next;
};

#define CONFIG_BYTES_MAX (1024u * 1024u)

/* *ret_root is NULL for an empty document. `name` opens every message. */
int sp__config_tree_parse(sp_bytes yaml, const char *name, struct node **ret_root,
                          sp_error *err) SP_MUST_CHECK;
void sp__config_tree_free(struct node *node);

/* --- The table (config_params.c) --------------------------------------------------- */

enum config_scope { SCOPE_TOP, SCOPE_POOL };

enum config_kind {
    KIND_COUNT,     /* 0, where it is in range, becomes SP_NONE in the options */
    KIND_SHARE,     /* 0.1; held in thousandths, 0 becomes SP_NONE */
    KIND_MASK,      /* octal: 077; 0 becomes SP_NONE */
    KIND_COUNT_ANY, /* "never" and "infinite" too, as in those below */
    KIND_DURATION,
    KIND_DURATION_ANY,
    KIND_SIZE_ANY,
    KIND_SIZE,
    KIND_NAME,     /* letters, digits, '.', '_', '-' */
    KIND_TEXT,     /* any */
    KIND_CHOICE,   /* one of `words` */
    KIND_CONSTANT, /* one of `words`, held as the number it stands for too */
    KIND_PATH,     /* a file or folder */
    KIND_PROGRAM,  /* a path when it has a '/', else looked up on PATH */
    KIND_ADAPTER,  /* a path when it has a '/' or names a .py file */
    KIND_LIST,     /* of texts */
    KIND_WORDS,    /* of texts, or one text that is split */
    KIND_COMMAND,  /* WORDS, the first is a PROGRAM */
    KIND_VARIABLE_NAMES,
    KIND_VARIABLES, /* a map to text */
    KIND_DURATIONS  /* a map to DURATION_ANY */
};

/* Which options struct a row goes into. */
enum config_struct { OF_pit, OF_pool, OF_sessions, OF_service };

struct param {
    enum config_scope scope;
    enum config_kind kind;
    const char *key;
    uint64_t min;
    uint64_t max;
    const char *words;
    const char *default_text;
    const char *environment;
    enum config_struct goes;
    size_t offset; /* of the member in the options; 0 for none */
    const char *text;
};

enum param_id {
#define X(id, ...) PARAM_##id,
#include "pit/params.h"
    SP_PARAM_TABLE(X)
#undef X
        PARAMS
};

const struct param *sp__config_param(enum param_id id);

/* The row of a key, -1 when there is none. */
int sp__config_param_find(enum config_scope scope, const char *key);

/* Whether some key of the scope begins with "group." */
int sp__config_is_group(enum config_scope scope, const char *group);

/* The known word nearest to `word`, NULL when none is near. */
const char *sp__config_nearest(const char *word, const char *const *words,
                               size_t count);

/* --- Values (config_values.c) ------------------------------------------------------ */

/* Weakest first. */
enum config_source {
    SOURCE_NONE,
    SOURCE_DEFAULT,
    SOURCE_FILE,
    SOURCE_ENVIRONMENT,
    SOURCE_FLAG
};

struct value {
    enum config_source source;
    uint32_t line; /* in the file, or 0 */
    uint32_t column;
    uint64_t number;
    char *text;
    char **items;                 /* NULL-terminated */
    sp_command_timeout *timeouts; /* number of them in `number`; commands are items */
    char *shown;                  /* as it would stand in a file */
};

void sp__config_value_clear(struct value *value);

/* Where a value stands, for messages and relative paths. */
struct place {
    const char *file;   /* NULL: an environment variable or a flag */
    const char *path;   /* "pools[0].size", "SNAKEPIT_POOL_SIZE" */
    const char *folder; /* absolute; relative paths start here */
};

/* SP_ERR_CONFIG with the place before the message. `node` may be NULL. */
int sp__config_complain(const struct place *place, const struct node *node,
                        sp_error *err, const char *format, ...) SP_PRINTF(4, 5);

/* Convert and check. *ret_value is set on success only; its source is left NONE. */
int sp__config_value_read(const struct param *param, const struct node *node,
                          const struct place *place, struct value *ret_value,
                          sp_error *err) SP_MUST_CHECK;

/* The same from the text of a variable or a flag. */
int sp__config_value_read_text(const struct param *param, const char *text,
                               const struct place *place, struct value *ret_value,
                               sp_error *err) SP_MUST_CHECK;

/* A number that was computed, as if it had been read. */
int sp__config_value_from_number(const struct param *param, uint64_t number,
                                 struct value *ret_value, sp_error *err) SP_MUST_CHECK;

/* --- The whole (config.c, config_read.c) ------------------------------------------- */

enum { POOLS_MAX = 64, PATH_TEXT_MAX = 160 };

/* One value of every row; a section uses the rows of its scope. */
struct section {
    struct value values[PARAMS];
};

struct sp_config {
    char *path;          /* the file, or NULL */
    char *folder;        /* absolute: where the file's relative paths start, or NULL */
    char *here;          /* the working directory when it was read, or NULL */
    struct section base; /* the table's defaults, all of them */
    struct section top;
    struct section defaults;
    struct section *pools;
    size_t pools_count;
    sp_pit_options options;
    sp_sessions_options sessions;
    sp_service_options service;
    int has_one_pool; /* the file has no `pools`: its keys may stand at the top */
    sp_pool_options *pool_options; /* pools_count of them */
};

/* Keep the stronger of two values. Takes `value`. */
void sp__config_lay(struct section *section, int id, struct value *value,
                    enum config_source source);

/* The value in force for a pool, or for the pit when `pool` is NULL. */
const struct value *sp__config_in_force(const sp_config *config,
                                        const struct section *pool, int id);
const char *sp__config_pool_name(const sp_config *config, size_t index);
/* The runtime of a pool: as given, or as the adapter's file name says. */
const char *sp__config_runtime(const sp_config *config, const struct section *pool);

/* Fill the sections from a tree (NULL: an empty file); allocates the pools. */
int sp__config_read_tree(sp_config *config, const struct node *root, const char *file,
                         sp_error *err) SP_MUST_CHECK;
int sp__config_read_environment(sp_config *config, sp_error *err) SP_MUST_CHECK;

/* What concerns several values at once. */
int sp__config_check(const sp_config *config, const char *file,
                     sp_error *err) SP_MUST_CHECK;

/* The error for a key that is not in the table. `prefix` is the part of the key above
 * `node`: "" or "queue." */
int sp__config_unknown_key(enum config_scope scope, const char *prefix,
                           const struct node *node, const struct place *place,
                           sp_error *err);

/* --- Numbers (config_numbers.c) -------------------------------------------------- */

/* For the kinds up to KIND_SIZE, and the values of DURATIONS. */
int sp__config_number_read(const struct param *param, const struct node *node,
                           const struct place *place, uint64_t *ret_number,
                           sp_error *err) SP_MUST_CHECK;

/* As it would stand in a file: "90s", "128MiB", "never". */
void sp__config_number_show(const struct param *param, uint64_t value, char *ret_text,
                            size_t max);

/* What the kind wants: "a duration such as 30s". */
const char *sp__config_number_name(enum config_kind kind);

/* The range of a row as text, "1..1000"; "" when it has none. */
void sp__config_range_text(const struct param *param, char *ret_text, size_t max);

#endif
