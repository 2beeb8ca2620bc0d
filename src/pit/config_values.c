/* SPDX-License-Identifier: MIT */
/*
 * Text to values and back: words, paths, lists and maps; numbers are next door in
 * config_numbers.c.
 *
 * sp__config_value_read() takes a node of the YAML tree and a row of the table, checks
 * the node against the row and gives a value that owns all it needs. The value of an
 * environment variable or of a flag comes the same way: its text becomes a scalar node,
 * or, where the row wants a list or a map, is read as YAML first.
 *
 * Every value also carries the text that would stand for it in a file, so that
 * `config show` prints what could be pasted back. Failure is SP_ERR_CONFIG with place,
 * key, what stood there and what may stand there.
 */
#include "pit/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "worker/language.h"

enum { SHOWN_MAX = 256 * 1024 };

void sp__config_value_clear(struct value *value)
{
    sp__free(value->text);
    sp__free(value->shown);
    sp__free(value->timeouts);
    if (value->items != NULL) {
        for (char **item = value->items; *item != NULL; item++) {
            sp__free(*item);
        }
        sp__free(value->items);
    }
    *value = (struct value){0};
}

int sp__config_complain(const struct place *place, const struct node *node,
                        sp_error *err, const char *format, ...)
{
    char what[SP_ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (place->file == NULL || node == NULL) {
        return sp__fail(err, SP_ERR_CONFIG, "%s: %s", place->path, what);
    }
    return sp__fail(err, SP_ERR_CONFIG, "%s:%u:%u: %s%s%s", place->file, node->line,
                    node->column, place->path, place->path[0] != '\0' ? ": " : "",
                    what);
}

static int no_memory(sp_error *err)
{
    return sp__fail(err, SP_ERR_NOMEM, "no memory for the configuration");
}

/* --- Texts -------------------------------------------------------------------------- */

/* Whether a text may stand in a file without quotes and mean itself. */
static int can_be_plain(const char *text)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789_./+@%=-:";
    size_t length = strlen(text);
    return length > 0 && strspn(text, safe) == length && text[0] != '-' &&
           text[0] != '@' && text[0] != '%' && text[0] != '=' && text[0] != ':' &&
           text[length - 1] != ':' && strcmp(text, "null") != 0;
}

static int show_text(struct sp_buffer *out, const char *text, sp_error *err)
{
    if (can_be_plain(text)) {
        return sp__buf_append(out, text, strlen(text), err);
    }
    int rc = sp__buf_append(out, "\"", 1, err);
    for (const char *c = text; rc == 0 && *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            rc = sp__buf_printf(out, err, "\\%c", *c);
        } else if ((unsigned char)*c < ' ') {
            rc = sp__buf_printf(out, err, "\\x%02x", (unsigned)(unsigned char)*c);
        } else {
            rc = sp__buf_append(out, c, 1, err);
        }
    }
    return rc < 0 ? rc : sp__buf_append(out, "\"", 1, err);
}

/* Give the text in `out` to value->shown. */
static int take_shown(struct sp_buffer *out, struct value *value, sp_error *err)
{
    uint8_t *data;
    size_t size;
    int rc = sp__buf_append(out, "", 1, err);
    if (rc < 0) {
        return rc;
    }
    sp__buf_take(out, &data, &size);
    value->shown = (char *)data;
    return 0;
}

