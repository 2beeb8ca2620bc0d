/* SPDX-License-Identifier: MIT */
/* session: create, look at, change and end sessions that outlive the command. */
#include "state.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* --- Showing -------------------------------------------------------------------------- */

static void show_session(const struct cli *cli, const sp_session_info *info)
{
    char text[TIME_MAX];
    if (wants_json(cli)) {
        struct text object = {0};
        add_session(&object, info);
        print_object("session", &object);
        text_free(&object);
        return;
    }
    print_fact("id", "%s", info->id);
    print_fact("ttl", "%s", format_duration(info->ttl_ms, text, sizeof text));
    print_fact("ends in", "%s", format_duration(info->remaining_ms, text, sizeof text));
    print_fact("durability", "%s", sp_durability_name(info->durability));
    print_fact("created", "%s", format_time(info->created_unix_ms, text));
    print_fact("used", "%s", format_time(info->used_unix_ms, text));
    print_fact("variables", "%llu", (unsigned long long)info->variables);
    print_fact("programs", "%llu", (unsigned long long)info->programs);
    print_fact("bytes", "%llu", (unsigned long long)info->bytes);
    print_fact("metadata", "%s", info->metadata);
}

/* Look at a session and show it; an error is left in `err`. */
static int show_by_id(const struct cli *cli, sp_sessions *sessions, const char *id,
                      sp_error *err)
{
    sp_session_info info = {0};
    if (sp_session_get(sessions, id, &info, err) == 0) {
        show_session(cli, &info);
    }
    sp_session_info_clear(&info);
    return CODE_OK;
}

/* --- create --------------------------------------------------------------------------- */

/* An id for whoever wants none of his own, that nobody else gets. */
static int make_id(char id[40])
{
    unsigned char bytes[12];
    int at = snprintf(id, 40, "session-");
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        return complain(CODE_UNREACHABLE,
                        "no random bytes for an id: name the session");
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        at += snprintf(id + at, 40 - (size_t)at, "%02x", bytes[i]);
    }
    return CODE_OK;
}

static int create_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    sp_session_options options = {.size = sizeof options,
                                  .ttl_ms = cli->ttl_ms,
                                  .metadata = cli->metadata,
                                  .or_get = cli->or_get,
                                  .durability = cli->durability};
    const char *id = cli->words[0];
    int rc = sp_session_create(sessions, id, &options, err);
    if (rc < 0) {
        return CODE_OK;
    }
    if (wants_json(cli)) {
        return show_by_id(cli, sessions, id, err);
    }
    (void)printf("%s\n", id);
    if (rc == 0) {
        talk("it was there already");
    }
    return CODE_OK;
}

/* Options that may be files, read before anything is opened. */
static int do_with_metadata(struct cli *cli, state_fn fn)
{
    struct text memory = {0};
    int code = json_option(cli->metadata, &memory, &cli->metadata);
    if (code == CODE_OK) {
        code = state_do(cli, fn);
    }
    text_free(&memory);
    return code;
}

static int session_create(struct cli *cli)
{
    char id[40];
    if (cli->words_count == 0) {
        int code = make_id(id);
        if (code != CODE_OK) {
            return code;
        }
        cli->words[cli->words_count++] = id;
    }
    return do_with_metadata(cli, create_in);
}

/* --- get ------------------------------------------------------------------------------ */

static int get_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    return show_by_id(cli, sessions, cli->words[0], err);
}

static int session_get(struct cli *cli)
{
    return state_do(cli, get_in);
}

/* --- set ------------------------------------------------------------------------------ */

struct editing {
    struct cli *cli;
    json_t *members; /* to be set, or NULL */
    char *metadata;  /* what they made of it */
};

/* Doubles keep their short form when that is all of them. */
static char *dump(const json_t *object)
{
    char *text = need(json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15)));
    json_t *again = json_loads(text, 0, NULL);
    if (!json_equal(again, (json_t *)(uintptr_t)object)) {
        free(text);
        text = need(json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(17)));
    }
    json_decref(again);
    return text;
}

