/* SPDX-License-Identifier: MIT */
/*
 * The screen of `snakepit top`: two tables, one line about all, one about the keys.
 *
 * ncurses owns the terminal between top_screen_run()'s beginning and end. A sample that
 * fails is told in the last line and the one before it stays; the next tick tries again.
 * Signals interrupt the wait for a key, and end it like q.
 */
#include "top_screen.h"

#include <curses.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <unistd.h>

#include "fields.h"

enum { COLOR_GOOD = 1, COLOR_WARN, COLOR_BAD, FILTER_MAX = 40, TICK_MS = 250 };
enum { KEY_ESC = 27 };

enum page { PAGE_TABLES, PAGE_WORKER, PAGE_STACK, PAGE_LOG, PAGE_HELP };

struct screen {
    const struct top_options *options;
    struct top_sample now;
    struct top_sample before;
    uint64_t next_ms; /* when the next sample is due */
    int is_paused;
    enum page page;
    int sort;
    char filter[FILTER_MAX];
    int is_typing; /* the filter */
    size_t selected;
    size_t first;                /* the row at the top of the workers */
    char chosen[GRID_CELL_MAX];  /* "pool/slot"; "": there is none to choose */
    char process[GRID_CELL_MAX]; /* its pid, or "0" */
    struct text stack;           /* of PAGE_STACK */
    struct top_log log;          /* of PAGE_LOG */
    int is_asking;               /* whether to kill the chosen one */
    char said[160];              /* what was done to a worker, until the next key */
    sp_error error;              /* of the last question, code 0: none */
};

/* ---- samples ---- */

static void take_sample(struct screen *screen)
{
    struct top_sample fresh = {0};
    sp_error_clear(&screen->error);
    if (top_sample_take(screen->options->view, &fresh, &screen->error) == SP_OK) {
        top_sample_free(&screen->before);
        screen->before = screen->now;
        screen->now = fresh;
    }
    if (screen->page == PAGE_LOG && screen->error.code == 0) {
        (void)top_log_take(screen->options->view, screen->chosen, &screen->log,
                           &screen->error);
    }
    screen->next_ms = clock_ms() + screen->options->delay_ms;
}

/* ---- drawing ---- */

static void line(int row, attr_t attribute, const char *text)
{
    if (row >= 0 && row < LINES) {
        (void)attrset(attribute);
        (void)mvaddnstr(row, 0, text, COLS);
        (void)attrset(A_NORMAL);
    }
}

static attr_t attribute_of(const char *state)
{
    if (strcmp(state, "failed") == 0 || strcmp(state, "backoff") == 0) {
        return COLOR_PAIR(COLOR_BAD) | A_BOLD;
    }
    if (strcmp(state, "degraded") == 0 || strcmp(state, "starting") == 0 ||
        strcmp(state, "draining") == 0) {
        return COLOR_PAIR(COLOR_WARN);
    }
    return strcmp(state, "busy") == 0 ? COLOR_PAIR(COLOR_GOOD) : A_NORMAL;
}

static attr_t row_attribute(const struct grid *grid, size_t row)
{
    return attribute_of(field_words(grid->rows[row].of, "state"));
}

static int draw_pools(struct screen *screen, int row)
{
    struct grid grid;
    struct text text = {0};
    top_pools(&screen->now, &screen->before, &grid);
    grid_fit(&grid, (size_t)COLS);
    grid_heading(&grid, &text);
    line(row++, A_REVERSE, text_c(&text));
    for (size_t i = 0; i < grid.count; i++) {
        grid_line(&grid, i, &text);
        line(row++, row_attribute(&grid, i), text_c(&text));
    }
    text_free(&text);
    grid_free(&grid);
    return row;
}

/* Move what is shown so that the selected row is in it. */
static void scroll_to_selected(struct screen *screen, size_t count, size_t room)
{
    if (screen->selected >= count) {
        screen->selected = count > 0 ? count - 1 : 0;
    }
    if (screen->selected < screen->first) {
        screen->first = screen->selected;
    }
    if (screen->selected >= screen->first + room) {
        screen->first = screen->selected - room + 1;
    }
}

