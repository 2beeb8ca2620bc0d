/* SPDX-License-Identifier: MIT */
/*
 * The words of a call to the JSON of its arguments.
 *
 *   a=5 b=hello       each value is JSON when it is valid JSON, else a text
 *   a:=5              the value must be JSON
 *   a=@file b:=@file  the value is the content of a file: as text, as JSON
 *   '{"a": 5}' '[5]'  the whole arguments, as they are
 *   - @file           the whole arguments, from standard input or a file
 *
 * Values that are JSON already are passed through as they were written, digit for digit:
 * a number of forty digits arrives in Python as it left the shell. What is malformed is
 * a usage error that names the word.
 */
#include "cli.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int is_json(const char *text, size_t size)
{
    json_error_t error;
    json_t *value =
        json_loadb(text, size, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
    json_decref(value);
    return value != NULL;
}

int add_json_string(struct text *out, const char *data, size_t size)
{
    json_t *value = json_stringn(data, size);
    if (value == NULL) {
        return -1;
    }
    char *dumped = need(json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT));
    text_add(out, dumped, strlen(dumped));
    free(dumped);
    json_decref(value);
    return 0;
}

/* One word of the form name=value, cut in place. */
struct argument {
    const char *name;
    const char *value;
    int must_be_json;
};

static int cut(char *word, struct argument *ret)
{
    char *equals = strchr(word, '=');
    if (equals == NULL || equals == word || (equals == word + 1 && word[0] == ':')) {
        if (is_json(word, strlen(word))) {
            return complain(CODE_USAGE,
                            "argument %s has no name; write name=%s, or a JSON array "
                            "for positional arguments: '[%s]'",
                            word, word, word);
        }
        return complain(CODE_USAGE,
                        "argument \"%s\" is neither name=value nor a JSON object or "
                        "array",
                        word);
    }
    *ret = (struct argument){.name = word, .value = equals + 1};
    if (equals[-1] == ':') {
        ret->must_be_json = 1;
        equals--;
    }
    *equals = '\0';
    return CODE_OK;
}

static int add_value(struct text *out, const struct argument *argument)
{
    struct text content = {0};
    const char *data = argument->value;
    size_t size = strlen(data);
    int is_file = data[0] == '@' && data[1] != '\0';
    int code = CODE_OK;
    if (is_file) {
        code = read_whole(data + 1, &content);
        data = text_c(&content);
        size = content.size;
    }
    if (code != CODE_OK) {
        text_free(&content);
        return code;
    }
    int can_be_json = argument->must_be_json || !is_file;
    if (can_be_json && is_json(data, size)) {
        text_add(out, data, size);
    } else if (argument->must_be_json) {
        code = complain(CODE_USAGE, "argument %s: not valid JSON: %.80s",
                        argument->name, data);
    } else if (add_json_string(out, data, size) != 0) {
        code =
            complain(CODE_USAGE, "argument %s: the text is not UTF-8", argument->name);
    }
    text_free(&content);
    return code;
}

static int build_object(char **words, int count, struct text *ret_json)
{
    text_add(ret_json, "{", 1);
    for (int i = 0; i < count; i++) {
        struct argument argument = {0};
        int code = cut(words[i], &argument);
        for (int j = 0; code == CODE_OK && j < i; j++) {
            /* Earlier words have been cut at the end of their names. */
            if (strcmp(words[j], argument.name) == 0) {
                code = complain(CODE_USAGE, "argument %s stands twice", argument.name);
            }
        }
        if (code != CODE_OK) {
            return code;
        }
        text_add(ret_json, ",", i > 0 ? 1 : 0);
        if (add_json_string(ret_json, argument.name, strlen(argument.name)) != 0) {
            return complain(CODE_USAGE, "an argument's name is not UTF-8");
        }
        text_add(ret_json, ":", 1);
        code = add_value(ret_json, &argument);
        if (code != CODE_OK) {
            return code;
        }
    }
    text_add(ret_json, "}", 1);
    return CODE_OK;
}

int arguments_build(char **words, int count, struct text *ret_json)
{
    if (count == 0) {
        text_add(ret_json, "{}", 2);
        return CODE_OK;
    }
    const char *first = words[0];
    int is_whole = first[0] == '{' || first[0] == '[' || first[0] == '@' ||
                   strcmp(first, "-") == 0;
    if (!is_whole) {
        return build_object(words, count, ret_json);
    }
    if (count > 1) {
        return complain(CODE_USAGE,
                        "\"%s\" stands for all arguments; nothing may follow (is the "
                        "JSON quoted?)",
                        first);
    }
    if (first[0] == '{' || first[0] == '[') {
        text_add(ret_json, first, strlen(first));
        return CODE_OK;
    }
    return read_whole(first[0] == '@' ? first + 1 : first, ret_json);
}

/* --- Lines of a script --------------------------------------------------------------- */

/* Cut one word at *at, quotes and backslashes removed. Returns -1 when a quote is open. */
static int cut_word(char **at)
{
    char *from = *at;
    char *to = *at;
    char quote = '\0';
    for (; *from != '\0' && (quote != '\0' || !isspace((unsigned char)*from)); from++) {
        if (quote == '\0' && (*from == '"' || *from == '\'')) {
            quote = *from;
        } else if (quote != '\0' && *from == quote) {
            quote = '\0';
        } else {
            if (*from == '\\' && quote != '\'' && from[1] != '\0') {
                from++;
            }
            *to++ = *from;
        }
    }
    int ends = *from == '\0';
    *to = '\0';
    *at = ends ? from : from + 1;
    return quote != '\0' ? -1 : 0;
}

int line_split(char *line, char **words, int max)
{
    int count = 0;
    char *at = line;
    for (;;) {
        while (isspace((unsigned char)*at)) {
            at++;
        }
        if (*at == '\0' || *at == '#' || count == max) {
            return count;
        }
        words[count++] = at;
        /* JSON needs no quotes on a line: it goes to the end. */
        if (count > 1 && (*at == '{' || *at == '[')) {
            return count;
        }
        if (cut_word(&at) != 0) {
            return -1;
        }
    }
}