static int edit_session(const sp_session_info *info, sp_session_edit *edit,
                        void *user_data, sp_error *err)
{
    struct editing *editing = user_data;
    if (editing->cli->ttl_ms != 0) {
        edit->ttl_ms = editing->cli->ttl_ms;
    }
    if (editing->cli->metadata != NULL) {
        edit->metadata = editing->cli->metadata;
    }
    if (editing->members == NULL) {
        return 0;
    }
    json_error_t error;
    json_t *object = json_loads(edit->metadata, 0, &error);
    const char *key;
    json_t *value;
    if (!json_is_object(object)) {
        json_decref(object);
        return sp_error_set(err, SP_ERR_BAD_JSON,
                            "the metadata cannot be changed member by member: %s",
                            error.text);
    }
    json_object_foreach (editing->members, key, value) {
        if (json_is_null(value)) {
            (void)json_object_del(object, key);
        } else {
            (void)json_object_set(object, key, value);
        }
    }
    editing->metadata = dump(object);
    edit->metadata = editing->metadata;
    json_decref(object);
    return 0;
}

static int set_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    struct editing editing = {.cli = cli};
    struct text members = {0};
    int code = CODE_OK;
    if (cli->words_count > 1) {
        code = arguments_build(cli->words + 1, cli->words_count - 1, &members);
        json_error_t error;
        if (code == CODE_OK) {
            editing.members = json_loads(text_c(&members), 0, &error);
        }
        if (code == CODE_OK && !json_is_object(editing.members)) {
            code = complain(CODE_USAGE, "metadata: %s", error.text);
        }
    }
    if (code == CODE_OK &&
        sp_session_update(sessions, cli->words[0], edit_session, &editing, err) == 0) {
        code =
            wants_json(cli) ? show_by_id(cli, sessions, cli->words[0], err) : CODE_OK;
    }
    json_decref(editing.members);
    free(editing.metadata);
    text_free(&members);
    return code;
}

static int session_set(struct cli *cli)
{
    if (cli->words_count == 1 && cli->metadata == NULL && cli->ttl_ms == 0) {
        return complain(CODE_USAGE, "session set: what? NAME=VALUE of its metadata, "
                                    "--metadata JSON or --ttl TIME");
    }
    return do_with_metadata(cli, set_in);
}

/* --- list ----------------------------------------------------------------------------- */

struct listing {
    const struct cli *cli;
    struct table *table;
    struct json_list json;
};

static void list_cb(const sp_session_info *info, void *user_data)
{
    struct listing *listing = user_data;
    char text[TIME_MAX];
    if (listing->cli->names) {
        print_clean(stdout, info->id, strlen(info->id));
        (void)fputc('\n', stdout);
        return;
    }
    if (listing->table == NULL) {
        struct text object = {0};
        add_session(&object, info);
        json_list_add(&listing->json, &object);
        text_free(&object);
        return;
    }
    table_cell(listing->table, "%s", info->id);
    table_cell(listing->table, "%s", format_duration(info->ttl_ms, text, sizeof text));
    table_cell(listing->table, "%s",
               format_duration(info->remaining_ms, text, sizeof text));
    table_cell(listing->table, "%llu", (unsigned long long)info->variables);
    table_cell(listing->table, "%llu", (unsigned long long)info->programs);
    table_cell(listing->table, "%llu", (unsigned long long)info->bytes);
    table_cell(listing->table, "%s", format_time(info->used_unix_ms, text));
}

static int list_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    static const char *const headings[] = {"SESSION",  "TTL",   "ENDS IN", "VARIABLES",
                                           "PROGRAMS", "BYTES", "USED",    NULL};
    struct listing listing = {.cli = cli, .json.cli = cli};
    if (!wants_json(cli) && !cli->names) {
        listing.table = table_new(headings);
    }
    int count = sp_sessions_list(sessions, list_cb, &listing, err);
    if (listing.table != NULL) {
        if (count > 0) {
            table_print(listing.table, "");
        }
        table_free(listing.table);
    } else if (count >= 0 && !cli->names) {
        json_list_print(&listing.json, "sessions");
    }
    text_free(&listing.json.text);
    if (count == 0) {
        talk("no sessions; `snakepit session create` makes one");
    }
    return CODE_OK;
}