static int show(const struct param *param, struct value *value, sp_error *err)
{
    struct sp_buffer out;
    int rc = 0;
    sp__buf_init(&out, SHOWN_MAX);
    if (param->kind <= KIND_SIZE) {
        char number[24];
        sp__config_number_show(param, value->number, number, sizeof number);
        rc = sp__buf_append(&out, number, strlen(number), err);
    } else if (value->items == NULL) {
        rc = show_text(&out, value->text, err);
    } else {
        int is_map = param->kind == KIND_VARIABLES || param->kind == KIND_DURATIONS;
        rc = sp__buf_append(&out, is_map ? "{" : "[", 1, err);
        for (size_t i = 0; rc == 0 && value->items[i] != NULL; i++) {
            char *item = value->items[i];
            char *equals = param->kind == KIND_VARIABLES ? strchr(item, '=') : NULL;
            if (i > 0) {
                rc = sp__buf_append(&out, ", ", 2, err);
            }
            if (rc == 0 && equals != NULL) {
                rc = sp__buf_printf(&out, err, "%.*s: ", (int)(equals - item), item);
                item = equals + 1;
            }
            rc = rc < 0 ? rc : show_text(&out, item, err);
            if (rc == 0 && param->kind == KIND_DURATIONS) {
                char number[24];
                sp__config_number_show(param, value->timeouts[i].timeout_ms, number,
                                       sizeof number);
                rc = sp__buf_printf(&out, err, ": %s", number);
            }
        }
        rc = rc < 0 ? rc : sp__buf_append(&out, is_map ? "}" : "]", 1, err);
    }
    rc = rc < 0 ? rc : take_shown(&out, value, err);
    sp__buf_fini(&out);
    return rc;
}

static int check_length(const struct param *param, const struct node *node,
                        const struct place *place, sp_error *err)
{
    size_t length = strlen(node->text);
    if (length == 0 && param->min > 0) {
        return sp__config_complain(place, node, err, "the text is empty");
    }
    if (length > param->max) {
        return sp__config_complain(place, node, err,
                                   "%zu bytes long, the limit is %llu", length,
                                   (unsigned long long)param->max);
    }
    return 0;
}

static int is_name(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789._-") == strlen(text);
}

/* An environment variable's name (POSIX, 8.1). */
static int is_variable(const char *text)
{
    return (text[0] < '0' || text[0] > '9') && text[0] != '\0' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_") == strlen(text);
}

/* *ret_index: which of the words it is. */
static int check_choice(const struct param *param, const struct node *node,
                        const struct place *place, uint64_t *ret_index, sp_error *err)
{
    char buffer[128];
    const char *words[8];
    size_t count = 0;
    (void)snprintf(buffer, sizeof buffer, "%s", param->words);
    for (char *rest = buffer, *word; (word = strsep(&rest, "|")) != NULL;) {
        if (strcmp(word, node->text) == 0) {
            *ret_index = count;
            return 0;
        }
        words[count++] = word;
    }
    char list[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                 i == 0           ? ""
                                 : i + 1 == count ? " or "
                                                  : ", ",
                                 words[i]);
    }
    const char *near = sp__config_nearest(node->text, words, count);
    if (near != NULL && count > 1) {
        return sp__config_complain(place, node, err,
                                   "expected %s, not \"%.60s\"; did you mean \"%s\"?",
                                   list, node->text, near);
    }
    return sp__config_complain(place, node, err, "expected %s, not \"%.60s\"", list,
                               node->text);
}

/* Whether an adapter names a file: "dir/x", "x.js", "x.py:Class". */
static int is_adapter_file(const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t length = colon != NULL ? (size_t)(colon - text) : strlen(text);
    return memchr(text, '/', length) != NULL || sp__language_of_file(text) != NULL;
}

/* The text as an absolute path where it is a relative one. NULL: no memory. */
static char *resolve(enum config_kind kind, const char *text, const struct place *place)
{
    int is_path = kind == KIND_PATH || strchr(text, '/') != NULL;
    if (kind == KIND_ADAPTER) {
        is_path = is_adapter_file(text);
    }
    const char *folder = place->folder;
    const char *home = getenv("HOME");
    if (strncmp(text, "~/", 2) == 0 && home != NULL) {
        folder = home;
        text += 2;
    } else if (!is_path || text[0] == '/' || folder == NULL) {
        return sp__strdup(text);
    }
    while (strncmp(text, "./", 2) == 0) {
        text += 2;
    }
    size_t bytes = strlen(folder) + strlen(text) + 2;
    char *path = sp__malloc(bytes);
    if (path != NULL) {
        (void)snprintf(path, bytes, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder,
                       text);
    }
    return path;
}

