/* SPDX-License-Identifier: MIT */
/*
 * Secrets in text, found by what stands in front of them or by how they look.
 *
 * A secret is: the value behind a name that says so (password=x, "api_key": "x",
 * --token x, Authorization: Bearer x), what stands before the @ of a URL behind the
 * user's name, a word behind Bearer or Basic, a word that begins as well-known tokens do,
 * a private key, and what an expression of the configuration matches. One pass from left
 * to right; a secret is replaced whole, so that not even its length is told.
 *
 * It leans towards taking too much: "token: none" loses its "none". What nobody could
 * know for a secret stays, which is why nobody's values are logged in the first place.
 */
#include "log/redact.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

static const char mark[] = "[redacted]";

int sp__redact_init(struct redact *redact, const char *const *patterns, sp_error *err)
{
    redact->count = 0;
    for (size_t i = 0; patterns != NULL && patterns[i] != NULL; i++) {
        if (i == REDACT_PATTERNS_MAX) {
            sp__redact_fini(redact);
            return sp__fail(err, SP_ERR_CONFIG, "log.redact: more than %d expressions",
                            REDACT_PATTERNS_MAX);
        }
        int rc = regcomp(&redact->patterns[i], patterns[i], REG_EXTENDED);
        if (rc != 0) {
            char why[120];
            (void)regerror(rc, &redact->patterns[i], why, sizeof why);
            sp__redact_fini(redact);
            return sp__fail(err, SP_ERR_CONFIG, "log.redact: \"%.200s\": %s",
                            patterns[i], why);
        }
        redact->count++;
    }
    return SP_OK;
}

void sp__redact_fini(struct redact *redact)
{
    for (size_t i = 0; i < redact->count; i++) {
        regfree(&redact->patterns[i]);
    }
    redact->count = 0;
}

/* ---- what secrets are called ---- */

/* Without '_' and '-', which names have or have not. */
static const char *const secret_names[] = {
    "password",      "passwd",     "passphrase", "pwd",
    "secret",        "token",      "apikey",     "accesskey",
    "privatekey",    "authkey",    "signingkey", "encryptionkey",
    "authorization", "credential", "cookie",     "connectionstring"};
enum {
    SECRET_NAMES = sizeof secret_names / sizeof secret_names[0],
    NAME_MAX_BYTES = 64
};

/* Names that have such a word in them and say how many, or how long. */
static const char *const harmless_ends[] = {
    "count", "total", "max", "min", "limit", "bytes", "ms", "length", "tokens"};

static int ends_with(const char *name, const char *end)
{
    size_t size = strlen(name);
    size_t end_size = strlen(end);
    return size >= end_size && strcmp(name + size - end_size, end) == 0;
}

int sp__redact_is_secret(const char *name, size_t size)
{
    char plain[NAME_MAX_BYTES + 1];
    size_t n = 0;
    if (size > NAME_MAX_BYTES) { /* its end says most */
        name += size - NAME_MAX_BYTES;
        size = NAME_MAX_BYTES;
    }
    for (size_t i = 0; i < size; i++) {
        if (isalnum((unsigned char)name[i])) {
            plain[n++] = (char)tolower((unsigned char)name[i]);
        }
    }
    plain[n] = '\0';
    for (size_t i = 0; i < sizeof harmless_ends / sizeof harmless_ends[0]; i++) {
        if (ends_with(plain, harmless_ends[i])) {
            return 0;
        }
    }
    for (size_t i = 0; i < SECRET_NAMES; i++) {
        if (strstr(plain, secret_names[i]) != NULL) {
            return 1;
        }
    }
    return 0;
}

/* ---- where a secret is ---- */

/* The text from `from` to `to` is replaced. */
struct span {
    const char *from;
    const char *to;
};

static int is_name_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

static int is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* The quote at `at`, behind as many backslashes as there are: JSON may be inside JSON. */
static size_t quote_size(const char *at)
{
    size_t slashes = strspn(at, "\\");
    return at[slashes] == '"' || (slashes == 0 && at[0] == '\'') ? slashes + 1 : 0;
}

