/* SPDX-License-Identifier: MIT */
/*
 * YAML text to a tree of nodes that know their line and column.
 *
 * libyaml's event interface does the reading; this file keeps what a configuration
 * needs and refuses the rest: anchors, aliases, tags, merge keys and second documents
 * (the ways in which a small file becomes a large value, or a value becomes something
 * other than it looks), keys that stand twice, and trees that are too deep or too big.
 *
 * The bytes are checked to be UTF-8 without control characters before libyaml sees them,
 * because its own message about them has no line. Every failure is SP_ERR_CONFIG with
 * "name:line:column: " in front. libyaml allocates through malloc, not the library's
 * allocator; all of it is released before sp__config_tree_parse() returns.
 */
#include "pit/config.h"

#include <string.h>
#include <yaml.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/utf8.h"

enum {
    DEPTH_MAX = 16,    /* the schema needs 5 */
    NODES_MAX = 10000, /* a file of 250 pools with every key set has fewer */
    TEXT_BYTES_MAX = 64 * 1024
};

struct builder {
    yaml_parser_t parser;
    const char *name;
    const char *bytes; /* the text, to look at the place of a mistake */
    size_t bytes_count;
    sp_error *err;
    struct node *root;
    struct node *open[DEPTH_MAX]; /* maps and lists not ended yet */
    /* The key read for open[i], waiting for its value. */
    struct node keys[DEPTH_MAX];
    size_t depth;
    uint32_t nodes;
};

void sp__config_tree_free(struct node *node)
{
    /* Recursion is bounded by DEPTH_MAX. */
    while (node != NULL) {
        struct node *next = node->next;
        sp__config_tree_free(node->first);
        sp__free(node->text);
        sp__free(node->key);
        sp__free(node);
        node = next;
    }
}

static uint32_t mark_line(const yaml_mark_t *mark)
{
    return (uint32_t)mark->line + 1;
}

static uint32_t mark_column(const yaml_mark_t *mark)
{
    return (uint32_t)mark->column + 1;
}

static int refuse(struct builder *b, const yaml_mark_t *mark, const char *text)
{
    return sp__fail(b->err, SP_ERR_CONFIG, "%s:%u:%u: %s", b->name, mark_line(mark),
                    mark_column(mark), text);
}

/* --- The bytes ---------------------------------------------------------------------- */

/* The character when it is one that YAML 1.1 does not call printable, else 0x10ffff: C0
 * but for tab and line ends, DEL, C1 but for NEL, U+FFFE and U+FFFF. */
enum { PRINTABLE = 0x10ffff };