static int read_text(const struct param *param, const struct node *node,
                     const struct place *place, struct value *value, sp_error *err)
{
    int rc = 0;
    if (param->kind != KIND_CONSTANT) {
        rc = check_length(param, node, place, err);
    }
    if (rc < 0) {
        return rc;
    }
    if (param->kind == KIND_NAME && !is_name(node->text)) {
        return sp__config_complain(
            place, node, err,
            "\"%.64s\" may have letters, digits, '.', '_' and '-' only", node->text);
    }
    if (param->words[0] != '\0') {
        uint64_t index = 0;
        rc = check_choice(param, node, place, &index, err);
        if (rc < 0) {
            return rc;
        }
        value->number = param->min + index;
    }
    int is_path = param->kind == KIND_PATH || param->kind == KIND_PROGRAM ||
                  param->kind == KIND_ADAPTER;
    value->text =
        is_path ? resolve(param->kind, node->text, place) : sp__strdup(node->text);
    return value->text != NULL ? 0 : no_memory(err);
}

/* --- Lists and maps ----------------------------------------------------------------- */

/* Text into words, as a shell does it with quotes and backslashes, without expanding
 * anything. Appends scalar nodes to `list`. */
static int split_words(const struct node *node, const struct place *place,
                       struct node *list, sp_error *err)
{
    const char *c = node->text;
    for (;;) {
        c += strspn(c, " \t\n");
        if (*c == '\0') {
            return 0;
        }
        struct node *word = sp__calloc(1, sizeof *word);
        if (word == NULL) {
            return no_memory(err);
        }
        *(list->last != NULL ? &list->last->next : &list->first) = word;
        list->last = word;
        list->count++;
        *word = (struct node){
            .kind = NODE_SCALAR, .line = node->line, .column = node->column};
        word->text = sp__malloc(strlen(c) + 1);
        if (word->text == NULL) {
            return no_memory(err);
        }
        char quote = '\0';
        char *to = word->text;
        for (; *c != '\0' && (quote != '\0' || strchr(" \t\n", *c) == NULL); c++) {
            if (quote == '\0' && (*c == '"' || *c == '\'')) {
                quote = *c;
            } else if (quote != '\0' && *c == quote) {
                quote = '\0';
            } else {
                if (*c == '\\' && quote != '\'' && c[1] != '\0') {
                    c++;
                }
                *to++ = *c;
            }
        }
        *to = '\0';
        if (quote != '\0') {
            return sp__config_complain(place, node, err, "a quote (%c) is not closed",
                                       quote);
        }
    }
}

static const char *node_name(const struct node *node)
{
    return node->kind == NODE_MAP    ? "a map"
           : node->kind == NODE_LIST ? "a list"
                                     : "text";
}

/* The place of one child: "pools[0].args[2]" or "pools[0].env.set.HOME". */
struct child_place {
    struct place place;
    char path[256];
};

static const struct place *child_place(struct child_place *child,
                                       const struct place *place,
                                       const struct node *node, size_t index)
{
    child->place = *place;
    child->place.path = child->path;
    if (node->key != NULL) {
        (void)snprintf(child->path, sizeof child->path, "%s.%.80s", place->path,
                       node->key);
    } else {
        (void)snprintf(child->path, sizeof child->path, "%s[%zu]", place->path, index);
    }
    return &child->place;
}

static int is_null(const struct node *node)
{
    return node->kind == NODE_SCALAR && node->is_plain &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
            strcasecmp(node->text, "null") == 0);
}