/* Behind the opening quote: where the same one closes, or the end. */
static const char *find_close(const char *at, const char *quote, size_t size)
{
    while (*at != '\0') {
        size_t slashes = strspn(at, "\\");
        if (slashes + 1 == size && at[slashes] == quote[size - 1]) {
            return at;
        }
        at += slashes > 0 ? slashes + (at[slashes] != '\0') : 1;
    }
    return at;
}

static const char *word_end(const char *at)
{
    return at + strcspn(at, " \t\r\n,;&\"'<>()[]{}");
}

/* Behind "Bearer ", "Basic " and their kin: a value is two words long. */
static size_t scheme_size(const char *at)
{
    static const char *const schemes[] = {"Bearer", "Basic",     "Token",
                                          "Digest", "Negotiate", "ApiKey"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t size = strlen(schemes[i]);
        if (strncasecmp(at, schemes[i], size) == 0 && is_space(at[size])) {
            return size + strspn(at + size, " \t");
        }
    }
    return 0;
}

/* Headers hold several words; all of them are the value, to the end of the line. */
static int is_header(const char *name, size_t size)
{
    static const char *const headers[] = {"authorization", "cookie"};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        size_t length = strlen(headers[i]);
        if (size >= length &&
            strncasecmp(name + size - length, headers[i], length) == 0) {
            return 1;
        }
    }
    return 0;
}

static struct span value_at(const char *at, int is_whole_line)
{
    size_t quote = quote_size(at);
    if (quote > 0) {
        return (struct span){at + quote, find_close(at + quote, at, quote)};
    }
    if (is_whole_line) {
        return (struct span){at, at + strcspn(at, "\r\n\"")};
    }
    if (*at == '[' || *at == '(') { /* several */
        return (struct span){at + 1, at + strcspn(at, *at == '[' ? "]" : ")")};
    }
    at += scheme_size(at);
    return (struct span){at, word_end(at)};
}

/* A name at `at`, which begins a word, and a value behind it. */
static int find_named(const char *at, struct span *ret)
{
    size_t size = 0;
    while (is_name_byte(at[size])) {
        size++;
    }
    if (size < 3) {
        return 0;
    }
    const char *next = at + size;
    next += quote_size(next); /* the name's */
    next += strspn(next, " \t");
    size_t sign = *next == ':' || *next == '=' ? 1 : 0;
    if (sign > 0 && (next[1] == '>' || next[1] == '=')) {
        sign = 2; /* Ruby's =>, and == */
    }
    int is_option = at[0] == '-' && at[1] == '-' && is_space(at[size]);
    if ((sign == 0 && !is_option) || !sp__redact_is_secret(at, size)) {
        return 0;
    }
    next += sign;
    next += strspn(next, " \t");
    *ret = value_at(next, is_header(at, size));
    return ret->to > ret->from;
}

/* "://" at `at`: user and password before the '@' of the same authority. */
static int find_in_url(const char *at, struct span *ret)
{
    const char *from = at + 3;
    const char *end = from + strcspn(from, "/?# \t\r\n\"'<>");
    const char *sign = NULL;
    for (const char *c = from; c < end; c++) {
        sign = *c == '@' ? c : sign;
    }
    if (sign == NULL || sign == from) {
        return 0;
    }
    const char *colon = memchr(from, ':', (size_t)(sign - from));
    *ret = (struct span){colon != NULL ? colon + 1 : from, sign};
    return ret->to > ret->from;
}

/* How tokens of well-known makers begin, and how long they are at least. */
static const struct {
    const char *begin;
    size_t least;
} shapes[] = {{"sk-", 20},         {"ghp_", 20},   {"gho_", 20},  {"ghs_", 20},
              {"github_pat_", 20}, {"glpat-", 15}, {"xoxb-", 15}, {"xoxp-", 15},
              {"xoxa-", 15},       {"AKIA", 20},   {"ASIA", 20},  {"AIza", 30},
              {"hf_", 20},         {"npm_", 20},   {"pypi-", 20}, {"eyJ", 30}};

