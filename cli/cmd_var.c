/* SPDX-License-Identifier: MIT */
/*
 * var: the table of its verbs. Values are in var_values.c, versions and locks in
 * var_versions.c, whole sets of variables in var_whole.c, watching in var_watch.c.
 */
#include "state.h"

#define BY_OPTION                                                          \
    {                                                                      \
        "by", 0, "WHO", OPTION_BY, "who makes the change, for the history" \
    }
#define OWNER_OPTION                                          \
    {                                                         \
        "owner", 0, "WHO", OPTION_OWNER, "who holds its lock" \
    }
#define EXPECT_OPTION                                    \
    {                                                    \
        "expect-version", 0, "N", OPTION_EXPECT_VERSION, \
            "only when this is its version"              \
    }
#define METADATA_OPTION                                               \
    {                                                                 \
        "metadata", 0, "JSON", OPTION_METADATA, "an object, or @file" \
    }

static const struct option_spec register_options[] = {
    {"constraints", 0, "JSON", OPTION_CONSTRAINTS, "an object, or @file"},
    METADATA_OPTION,
    BY_OPTION,
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec set_options[] = {
    EXPECT_OPTION,
    OWNER_OPTION,
    METADATA_OPTION,
    BY_OPTION,
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec delete_options[] = {
    EXPECT_OPTION,
    OWNER_OPTION,
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec rollback_options[] = {
    EXPECT_OPTION,
    OWNER_OPTION,
    BY_OPTION,
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec owner_options[] = {
    OWNER_OPTION,
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec unlock_options[] = {
    OWNER_OPTION,
    {"force", 'f', NULL, OPTION_FORCE, "whoever holds it"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec list_options[] = {
    {"pattern", 0, "GLOB", OPTION_PATTERN, "names that fit, such as 'lr_*'"},
    {"names", 0, NULL, OPTION_NAMES, "names only, one on a line"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec history_options[] = {
    {"count", 'n', "N", OPTION_COUNT, "the newest N versions"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec depend_options[] = {
    {"kind", 0, "WORD", OPTION_KIND, "sort of dependency, \"data\" else"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec watch_options[] = {
    {"count", 'n', "N", OPTION_COUNT, "stop after N changes"},
    {"timeout", 't', "TIME", OPTION_TIMEOUT, "stop after so long without one"},
    {"initial", 0, NULL, OPTION_INITIAL, "begin with the values as they are"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

const struct verb var_verbs[] = {
    {"delete", "SESSION NAME", "delete a variable with its history",
     "Example:\n  snakepit var delete alice temperature\n", delete_options, 2, 2,
     var_delete},
    {"depend", "SESSION [NAME [ON]]", "say or list what depends on what",
     "What would make a variable depend on itself is refused.\n"
     "\n"
     "Examples:\n"
     "  snakepit var depend alice loss temperature\n"
     "  snakepit var depend alice\n",
     depend_options, 1, 3, var_depend},
    {"export", "SESSION", "print all variables as a JSON array",
     "Example:\n  snakepit var export alice > alice.json\n", NULL, 1, 1, var_export},
    {"get", "SESSION NAME...", "print the value, or several with versions",
     "One value is printed as JSON on a line, with -o text without quotes, with -o\n"
     "table or -o json with all there is to know about it.\n"
     "\n"
     "Examples:\n"
     "  snakepit var get alice temperature\n"
     "  snakepit var get alice temperature -o json | jq .variable.version\n",
     NULL, 2, WORDS_MANY, var_get},
    {"history", "SESSION NAME", "list the kept versions, the newest first",
     "Example:\n  snakepit var history alice temperature --count 5\n", history_options,
     2, 2, var_history},
    {"import", "SESSION FILE", "register all of such an array, or none",
     "Examples:\n"
     "  snakepit var import bob alice.json\n"
     "  snakepit var export alice | snakepit var import bob -\n",
     NULL, 2, 2, var_import},
    {"list", "SESSION", "list the variables", "Example:\n  snakepit var list alice\n",
     list_options, 1, 1, var_list},
    {"lock", "SESSION NAME", "lock it for an optimiser",
     "Until it is unlocked only changes with this --owner are taken.\n"
     "\n"
     "Example:\n"
     "  snakepit var lock alice temperature --owner tuner-1\n",
     owner_options, 2, 2, var_lock},
    {"register", "SESSION NAME TYPE VALUE", "register a variable",
     "TYPE is float, integer, string, boolean, choice, module, embedding, tensor,\n"
     "list or map, or \"auto\" for the one that fits the value. VALUE is JSON when\n"
     "it is valid JSON, else text; - and @file are read.\n"
     "\n"
     "Examples:\n"
     "  snakepit var register alice temperature float 0.7 \\\n"
     "      --constraints '{\"min\": 0, \"max\": 2}'\n"
     "  snakepit var register alice model choice small \\\n"
     "      --constraints '{\"choices\": [\"small\", \"large\"]}'\n",
     register_options, 4, 4, var_register},
    {"rollback", "SESSION NAME VERSION", "make an earlier value the value again",
     "It becomes a new version.\n"
     "\n"
     "Example:\n"
     "  snakepit var rollback alice temperature 0\n",
     rollback_options, 3, 3, var_rollback},
    {"set", "SESSION NAME VALUE", "give a variable a new value",
     "Or several at once, all or none: SESSION NAME=VALUE... VALUE as in `snakepit\n"
     "var register`; what type and constraints do not take is refused.\n"
     "\n"
     "Examples:\n"
     "  snakepit var set alice temperature 0.9\n"
     "  snakepit var set alice temperature 0.9 --expect-version 3\n"
     "  snakepit var set alice temperature=0.9 model=large\n",
     set_options, 2, WORDS_MANY, var_set},
    {"unlock", "SESSION NAME", "end its lock",
     "Example:\n  snakepit var unlock alice temperature --owner tuner-1\n",
     unlock_options, 2, 2, var_unlock},
    {"watch", "SESSION [NAME...]", "print a line for each change",
     "Until Ctrl-C, --count or --timeout. Changes come in the order in which they\n"
     "are made.\n"
     "\n"
     "Examples:\n"
     "  snakepit var watch alice\n"
     "  snakepit var watch alice temperature -o jsonl --initial\n",
     watch_options, 1, WORDS_MANY, var_watch},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