static void draw_workers(struct screen *screen, int row)
{
    struct grid grid;
    struct text text = {0};
    int last = LINES - 1; /* the keys */
    size_t room = last > row + 1 ? (size_t)(last - row - 1) : 0;
    top_workers(&screen->now, &screen->before, screen->filter, screen->sort, &grid);
    screen->chosen[0] = '\0';
    scroll_to_selected(screen, grid.count, room > 0 ? room : 1);
    grid_fit(&grid, (size_t)COLS);
    grid_heading(&grid, &text);
    line(row++, A_REVERSE, text_c(&text));
    for (size_t i = screen->first; i < grid.count && i < screen->first + room; i++) {
        grid_line(&grid, i, &text);
        line(row++, row_attribute(&grid, i) | (i == screen->selected ? A_BOLD : 0),
             text_c(&text));
        if (i == screen->selected) {
            (void)mvchgat(row - 1, 0, (int)grid.widths[TOP_WORKER], A_REVERSE, 0, NULL);
            (void)snprintf(screen->chosen, sizeof screen->chosen, "%s",
                           grid.rows[i].cells[TOP_WORKER].text);
            (void)snprintf(screen->process, sizeof screen->process, "%s",
                           grid.rows[i].cells[TOP_PID].text);
        }
    }
    text_free(&text);
    grid_free(&grid);
}

static void draw_lines(const char *text)
{
    char *copy = need(strdup(text));
    char *rest = copy;
    char *part;
    int row = 0;
    while ((part = strsep(&rest, "\n")) != NULL && row < LINES - 1) {
        for (char *at = part; *at != '\0'; at++) {
            *at = (unsigned char)*at < ' ' || *at == 0x7f ? '?' : *at;
        }
        line(row++, A_NORMAL, part);
    }
    free(copy);
}

static void draw_worker(struct screen *screen)
{
    struct text text = {0};
    const json_t *pool;
    const json_t *worker;
    size_t i;
    size_t k;
    text_printf(&text, "worker %s is not there any more", screen->chosen);
    json_array_foreach (json_object_get(screen->now.status, "pools"), i, pool) {
        json_array_foreach (json_object_get(pool, "worker_list"), k, worker) {
            char name[GRID_CELL_MAX];
            (void)snprintf(name, sizeof name, "%s/%lld", field_words(pool, "name"),
                           field_number(worker, "slot"));
            if (strcmp(name, screen->chosen) == 0) {
                top_describe(pool, worker, &text);
            }
        }
    }
    draw_lines(text_c(&text));
    text_free(&text);
}

static const char help[] =
    "Keys\n"
    "\n"
    "  q            end\n"
    "  up, down     choose a worker; page up, page down, home, end\n"
    "  enter        everything about it\n"
    "  s            its stack: what it does this moment\n"
    "  l            what was logged of it, as it goes on\n"
    "  D            drain it: a fresh one takes its place, no call is lost\n"
    "  K            kill it, and the calls it has; asks before\n"
    "  o            sort by the next column\n"
    "  /            show only workers whose row has this text\n"
    "  p            stop the display, and go on\n"
    "  space        a new sample now\n"
    "  ?            this page\n"
    "  esc          back\n"
    "\n"
    "RDY/BSY/STR    workers: ready, busy, starting\n"
    "QUEUE/PEAK/MAX calls that wait: now, at most so far, limit\n"
    "RUNNING        calls a worker has, of how many it runs at once\n"
    "MEMORY         with its children, as of the last look\n";

/* Add a key's words where they fit. */
static void hint(struct text *text, const char *format, ...) SP_PRINTF(2, 3);

static void hint(struct text *text, const char *format, ...)
{
    char words[FILTER_MAX + 32];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (text->size == 0) {
        text_printf(text, "%s", words);
    } else if (text->size + 2 + strlen(words) <= (size_t)COLS) {
        text_printf(text, "  %s", words);
    }
}

/* The keys, those that are needed most first. */
static void put_keys(const struct screen *screen, struct text *text)
{
    hint(text, "q end");
    if (screen->page != PAGE_TABLES) {
        hint(text, "esc back");
    } else {
        hint(text, "? help");
        hint(text, "p %s", screen->is_paused ? "go on" : "pause");
    }
    if (screen->page == PAGE_TABLES &&
        screen->filter[0] != '\0') { /* what is not shown is to be noticed */
        hint(text, "/ filter %s", screen->filter);
        hint(text, "o sort (%s)", top_sort_name(screen->sort));
    }
    hint(text, "s stack");
    hint(text, "l log");
    hint(text, "D drain");
    hint(text, "K kill");
    if (screen->page == PAGE_TABLES && screen->filter[0] == '\0') {
        hint(text, "o sort (%s)", top_sort_name(screen->sort));
        hint(text, "/ filter");
        hint(text, "enter describe");
    }
}