/* One child of a list or map into value->items[index]. */
static int read_item(const struct param *param, const struct node *node, size_t index,
                     const struct place *place, struct value *value, sp_error *err)
{
    const char *what =
        param->kind == KIND_DURATIONS ? sp__config_number_name(param->kind) : "text";
    if (node->kind != NODE_SCALAR) {
        return sp__config_complain(place, node, err, "expected %s, not %s", what,
                                   node_name(node));
    }
    if (param->kind != KIND_VARIABLES && is_null(node)) {
        return sp__config_complain(place, node, err, "has no value; expected %s", what);
    }
    const char *name = node->key != NULL ? node->key : node->text;
    int are_variables =
        param->kind == KIND_VARIABLES || param->kind == KIND_VARIABLE_NAMES;
    if (are_variables && !is_variable(name)) {
        return sp__config_complain(place, node, err,
                                   "\"%.60s\" is not a variable's name", name);
    }
    if (param->kind == KIND_DURATIONS) {
        int rc = sp__config_number_read(param, node, place,
                                        &value->timeouts[index].timeout_ms, err);
        if (rc < 0) {
            return rc;
        }
    } else {
        int rc = check_length(param, node, place, err);
        if (rc < 0) {
            return rc;
        }
    }
    char **item = &value->items[index];
    if (param->kind == KIND_VARIABLES) {
        size_t bytes = strlen(node->key) + strlen(node->text) + 2;
        *item = sp__malloc(bytes);
        if (*item != NULL) {
            (void)snprintf(*item, bytes, "%s=%s", node->key, node->text);
        }
    } else if (param->kind == KIND_DURATIONS) {
        *item = sp__strdup(node->key);
        value->timeouts[index].command = *item;
    } else if (param->kind == KIND_COMMAND && index == 0) {
        if (node->text[0] == '\0') {
            return sp__config_complain(place, node, err, "the text is empty");
        }
        *item = resolve(KIND_PROGRAM, node->text, place);
    } else {
        *item = sp__strdup(node->text);
    }
    return *item != NULL ? 0 : no_memory(err);
}

static int read_children(const struct param *param, const struct node *node,
                         const struct place *place, struct value *value, sp_error *err)
{
    value->items = sp__calloc((size_t)node->count + 1, sizeof *value->items);
    if (value->items == NULL) {
        return no_memory(err);
    }
    if (param->kind == KIND_DURATIONS) {
        value->timeouts = sp__calloc((size_t)node->count + 1, sizeof *value->timeouts);
        if (value->timeouts == NULL) {
            return no_memory(err);
        }
    }
    if (param->kind == KIND_COMMAND && node->count == 0) {
        return sp__config_complain(place, node, err, "the command is empty");
    }
    size_t index = 0;
    for (const struct node *item = node->first; item != NULL; item = item->next) {
        struct child_place child;
        int rc = read_item(param, item, index, child_place(&child, place, item, index),
                           value, err);
        if (rc < 0) {
            return rc;
        }
        index++;
    }
    value->number = index;
    return 0;
}

static int read_words(const struct param *param, const struct node *node,
                      const struct place *place, struct value *value, sp_error *err)
{
    struct node list = {.kind = NODE_LIST, .line = node->line, .column = node->column};
    int rc = split_words(node, place, &list, err);
    if (rc == 0) {
        rc = read_children(param, &list, place, value, err);
    }
    sp__config_tree_free(list.first);
    return rc;
}

static const char *wanted(enum config_kind kind)
{
    switch (kind) {
    case KIND_COUNT:
    case KIND_SHARE:
    case KIND_MASK:
    case KIND_COUNT_ANY:
    case KIND_DURATION:
    case KIND_DURATION_ANY:
    case KIND_SIZE_ANY:
    case KIND_SIZE:
        return sp__config_number_name(kind);
    case KIND_NAME:
        return "a name";
    case KIND_CHOICE:
    case KIND_CONSTANT:
        return "a word";
    case KIND_PATH:
    case KIND_PROGRAM:
        return "a path";
    case KIND_TEXT:
    case KIND_ADAPTER:
        return "text";
    case KIND_LIST:
        return "a list of texts";
    case KIND_WORDS:
    case KIND_COMMAND:
        return "a list of texts or one text";
    case KIND_VARIABLE_NAMES:
        return "a list of variable names";
    case KIND_VARIABLES:
        return "a map from variable to text";
    case KIND_DURATIONS:
        return "a map from tool to duration";
    }
    return "";
}

