/* SPDX-License-Identifier: MIT */
/*
 * Tables for a screen of some width: columns that do not fit are left out, the least
 * important ones first, and rows are sorted by a column's number.
 */
#ifndef SNAKEPIT_CLI_GRID_H
#define SNAKEPIT_CLI_GRID_H

#include "cli.h"

enum { GRID_COLUMNS_MAX = 16, GRID_CELL_MAX = 64 };

struct grid_column {
    const char *heading;
    int rank;    /* 0: stays whatever the width; else the highest goes first */
    int is_text; /* to the left, and sorted as text; numbers are to the right and the
                    largest comes first */
};

struct grid_cell {
    char text[GRID_CELL_MAX];
    double number; /* to sort by */
};

struct grid_row {
    struct grid_cell cells[GRID_COLUMNS_MAX];
    const json_t *of; /* what the row is about, borrowed */
};

struct grid {
    const struct grid_column *columns;
    size_t columns_count;
    struct grid_row *rows;
    size_t count;
    size_t capacity;
    size_t widths[GRID_COLUMNS_MAX]; /* 0: left out */
};

void grid_init(struct grid *grid, const struct grid_column *columns, size_t count);
void grid_free(struct grid *grid);

/* A new row at the end, all cells empty; valid until the next one. */
struct grid_row *grid_add(struct grid *grid, const json_t *of);
void grid_set(struct grid_row *row, size_t column, double number, const char *format,
              ...) SP_PRINTF(4, 5);

/* Rows that are equal keep their order. */
void grid_sort(struct grid *grid, size_t column);

/* Choose the columns for a width. */
void grid_fit(struct grid *grid, size_t width);

/* The headings, or a row, as one line of printable ASCII and UTF-8. */
void grid_heading(const struct grid *grid, struct text *out);
void grid_line(const struct grid *grid, size_t row, struct text *out);

#endif
