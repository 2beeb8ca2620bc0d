/* SPDX-License-Identifier: MIT */
/*
 * init and gen: files to start with, which work as they are written.
 *
 * Nothing that exists is replaced without --force, and everything is checked before the
 * first file is written, so a refusal leaves the folder as it was. What was written and
 * what to run next is talk; there is no data.
 */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* %1$s: the class, %2$s: the file. */
static const char adapter_text[] =
    "\"\"\"An adapter for snakepit: each @tool method can be called from outside.\n"
    "\n"
    "    snakepit tools -a %2$s\n"
    "    snakepit call -a %2$s hello name=Ada\n"
    "    snakepit stream -a %2$s countdown start=3\n"
    "\"\"\"\n"
    "\n"
    "import time\n"
    "\n"
    "from snakepit_bridge import BaseAdapter, tool\n"
    "\n"
    "\n"
    "class %1$s(BaseAdapter):\n"
    "    \"\"\"One object per worker process; what it remembers stays between "
    "calls.\"\"\"\n"
    "\n"
    "    def __init__(self):\n"
    "        super().__init__()\n"
    "        self.calls = 0\n"
    "\n"
    "    def initialize(self):\n"
    "        \"\"\"Runs once, before the first call: load models, open "
    "connections.\"\"\"\n"
    "\n"
    "    def cleanup(self):\n"
    "        \"\"\"Runs once, after the last call.\"\"\"\n"
    "\n"
    "    @tool\n"
    "    def hello(self, name: str, shout: bool = False):\n"
    "        \"\"\"Greet somebody. Type hints become the tool's parameters.\"\"\"\n"
    "        self.calls += 1\n"
    "        text = f\"Hello, {name}!\"\n"
    "        return {\"message\": text.upper() if shout else text, "
    "\"calls\": self.calls}\n"
    "\n"
    "    @tool\n"
    "    def mean(self, values: list):\n"
    "        \"\"\"Average some numbers. An exception reaches the caller as an "
    "error.\"\"\"\n"
    "        if not values:\n"
    "            raise ValueError(\"values must not be empty\")\n"
    "        return {\"mean\": sum(values) / len(values), \"count\": len(values)}\n"
    "\n"
    "    @tool\n"
    "    def countdown(self, start: int = 3, delay: float = 0.1):\n"
    "        \"\"\"Count down. A generator is a stream: each yield is a chunk.\"\"\"\n"
    "        for number in range(start, 0, -1):\n"
    "            yield {\"number\": number,\n"
    "                   \"progress_percent\": 100.0 * (start - number + 1) / start}\n"
    "            time.sleep(delay)\n";

static const char config_text[] =
    "# snakepit.yaml: checked by `snakepit config check`, explained by\n"
    "# `snakepit config explain KEY`, described in snakepit.yaml(5).\n"
    "\n"
    "instance: %s\n"
    "\n"
    "defaults:                  # every pool inherits these\n"
    "  startup_timeout: 30s\n"
    "  queue_timeout: 5s        # waiting for a free worker\n"
    "  call_timeout: 60s        # waiting and running together\n"
    "\n"
    "pools:\n"
    "  - name: default          # calls that name no pool go to the first\n"
    "    adapter: adapter.py    # relative to this file\n"
    "    size: 2                # workers\n"
    "    queue: { max: 1000 }\n"
    "    # python: .venv/bin/python\n"
    "    # env: { set: { OMP_NUM_THREADS: 1 } }\n"
    "    # command_timeouts: { countdown: 10m }\n";

void adapter_template(struct text *out, const char *class_name, const char *file)
{
    /* The format is adapter_text and nothing else, only out of the checker's sight. */
    const char *at = adapter_text;
    for (const char *mark; (mark = strchr(at, '%')) != NULL; at = mark + 4) {
        text_add(out, at, (size_t)(mark - at));
        text_printf(out, "%s", mark[1] == '1' ? class_name : file);
    }
    text_add(out, at, strlen(at));
}

/* A name for `instance`: what the key allows, taken from the folder's. */
static void instance_of(const char *folder, char *ret_name, size_t max)
{
    char path[4096];
    const char *base = "default";
    if (strcmp(folder, ".") == 0 && getcwd(path, sizeof path) != NULL) {
        folder = path;
    }
    const char *slash = strrchr(folder, '/');
    base = slash != NULL ? slash + 1 : folder;
    size_t length = 0;
    for (; *base != '\0' && length + 1 < max && length < 64; base++) {
        ret_name[length++] =
            isalnum((unsigned char)*base) || strchr("._-", *base) != NULL ? *base : '-';
    }
    ret_name[length] = '\0';
    if (length == 0) {
        (void)snprintf(ret_name, max, "default");
    }
}