static void draw_foot(const struct screen *screen)
{
    struct text text = {0};
    attr_t attribute = A_DIM;
    if (screen->is_typing) {
        text_printf(&text, "/%s_", screen->filter);
    } else if (screen->is_asking) {
        attribute = COLOR_PAIR(COLOR_WARN) | A_BOLD;
        text_printf(&text, "kill %s (pid %s) with its calls? y does, other keys do not",
                    screen->chosen, screen->process);
    } else if (screen->error.code != 0) {
        attribute = COLOR_PAIR(COLOR_BAD);
        text_printf(&text, "%s", screen->error.message);
    } else if (screen->said[0] != '\0') {
        attribute = A_BOLD;
        text_printf(&text, "%s", screen->said);
    } else {
        put_keys(screen, &text);
    }
    line(LINES - 1, attribute, text_c(&text));
    text_free(&text);
}

static void draw(struct screen *screen)
{
    (void)erase();
    if (screen->page == PAGE_HELP) {
        draw_lines(help);
    } else if (screen->page == PAGE_WORKER) {
        draw_worker(screen);
    } else if (screen->page == PAGE_STACK) {
        draw_lines(text_c(&screen->stack));
    } else if (screen->page == PAGE_LOG) {
        struct text text = {0};
        top_log_text(&screen->log, LINES > 1 ? (size_t)LINES - 1 : 1, &text);
        draw_lines(text_c(&text));
        text_free(&text);
    } else if (screen->now.status != NULL) {
        struct text text = {0};
        top_head(&screen->now, &screen->before, &text);
        line(0, A_BOLD, text_c(&text));
        text_free(&text);
        draw_workers(screen, draw_pools(screen, 2) + 1);
    }
    draw_foot(screen);
    (void)refresh();
}

/* ---- keys ---- */

static void type_filter(struct screen *screen, int key)
{
    size_t length = strlen(screen->filter);
    if (key == '\n' || key == KEY_ENTER) {
        screen->is_typing = 0;
    } else if (key == KEY_ESC) {
        screen->is_typing = 0;
        screen->filter[0] = '\0';
    } else if ((key == KEY_BACKSPACE || key == 127 || key == '\b') && length > 0) {
        screen->filter[length - 1] = '\0';
    } else if (key >= ' ' && key < 127 && length + 1 < sizeof screen->filter) {
        screen->filter[length] = (char)key;
        screen->filter[length + 1] = '\0';
    }
}

static void move_by(struct screen *screen, int rows)
{
    screen->selected = rows < 0 && screen->selected < (size_t)-rows
                           ? 0
                           : screen->selected + (size_t)rows;
}

static void look_at_stack(struct screen *screen)
{
    sp_error_clear(&screen->error);
    screen->stack.size = 0;
    if (top_stack(screen->options->view, screen->chosen, &screen->stack,
                  &screen->error) == SP_OK) {
        screen->page = PAGE_STACK;
    }
}

static void look_at_log(struct screen *screen)
{
    sp_error_clear(&screen->error);
    top_log_free(&screen->log);
    if (top_log_take(screen->options->view, screen->chosen, &screen->log,
                     &screen->error) == SP_OK) {
        screen->page = PAGE_LOG;
    }
}

/* Of the process that was looked at: in its slot may be another one by now. */
static const char *process_of_chosen(const struct screen *screen)
{
    return strcmp(screen->process, "0") == 0 ? screen->chosen : screen->process;
}

static void drain_chosen(struct screen *screen)
{
    sp_daemon_worker worker;
    sp_error_clear(&screen->error);
    if (sp_daemon_worker_drain(screen->options->view->daemon, process_of_chosen(screen),
                               &worker, &screen->error) == SP_OK) {
        (void)snprintf(screen->said, sizeof screen->said,
                       "%s (pid %d) is drained: a fresh one takes its place",
                       worker.name, worker.pid);
    }
}

