/* SPDX-License-Identifier: MIT */
/*
 * The rule of options structs in one place: `size` comes first, only what fits in it is
 * read, and what a caller does not have is zero, which means the default.
 */
#include "base/options.h"

#include <string.h>

#include "base/error.h"

enum { OPTIONS_BYTES_MAX = 4096 /* beyond any struct there will be */ };

int sp__take_options(const char *what, const void *options, void *full,
                     size_t full_size, sp_error *err)
{
    if (options == NULL) {
        return SP_OK;
    }
    size_t size = *(const size_t *)options;
    if (size < sizeof size || size > OPTIONS_BYTES_MAX) {
        return sp__fail(err, SP_ERR_INVAL,
                        "%s.size is %zu; set it to sizeof the struct", what, size);
    }
    memcpy(full, options, size < full_size ? size : full_size);
    return SP_OK;
}
