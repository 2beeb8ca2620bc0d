/* SPDX-License-Identifier: MIT */
/* Tables for a screen: filled, sorted, fitted, and read line by line. */
#include "grid.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2 };

void grid_init(struct grid *grid, const struct grid_column *columns, size_t count)
{
    *grid = (struct grid){.columns = columns, .columns_count = count};
}

void grid_free(struct grid *grid)
{
    free(grid->rows);
    *grid = (struct grid){0};
}

struct grid_row *grid_add(struct grid *grid, const json_t *of)
{
    if (grid->count == grid->capacity) {
        grid->capacity = grid->capacity == 0 ? 32 : grid->capacity * 2;
        grid->rows = need(realloc(grid->rows, grid->capacity * sizeof *grid->rows));
    }
    struct grid_row *row = &grid->rows[grid->count++];
    *row = (struct grid_row){.of = of};
    return row;
}

/* What a terminal would obey has no place in a cell. */
static void clean(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) {
            *text = '?';
        }
    }
}

void grid_set(struct grid_row *row, size_t column, double number, const char *format,
              ...)
{
    struct grid_cell *cell = &row->cells[column];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(cell->text, sizeof cell->text, format, args);
    va_end(args);
    clean(cell->text);
    cell->number = number;
}

/* ---- order ---- */

static int comes_after(const struct grid *grid, size_t column, const struct grid_row *a,
                       const struct grid_row *b)
{
    const struct grid_cell *x = &a->cells[column];
    const struct grid_cell *y = &b->cells[column];
    return grid->columns[column].is_text ? strcmp(x->text, y->text) > 0
                                         : x->number < y->number;
}

/* By insertion: rows come nearly sorted, and a thousand of them is the most. */
void grid_sort(struct grid *grid, size_t column)
{
    for (size_t i = 1; i < grid->count; i++) {
        struct grid_row row = grid->rows[i];
        size_t at = i;
        while (at > 0 && comes_after(grid, column, &grid->rows[at - 1], &row)) {
            grid->rows[at] = grid->rows[at - 1];
            at--;
        }
        grid->rows[at] = row;
    }
}

/* ---- width ---- */

static size_t columns_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

static void measure(struct grid *grid)
{
    for (size_t c = 0; c < grid->columns_count; c++) {
        grid->widths[c] = columns_of(grid->columns[c].heading);
        for (size_t r = 0; r < grid->count; r++) {
            size_t width = columns_of(grid->rows[r].cells[c].text);
            grid->widths[c] = width > grid->widths[c] ? width : grid->widths[c];
        }
    }
}

static size_t total(const struct grid *grid)
{
    size_t sum = 0;
    for (size_t c = 0; c < grid->columns_count; c++) {
        sum += grid->widths[c] > 0 ? grid->widths[c] + (sum > 0 ? GAP : 0) : 0;
    }
    return sum;
}

/* The column that goes first; columns_count when none may. */
static size_t least(const struct grid *grid)
{
    size_t found = grid->columns_count;
    for (size_t c = 0; c < grid->columns_count; c++) {
        if (grid->widths[c] > 0 && grid->columns[c].rank > 0 &&
            (found == grid->columns_count ||
             grid->columns[c].rank > grid->columns[found].rank)) {
            found = c;
        }
    }
    return found;
}

void grid_fit(struct grid *grid, size_t width)
{
    size_t column;
    measure(grid);
    while (total(grid) > width && (column = least(grid)) < grid->columns_count) {
        grid->widths[column] = 0;
    }
}

/* ---- lines ---- */

static void add_cell(const struct grid *grid, size_t column, const char *text,
                     struct text *out)
{
    size_t gap = grid->widths[column] - columns_of(text);
    int is_first = out->size == 0;
    text_printf(out, "%s%*s%s%*s", is_first ? "" : "  ",
                grid->columns[column].is_text ? 0 : (int)gap, "", text,
                grid->columns[column].is_text ? (int)gap : 0, "");
}

static void trim(struct text *out)
{
    while (out->size > 0 && out->data[out->size - 1] == ' ') {
        out->size--;
    }
}

void grid_heading(const struct grid *grid, struct text *out)
{
    out->size = 0;
    for (size_t c = 0; c < grid->columns_count; c++) {
        if (grid->widths[c] > 0) {
            add_cell(grid, c, grid->columns[c].heading, out);
        }
    }
    trim(out);
}

void grid_line(const struct grid *grid, size_t row, struct text *out)
{
    out->size = 0;
    for (size_t c = 0; c < grid->columns_count; c++) {
        if (grid->widths[c] > 0) {
            add_cell(grid, c, grid->rows[row].cells[c].text, out);
        }
    }
    trim(out);
}
