/* SPDX-License-Identifier: MIT */
/*
 * JSON text <-> Ruby objects, without Ruby's json library.
 *
 * What comes in: Hashes with String keys (those of the outermost one may be Symbols),
 * Arrays, Strings in UTF-8, Integers of any size, Floats, NaN and the infinities, and
 * what stands for bytes and tensors. What goes out: the same, Symbols as text, Strings in
 * ASCII-8BIT as bytes beside the JSON, and every other value through one Ruby method that
 * answers with something JSON can hold.
 */
#ifndef SP_RUBY_CODEC_H
#define SP_RUBY_CODEC_H

#include <ruby.h>

#include "base/buf.h"
#include "snakepit/error.h"
#include "wire/json.h"

/* Where the parts of a value are. */
struct part_source {
    /* Set *ret to the bytes of a part; 0 when there is none of that name. */
    int (*find)(void *user, const char *part, sp_bytes *ret);
    void *user;
};

/*
 * Build the value that `text` describes.
 *
 * parts    NULL: an object that stands for a part is an object like others
 * symbols  1: the names of the outermost object become Symbols
 *
 * Returns Qundef with `err` filled: SP_ERR_BAD_JSON, SP_ERR_TOO_DEEP. Raises
 * BadArguments for parts that are malformed, and NoMemoryError.
 */
VALUE sp__rb_decode(const struct part_source *parts, sp_bytes text, int symbols,
                    sp_error *err);

/* What the writing of one value needs; keep it, its buffers are reused. */
struct encoder {
    struct sp_buffer out;
    struct sp_buffer blob; /* several parts, together */
    const char *part;      /* the binary that parts are in; NULL: a result's */
    VALUE parts;           /* Array of Strings, or nil */
    size_t parts_bytes;    /* from the first to the last */
    unsigned depth;
    VALUE path[SP__JSON_DEPTH_MAX]; /* the containers being written */
};

void sp__rb_encoder_init(struct encoder *encoder, const char *part);
void sp__rb_encoder_fini(struct encoder *encoder);
/* For the garbage collector. */
void sp__rb_encoder_mark(const struct encoder *encoder);

/* Replace what is in encoder->out by the value's JSON, and encoder->parts by its parts.
 * Raises: ArgumentError for circular references and what is too deep or too large,
 * TypeError for what cannot be sent, EncodingError for text that is no UTF-8. */
void sp__rb_encode(struct encoder *encoder, VALUE value);

/* The parts as one run of bytes, valid until the next encoding. Raises NoMemoryError. */
sp_bytes sp__rb_encoded_parts(struct encoder *encoder);

/* Whether a String is bytes and no text. */
int sp__rb_is_bytes(VALUE value);

#endif
