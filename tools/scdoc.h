/* SPDX-License-Identifier: MIT */
/* Text for scdoc, by the programs that write manual pages. */
#ifndef SNAKEPIT_TOOLS_SCDOC_H
#define SNAKEPIT_TOOLS_SCDOC_H

#include <stdio.h>
#include <string.h>

/* As it is, whatever scdoc would read as a mark. */
static inline void put_escaped(const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("_*\\`", *text) != NULL) {
            (void)putchar('\\');
        }
        (void)putchar(*text);
    }
}

#endif