static unsigned control_at(const uint8_t *at)
{
    unsigned c = at[0];
    if ((c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) {
        return c;
    }
    if (c == 0xc2 && at[1] < 0xa0 && at[1] != 0x85) {
        return at[1];
    }
    if (c == 0xef && at[1] == 0xbf && at[2] >= 0xbe) {
        return 0xff00u + at[2] + 0x40u;
    }
    return PRINTABLE;
}

static int check_bytes(sp_bytes yaml, const char *name, sp_error *err)
{
    if (yaml.size > CONFIG_BYTES_MAX) {
        return sp__fail(err, SP_ERR_CONFIG,
                        "%s: larger than 1 MiB, the limit of a configuration", name);
    }
    const uint8_t *at = yaml.data;
    uint32_t line = 1;
    uint32_t column = 1;
    for (size_t i = 0; i < yaml.size;) {
        size_t length = sp__utf8_size(at + i, yaml.size - i);
        if (length == 0) {
            return sp__fail(err, SP_ERR_CONFIG, "%s:%u:%u: byte 0x%02x is not UTF-8",
                            name, line, column, at[i]);
        }
        unsigned control = control_at(at + i);
        if (control != PRINTABLE) {
            return sp__fail(err, SP_ERR_CONFIG,
                            "%s:%u:%u: the control character U+%04X", name, line,
                            column, control);
        }
        column++;
        if (at[i] == '\n') {
            line++;
            column = 1;
        }
        i += length;
    }
    return 0;
}

/* --- Building ----------------------------------------------------------------------- */

static int new_node(struct builder *b, enum node_kind kind, const yaml_mark_t *mark,
                    struct node **ret_node)
{
    if (b->nodes == NODES_MAX) {
        return refuse(b, mark, "more than 10000 values, the limit of a configuration");
    }
    struct node *node = sp__calloc(1, sizeof *node);
    if (node == NULL) {
        return sp__fail(b->err, SP_ERR_NOMEM, "no memory for the configuration");
    }
    b->nodes++;
    node->kind = kind;
    node->line = mark_line(mark);
    node->column = mark_column(mark);
    *ret_node = node;
    return 0;
}

/* Put a node where it belongs and, when it has children, open it. Takes the node. */
static int place_node(struct builder *b, struct node *node, const yaml_mark_t *mark)
{
    if (b->depth == 0) {
        b->root = node;
    } else {
        struct node *parent = b->open[b->depth - 1];
        if (parent->kind == NODE_MAP) {
            struct node *key = &b->keys[b->depth - 1];
            node->key = key->key;
            node->key_line = key->key_line;
            node->key_column = key->key_column;
            *key = (struct node){0};
        }
        if (parent->last != NULL) {
            parent->last->next = node;
        } else {
            parent->first = node;
        }
        parent->last = node;
        parent->count++;
    }
    if (node->kind == NODE_SCALAR) {
        return 0;
    }
    if (b->depth == DEPTH_MAX) {
        return refuse(b, mark, "nested deeper than 16 levels");
    }
    b->open[b->depth++] = node;
    return 0;
}

/* The map that now expects a key, NULL when a value is expected. */
static struct node *map_without_key(struct builder *b)
{
    if (b->depth == 0) {
        return NULL;
    }
    struct node *parent = b->open[b->depth - 1];
    return parent->kind == NODE_MAP && b->keys[b->depth - 1].key == NULL ? parent
                                                                         : NULL;
}

static int on_key(struct builder *b, const struct node *map, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    const yaml_mark_t *mark = &event->start_mark;
    for (const struct node *child = map->first; child != NULL; child = child->next) {
        if (strcmp(child->key, text) == 0) {
            return sp__fail(b->err, SP_ERR_CONFIG,
                            "%s:%u:%u: key \"%.80s\" stands twice (first on line %u)",
                            b->name, mark_line(mark), mark_column(mark), text,
                            child->key_line);
        }
    }
    struct node *key = &b->keys[b->depth - 1];
    key->key = sp__strdup(text);
    if (key->key == NULL) {
        return sp__fail(b->err, SP_ERR_NOMEM, "no memory for the configuration");
    }
    key->key_line = mark_line(mark);
    key->key_column = mark_column(mark);
    return 0;
}

static int on_scalar(struct builder *b, const yaml_event_t *event)
{
    const yaml_mark_t *mark = &event->start_mark;
    const char *text = (const char *)event->data.scalar.value;
    if (event->data.scalar.anchor != NULL) {
        return refuse(b, mark, "anchors (&name) are not supported");
    }
    if (event->data.scalar.tag != NULL) {
        return refuse(b, mark, "tags (!name) are not supported");
    }
    if (strlen(text) != event->data.scalar.length) {
        return refuse(b, mark, "text with a NUL character");
    }
    if (event->data.scalar.length > TEXT_BYTES_MAX) {
        return refuse(b, mark, "text longer than 64 KiB");
    }
    const struct node *map = map_without_key(b);
    if (map != NULL) {
        return on_key(b, map, event);
    }
    struct node *node;
    int rc = new_node(b, NODE_SCALAR, mark, &node);
    if (rc < 0) {
        return rc;
    }
    node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text = sp__strdup(text);
    if (node->text == NULL) {
        sp__config_tree_free(node);
        return sp__fail(b->err, SP_ERR_NOMEM, "no memory for the configuration");
    }
    return place_node(b, node, mark);
}

static int on_collection(struct builder *b, const yaml_event_t *event)
{
    const yaml_mark_t *mark = &event->start_mark;
    int is_map = event->type == YAML_MAPPING_START_EVENT;
    if ((is_map ? event->data.mapping_start.anchor
                : event->data.sequence_start.anchor) != NULL) {
        return refuse(b, mark, "anchors (&name) are not supported");
    }
    if ((is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag) !=
        NULL) {
        return refuse(b, mark, "tags (!name) are not supported");
    }
    if (map_without_key(b) != NULL) {
        return refuse(b, mark,
                      is_map ? "a map as key; keys are texts"
                             : "a list as key; keys are texts");
    }
    struct node *node;
    int rc = new_node(b, is_map ? NODE_MAP : NODE_LIST, mark, &node);
    return rc < 0 ? rc : place_node(b, node, mark);
}

/* Returns 1 at the end of the text, 0 to go on. */
static int on_event(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return on_collection(b, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return 0;
    case YAML_ALIAS_EVENT:
        return refuse(b, &event->start_mark, "aliases (*name) are not supported");
    case YAML_DOCUMENT_START_EVENT:
        if (b->root != NULL) {
            return refuse(b, &event->start_mark,
                          "a second document; a configuration is one");
        }
        return 0;
    case YAML_STREAM_END_EVENT:
        return 1;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    }
    return 0;
}

/* --- libyaml's own complaints ------------------------------------------------------- */

/* Whether a tab stands where libyaml stopped. Its index counts characters, not bytes. */
static int stopped_at_tab(const struct builder *b)
{
    size_t i = 0;
    for (size_t n = 0; n < b->parser.problem_mark.index && i < b->bytes_count; n++) {
        i += sp__utf8_size(b->bytes + i, b->bytes_count - i);
    }
    return i < b->bytes_count && b->bytes[i] == '\t';
}

static int report(struct builder *b)
{
    const yaml_parser_t *parser = &b->parser;
    const yaml_mark_t *mark = &parser->problem_mark;
    if (parser->error == YAML_MEMORY_ERROR) {
        return sp__fail(b->err, SP_ERR_NOMEM, "no memory for the configuration");
    }
    if (parser->problem == NULL) {
        return sp__fail(b->err, SP_ERR_CONFIG, "%s: not YAML", b->name);
    }
    if (stopped_at_tab(b)) {
        return refuse(b, mark, "a tab character; YAML is indented with spaces");
    }
    if (parser->context == NULL) {
        return refuse(b, mark, parser->problem);
    }
    return sp__fail(b->err, SP_ERR_CONFIG, "%s:%u:%u: %s (%s, begun on line %u)",
                    b->name, mark_line(mark), mark_column(mark), parser->problem,
                    parser->context, mark_line(&parser->context_mark));
}

int sp__config_tree_parse(sp_bytes yaml, const char *name, struct node **ret_root,
                          sp_error *err)
{
    int rc = check_bytes(yaml, name, err);
    if (rc < 0) {
        return rc;
    }
    struct builder b = {
        .name = name, .bytes = yaml.data, .bytes_count = yaml.size, .err = err};
    if (!yaml_parser_initialize(&b.parser)) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the configuration");
    }
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(
        &b.parser, (const unsigned char *)(yaml.data != NULL ? yaml.data : ""),
        yaml.size);

    rc = 0;
    while (rc == 0) {
        yaml_event_t event;
        if (!yaml_parser_parse(&b.parser, &event)) {
            rc = report(&b);
            break;
        }
        rc = on_event(&b, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&b.parser);
    for (size_t i = 0; i < DEPTH_MAX; i++) {
        sp__free(b.keys[i].key);
    }
    if (rc < 0) {
        sp__config_tree_free(b.root);
        return rc;
    }
    *ret_root = b.root;
    return 0;
}