static int find_shape(const char *at, struct span *ret)
{
    if (strchr("sgxAhnpe", *at) == NULL) {
        return 0; /* most words are none */
    }
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (strncmp(at, shapes[i].begin, strlen(shapes[i].begin)) == 0) {
            size_t size = 0;
            while (is_name_byte(at[size])) {
                size++;
            }
            *ret = (struct span){at, at + size};
            return size >= shapes[i].least;
        }
    }
    return 0;
}

/* From its first line to its last, or to the end. */
static int find_key(const char *at, struct span *ret)
{
    static const char begin[] = "-----BEGIN ";
    if (strncmp(at, begin, sizeof begin - 1) != 0) {
        return 0;
    }
    const char *line = at + strcspn(at, "\r\n");
    const char *is_private = strstr(at, "PRIVATE KEY");
    if (is_private == NULL || is_private > line) {
        return 0;
    }
    const char *end = strstr(at, "-----END ");
    *ret =
        (struct span){at, end != NULL ? end + strcspn(end, "\r\n") : at + strlen(at)};
    return 1;
}

/* A digit, a sign, or letters large and small: "basic knowledge" has none. */
static int looks_random(const char *from, const char *to)
{
    for (const char *c = from; c < to; c++) {
        if (!islower((unsigned char)*c) && (c > from || !isupper((unsigned char)*c))) {
            return 1;
        }
    }
    return 0;
}

static int find_scheme(const char *at, struct span *ret)
{
    enum { LEAST = 8 };
    size_t size = strchr("Bb", *at) != NULL ? scheme_size(at) : 0;
    if (size == 0) {
        return 0;
    }
    *ret = (struct span){at + size, word_end(at + size)};
    return ret->to - ret->from >= LEAST && looks_random(ret->from, ret->to);
}

/* A secret that begins at `at` or, when a name does, behind it. */
static int find_at(const char *text, const char *at, struct span *ret)
{
    if (strncmp(at, "://", 3) == 0) {
        return find_in_url(at, ret);
    }
    if (at > text && is_name_byte(at[-1])) {
        return 0; /* in the middle of a word */
    }
    return find_key(at, ret) || find_named(at, ret) || find_scheme(at, ret) ||
           find_shape(at, ret);
}

/* ---- the pass ---- */

struct copy {
    char *out;
    size_t size;
    size_t max; /* without the NUL */
};

static void put(struct copy *copy, const char *from, size_t size)
{
    size_t room = copy->max - copy->size;
    size = size < room ? size : room;
    memmove(copy->out + copy->size, from, size);
    copy->size += size;
}

static size_t redact_known(const char *text, struct copy *copy)
{
    const char *at = text;
    while (*at != '\0' && copy->size < copy->max) {
        struct span span;
        if (find_at(text, at, &span)) {
            put(copy, at, (size_t)(span.from - at));
            put(copy, mark, sizeof mark - 1);
            at = span.to;
        } else {
            put(copy, at, 1);
            at++;
        }
    }
    copy->out[copy->size] = '\0';
    return copy->size;
}

/* In place; what does not fit any more is cut. */
static size_t redact_pattern(const regex_t *pattern, char *out, size_t size, size_t max)
{
    size_t from = 0;
    regmatch_t match;
    while (from < size &&
           regexec(pattern, out + from, 1, &match, from > 0 ? REG_NOTBOL : 0) == 0) {
        size_t begin = from + (size_t)match.rm_so;
        size_t end = from + (size_t)match.rm_eo;
        if (end == begin) {
            from = begin + 1; /* it matches nothing: that is no secret */
            continue;
        }
        size_t put_size = max - begin < sizeof mark - 1 ? max - begin : sizeof mark - 1;
        size_t rest = size - end;
        size_t room = max - begin - put_size;
        rest = rest < room ? rest : room;
        memmove(out + begin + put_size, out + end, rest);
        memcpy(out + begin, mark, put_size);
        size = begin + put_size + rest;
        out[size] = '\0';
        from = begin + put_size;
    }
    return size;
}

size_t sp__redact(const struct redact *redact, const char *text, char *out, size_t max)
{
    struct copy copy = {.out = out, .max = max - 1};
    size_t size = redact_known(text, &copy);
    for (size_t i = 0; i < redact->count; i++) {
        size = redact_pattern(&redact->patterns[i], out, size, max - 1);
    }
    return size;
}