static void kill_chosen(struct screen *screen, int key)
{
    sp_daemon_worker worker;
    screen->is_asking = 0;
    sp_error_clear(&screen->error);
    if (key != 'y' && key != 'Y') {
        (void)snprintf(screen->said, sizeof screen->said, "%s lives on",
                       screen->chosen);
    } else if (sp_daemon_worker_kill(screen->options->view->daemon,
                                     process_of_chosen(screen), &worker,
                                     &screen->error) == SP_OK) {
        (void)snprintf(screen->said, sizeof screen->said,
                       "%s (pid %d) is killed: a fresh one is started", worker.name,
                       worker.pid);
    }
}

/* Keys about the chosen worker; 0: it is none of these. */
static int obey_of_worker(struct screen *screen, int key)
{
    switch (key) {
    case '\n':
    case KEY_ENTER:
        screen->page = PAGE_WORKER;
        return 1;
    case 's':
        look_at_stack(screen);
        return 1;
    case 'l':
        look_at_log(screen);
        return 1;
    case 'D':
        drain_chosen(screen);
        return 1;
    case 'K':
        screen->is_asking = 1;
        return 1;
    default:
        return 0;
    }
}

/* 0: it was the last one. */
static int obey(struct screen *screen, int key)
{
    screen->said[0] = '\0';
    if (screen->is_typing) {
        type_filter(screen, key);
        return 1;
    }
    if (screen->is_asking) {
        kill_chosen(screen, key);
        return 1;
    }
    if (screen->chosen[0] != '\0' && obey_of_worker(screen, key)) {
        return 1;
    }
    switch (key) {
    case 'q':
        return 0;
    case KEY_UP:
        move_by(screen, -1);
        break;
    case KEY_DOWN:
        move_by(screen, 1);
        break;
    case KEY_PPAGE:
        move_by(screen, -(LINES / 2));
        break;
    case KEY_NPAGE:
        move_by(screen, LINES / 2);
        break;
    case KEY_HOME:
        screen->selected = 0;
        break;
    case KEY_END:
        screen->selected = SIZE_MAX / 2;
        break;
    case '?':
        screen->page = PAGE_HELP;
        break;
    case KEY_ESC:
        screen->page = PAGE_TABLES;
        break;
    case 'o':
        screen->sort = top_sort_next(screen->sort);
        break;
    case '/':
        screen->is_typing = 1;
        break;
    case 'p':
        screen->is_paused = !screen->is_paused;
        break;
    case ' ':
        take_sample(screen);
        break;
    default:
        break; /* also KEY_RESIZE: everything is drawn anew */
    }
    return 1;
}

/* ---- the screen ---- */

int top_screen_is_possible(void)
{
    int error;
    const char *name = getenv("TERM");
    return isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && name != NULL &&
           setupterm(name, STDOUT_FILENO, &error) == OK && cursor_address != NULL;
}

static void begin(const struct top_options *options)
{
    (void)initscr();
    (void)cbreak();
    (void)noecho();
    (void)keypad(stdscr, TRUE);
    (void)curs_set(0);
    set_escdelay(50);
    if (options->with_color && has_colors() && start_color() == OK) {
        (void)use_default_colors();
        (void)init_pair(COLOR_GOOD, COLOR_GREEN, -1);
        (void)init_pair(COLOR_WARN, COLOR_YELLOW, -1);
        (void)init_pair(COLOR_BAD, COLOR_RED, -1);
    }
}

int top_screen_run(const struct top_options *options)
{
    struct screen screen = {.options = options, .sort = options->sort};
    int goes_on = 1;
    begin(options);
    take_sample(&screen);
    while (goes_on && !watch_interrupted()) {
        draw(&screen);
        timeout(TICK_MS);
        int key = getch();
        if (key != ERR) {
            goes_on = obey(&screen, key);
        }
        /* While it asks, what is asked about stays where it is. */
        if (!screen.is_paused && !screen.is_asking && clock_ms() >= screen.next_ms) {
            take_sample(&screen);
        }
    }
    (void)endwin();
    top_sample_free(&screen.now);
    top_sample_free(&screen.before);
    text_free(&screen.stack);
    top_log_free(&screen.log);
    sp_error_clear(&screen.error);
    return watch_interrupted() ? CODE_INTERRUPTED : CODE_OK;
}
