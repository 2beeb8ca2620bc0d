/* SPDX-License-Identifier: MIT */
/*
 * The command line of the daemon: few options, each in its long form, "--name VALUE" or
 * "--name=VALUE". Those that are keys of the configuration go there.
 */
#include <stdio.h>
#include <string.h>

#include "daemon.h"

static const struct {
    const char *name;
    const char *value; /* what it takes, NULL: nothing */
    const char *key;   /* the configuration's, or NULL */
    const char *text;
} options[] = {
    {"--config", "FILE", NULL, "configuration, else it is searched for"},
    {"--set", "KEY=VALUE", NULL, "override a setting, such as pool.size=4"},
    {"--instance", "NAME", "instance", "name of this daemon among others"},
    {"--socket", "PATH", "listen.socket", "where to listen"},
    {"--log-level", "LEVEL", "log.level", "error, warn, info or debug"},
    {"--log-format", "FORMAT", "log.format", "logfmt, json, journal or text"},
    {"--check", NULL, NULL, "read the configuration, say what it means, end"},
    {"--help", NULL, NULL, "this text"},
    {"--version", NULL, NULL, "print the version"},
};
enum { OPTIONS = sizeof options / sizeof options[0] };

static void help(void)
{
    (void)printf("snakepitd - serve pools of workers to other programs\n\n"
                 "usage: snakepitd [options]\n\n");
    for (size_t i = 0; i < OPTIONS; i++) {
        (void)printf("  %-13s %-10s %s\n", options[i].name,
                     options[i].value != NULL ? options[i].value : "", options[i].text);
    }
    (void)printf(
        "\n"
        "Try it:\n"
        "  snakepitd --set pool.adapter=showcase --socket \"$PWD/pit/sock\"\n"
        "and from another terminal, with any gRPC client, "
        "snakepit.bridge.BridgeService/ExecuteTool on unix:$PWD/pit/sock.\n\n"
        "SIGTERM ends it in good order within shutdown.timeout, a second one at "
        "once.\n"
        "Exit: 0 in good order, 1 calls were cut off, 2 usage, 3 it could not "
        "start,\n"
        "70 it hung, 78 the configuration is wrong.\n"
        "More: man snakepitd, man snakepit.yaml, `snakepit config explain`.\n");
}

static int mistake(const char *format, ...) SP_PRINTF(1, 2);

static int mistake(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "snakepitd: ");
    (void)vfprintf(stderr, format, args);
    (void)fprintf(stderr, "; `snakepitd --help` lists the options\n");
    va_end(args);
    return CODE_USAGE;
}

static int add_set(struct settings *settings, const char *key, const char *value)
{
    if (settings->sets_count == SETS_MAX) {
        return mistake("more than 64 settings, at %s", key);
    }
    settings->keys[settings->sets_count] = key;
    settings->values[settings->sets_count++] = value;
    return CODE_OK;
}

/* KEY=VALUE, cut in place: argv is the program's to change. */
static int split_set(struct settings *settings, char *text)
{
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        return mistake("--set takes KEY=VALUE, not \"%s\"", text);
    }
    *equals = '\0';
    return add_set(settings, text, equals + 1);
}

static int take(struct settings *settings, size_t which, char *value)
{
    const char *name = options[which].name;
    if (options[which].key != NULL) {
        return add_set(settings, options[which].key, value);
    }
    if (strcmp(name, "--set") == 0) {
        return split_set(settings, value);
    }
    if (strcmp(name, "--config") == 0) {
        settings->config_path = value;
    } else if (strcmp(name, "--check") == 0) {
        settings->check = 1;
    } else if (strcmp(name, "--help") == 0) {
        help();
        settings->done = 1;
    } else {
        (void)printf("snakepitd %s\n", sp_version());
        settings->done = 1;
    }
    return CODE_OK;
}

static size_t find(const char *argument, size_t length)
{
    size_t i = 0;
    while (i < OPTIONS && (strlen(options[i].name) != length ||
                           memcmp(options[i].name, argument, length) != 0)) {
        i++;
    }
    return i;
}

int options_parse(struct settings *settings, int argc, char **argv)
{
    int code = CODE_OK;
    for (int i = 1; i < argc && code == CODE_OK && !settings->done; i++) {
        char *equals = argv[i][0] == '-' ? strchr(argv[i], '=') : NULL;
        size_t length = equals != NULL ? (size_t)(equals - argv[i]) : strlen(argv[i]);
        size_t which = find(argv[i], length);
        if (which == OPTIONS) {
            return mistake("there is no option \"%s\"", argv[i]);
        }
        char *value = equals != NULL ? equals + 1 : NULL;
        if (options[which].value == NULL && value != NULL) {
            return mistake("%s takes no value", options[which].name);
        }
        if (options[which].value != NULL && value == NULL) {
            value = ++i < argc ? argv[i] : NULL;
            if (value == NULL) {
                return mistake("%s needs a value", options[which].name);
            }
        }
        code = take(settings, which, value);
    }
    return code;
}