static int session_list(struct cli *cli)
{
    return state_do(cli, list_in);
}

/* --- end, stats ----------------------------------------------------------------------- */

static int end_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    for (int i = 0; i < cli->words_count; i++) {
        if (sp_session_delete(sessions, cli->words[i], err) < 0) {
            return CODE_OK;
        }
        talk("ended %s", cli->words[i]);
    }
    return CODE_OK;
}

static int session_end(struct cli *cli)
{
    return state_do(cli, end_in);
}

static int stats_in(struct cli *cli, sp_sessions *sessions, sp_error *err)
{
    sp_sessions_stats stats;
    if (sp_sessions_stats_get(sessions, &stats, err) < 0) {
        return CODE_OK;
    }
    const struct {
        const char *name;
        uint64_t number;
    } numbers[] = {
        {"sessions", stats.sessions},        {"sessions_max", stats.sessions_max},
        {"variables", stats.variables},      {"memory_bytes", stats.memory_bytes},
        {"created", stats.sessions_created}, {"deleted", stats.sessions_deleted},
        {"expired", stats.sessions_expired}};
    json_t *object = need(json_object());
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (wants_json(cli)) {
            (void)json_object_set_new(object, numbers[i].name,
                                      json_integer((json_int_t)numbers[i].number));
        } else {
            print_fact(numbers[i].name, "%llu", (unsigned long long)numbers[i].number);
        }
    }
    if (wants_json(cli)) {
        json_t *root = need(json_pack("{s:i, s:O}", "version", 1, "stats", object));
        print_json(root);
        json_decref(root);
    }
    json_decref(object);
    return CODE_OK;
}

static int session_stats(struct cli *cli)
{
    return state_do(cli, stats_in);
}

/* --- The verbs ------------------------------------------------------------------------ */

#define TTL_OPTION                                                                    \
    {                                                                                 \
        "ttl", 0, "TIME", OPTION_TTL, "it ends when unused for so long, or \"never\"" \
    }
#define METADATA_OPTION                                               \
    {                                                                 \
        "metadata", 0, "JSON", OPTION_METADATA, "an object, or @file" \
    }

static const struct option_spec create_options[] = {
    TTL_OPTION,
    METADATA_OPTION,
    {"durability", 0, "CLASS", OPTION_DURABILITY,
     "what is left after a crash: memory, crash or durable"},
    {"or-get", 0, NULL, OPTION_OR_GET, "the one there is is fine"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec set_options[] = {
    TTL_OPTION,
    METADATA_OPTION,
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

static const struct option_spec list_options[] = {
    {"names", 0, NULL, OPTION_NAMES, "ids only, one on a line"},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};

const struct verb session_verbs[] = {
    {"create", "[ID]", "create a session and print its id",
     "Without an ID one is made up.\n"
     "\n"
     "Examples:\n"
     "  snakepit session create alice --ttl 2h\n"
     "  snakepit session create alice --or-get\n"
     "  snakepit session create --metadata '{\"user\": 17}'\n",
     create_options, 0, 1, session_create},
    {"end", "ID...", "end sessions with all that is in them",
     "Example:\n  snakepit session end alice\n", NULL, 1, WORDS_MANY, session_end},
    {"get", "ID", "show a session; counts as using it",
     "Example:\n  snakepit session get alice -o json | jq .session.metadata\n", NULL, 1,
     1, session_get},
    {"list", "", "list the sessions", "Example:\n  snakepit session list --names\n",
     list_options, 0, 0, session_list},
    {"set", "ID [NAME=VALUE...]", "change metadata and time to live",
     "Members of the metadata are replaced one by one; NAME=null removes one.\n"
     "--metadata replaces them all first. It happens wholly or not at all.\n"
     "\n"
     "Examples:\n"
     "  snakepit session set alice step=3 note=\"half done\"\n"
     "  snakepit session set alice --ttl never\n",
     set_options, 1, WORDS_MANY, session_set},
    {"stats", "", "count sessions, variables and memory",
     "Example:\n  snakepit session stats -o json\n", NULL, 0, 0, session_stats},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