static enum node_kind kind_of_node(enum config_kind kind)
{
    switch (kind) {
    case KIND_LIST:
    case KIND_WORDS:
    case KIND_COMMAND:
    case KIND_VARIABLE_NAMES:
        return NODE_LIST;
    case KIND_VARIABLES:
    case KIND_DURATIONS:
        return NODE_MAP;
    case KIND_COUNT:
    case KIND_SHARE:
    case KIND_MASK:
    case KIND_COUNT_ANY:
    case KIND_DURATION:
    case KIND_DURATION_ANY:
    case KIND_SIZE_ANY:
    case KIND_SIZE:
    case KIND_NAME:
    case KIND_TEXT:
    case KIND_CHOICE:
    case KIND_CONSTANT:
    case KIND_PATH:
    case KIND_PROGRAM:
    case KIND_ADAPTER:
        return NODE_SCALAR;
    }
    return NODE_SCALAR;
}

int sp__config_value_read(const struct param *param, const struct node *node,
                          const struct place *place, struct value *ret_value,
                          sp_error *err)
{
    enum node_kind kind = kind_of_node(param->kind);
    int can_split = param->kind == KIND_WORDS || param->kind == KIND_COMMAND;
    if (is_null(node)) {
        return sp__config_complain(place, node, err,
                                   "has no value; expected %s, or no such line",
                                   wanted(param->kind));
    }
    if (node->kind != kind && !(can_split && node->kind == NODE_SCALAR)) {
        return sp__config_complain(place, node, err, "expected %s, not %s",
                                   wanted(param->kind), node_name(node));
    }
    struct value value = {0};
    int rc;
    if (kind != NODE_SCALAR) {
        rc = node->kind == NODE_SCALAR ? read_words(param, node, place, &value, err)
                                       : read_children(param, node, place, &value, err);
    } else if (param->kind <= KIND_SIZE) {
        rc = sp__config_number_read(param, node, place, &value.number, err);
    } else {
        rc = read_text(param, node, place, &value, err);
    }
    if (rc == 0) {
        value.line = node->line;
        value.column = node->column;
        rc = show(param, &value, err);
    }
    if (rc < 0) {
        sp__config_value_clear(&value);
        return rc;
    }
    *ret_value = value;
    return 0;
}

/* Whether the text of a flag is to be read as in a file: a list, a map, or a text in the
 * quotes that show_text() gives it. Any other text means itself. */
static int is_yaml(const struct param *param, const char *text)
{
    size_t length = strlen(text);
    if (kind_of_node(param->kind) != NODE_SCALAR &&
        (text[0] == '[' || text[0] == '{')) {
        return 1;
    }
    return length > 1 && text[0] == '"' && text[length - 1] == '"';
}

int sp__config_value_read_text(const struct param *param, const char *text,
                               const struct place *place, struct value *ret_value,
                               sp_error *err)
{
    if (is_yaml(param, text)) {
        struct node *root = NULL;
        int rc = sp__config_tree_parse(sp_text(text), place->path, &root, err);
        if (rc == 0) {
            rc = sp__config_value_read(param, root, place, ret_value, err);
        }
        sp__config_tree_free(root);
        return rc;
    }
    struct node node = {.kind = NODE_SCALAR, .is_plain = 1};
    node.text = sp__strdup(text);
    if (node.text == NULL) {
        return no_memory(err);
    }
    int rc = sp__config_value_read(param, &node, place, ret_value, err);
    sp__free(node.text);
    return rc;
}

int sp__config_value_from_number(const struct param *param, uint64_t number,
                                 struct value *ret_value, sp_error *err)
{
    struct value value = {.number = number};
    int rc = show(param, &value, err);
    if (rc == 0) {
        *ret_value = value;
    }
    return rc;
}