static int check_language(const struct cli *cli)
{
    if (cli->lang != NULL && strcmp(cli->lang, "python") != 0) {
        return complain(CODE_USAGE,
                        "--lang: there is a template for python, not \"%s\"",
                        cli->lang);
    }
    return CODE_OK;
}

static int make_folder(const char *path)
{
    struct stat info;
    if (mkdir(path, 0777) == 0) {
        return CODE_OK;
    }
    if (errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        return CODE_OK;
    }
    return complain(CODE_REFUSED, "%s: %s", path,
                    strerror(errno == EEXIST ? ENOTDIR : errno));
}

int cmd_init(struct cli *cli)
{
    const char *folder = cli->words_count > 0 ? cli->words[0] : ".";
    char instance[72];
    struct text paths[2] = {{0}};
    struct text contents[2] = {{0}};
    if (cli->words_count > 1) {
        return complain(CODE_USAGE, "one folder, not \"%s\" too", cli->words[1]);
    }
    int code = check_language(cli);
    if (code == CODE_OK) {
        code = make_folder(folder);
    }
    if (code != CODE_OK) {
        return code;
    }
    instance_of(folder, instance, sizeof instance);
    text_printf(&paths[0], "%s/snakepit.yaml", folder);
    text_printf(&paths[1], "%s/adapter.py", folder);
    const char *mark = strstr(config_text, "%s");
    text_add(&contents[0], config_text, (size_t)(mark - config_text));
    text_printf(&contents[0], "%s%s", instance, mark + 2);
    adapter_template(&contents[1], "Adapter", "adapter.py");
    for (int i = 0; i < 2 && code == CODE_OK && !cli->force; i++) {
        if (access(paths[i].data, F_OK) == 0) {
            code =
                complain(CODE_REFUSED, "%s exists; --force replaces it", paths[i].data);
        }
    }
    for (int i = 0; i < 2 && code == CODE_OK; i++) {
        code = write_new(paths[i].data, contents[i].data, cli->force);
        if (code == CODE_OK) {
            talk("wrote %s", paths[i].data);
        }
    }
    if (code == CODE_OK) {
        int is_here = strcmp(folder, ".") == 0;
        talk("\nnext:\n%s%s%s  snakepit call hello name=Ada\n  snakepit tools\n"
             "  snakepit stream countdown start=5",
             is_here ? "" : "  cd ", is_here ? "" : folder, is_here ? "" : "\n");
    }
    for (int i = 0; i < 2; i++) {
        text_free(&paths[i]);
        text_free(&contents[i]);
    }
    return code;
}

/* "weather_station" becomes "WeatherStation". */
static void class_of(const char *name, char *ret_class, size_t max)
{
    size_t length = 0;
    int is_first = 1;
    for (; *name != '\0' && length + 1 < max; name++) {
        if (*name == '_') {
            is_first = 1;
            continue;
        }
        ret_class[length++] = is_first ? (char)toupper((unsigned char)*name) : *name;
        is_first = 0;
    }
    ret_class[length] = '\0';
}

/* What Python takes for a module's name, in ASCII. */
static int is_module_name(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    return isalpha((unsigned char)name[0]) && strspn(name, letters) == strlen(name) &&
           strlen(name) <= 64;
}

int cmd_gen(struct cli *cli)
{
    char name[80];
    char class_name[80];
    char file[96];
    struct text content = {0};
    if (cli->words_count != 2 || strcmp(cli->words[0], "adapter") != 0) {
        return complain(CODE_USAGE, "generate what? snakepit gen adapter NAME");
    }
    size_t length = strlen(cli->words[1]);
    int has_suffix = length > 3 && strcmp(cli->words[1] + length - 3, ".py") == 0;
    (void)snprintf(name, sizeof name, "%.*s", (int)(length - (has_suffix ? 3 : 0)),
                   cli->words[1]);
    int code = check_language(cli);
    if (code == CODE_OK && !is_module_name(name)) {
        code =
            complain(CODE_USAGE,
                     "\"%s\" cannot name a Python module; use letters, digits and '_'",
                     cli->words[1]);
    }
    if (code != CODE_OK) {
        return code;
    }
    class_of(name, class_name, sizeof class_name);
    (void)snprintf(file, sizeof file, "%s.py", name);
    adapter_template(&content, class_name, file);
    code = write_new(file, text_c(&content), cli->force);
    if (code == CODE_OK) {
        talk("wrote %s\n\nnext:\n  snakepit call -a %s hello name=Ada", file, file);
    }
    text_free(&content);
    return code;
}
