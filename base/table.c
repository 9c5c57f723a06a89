#include "base/table.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

enum { GAP = 2, CUT_LEAST = 8 };

struct cell {
	char *text;
	enum table_colour colour;
	bool moves;
};

struct table {
	const struct table_column *columns;
	size_t n;
	bool *hidden;
	struct cell *cells; /* rows * n */
	size_t rows, room;
};

struct table *table_new(const struct table_column *columns, size_t n)
{
	struct table *table = mem_alloc(sizeof *table);

	table->columns = columns;
	table->n = n;
	table->hidden = mem_array(n, sizeof *table->hidden);
	return table;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->rows * table->n; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table->hidden);
	free(table);
}

void table_row(struct table *table, const char *const *texts)
{
	if (table->rows == table->room) {
		table->room = table->room ? table->room * 2 : 16;
		table->cells = mem_resize(table->cells, table->room * table->n, sizeof *table->cells);
	}
	struct cell *row = &table->cells[table->rows++ * table->n];
	for (size_t i = 0; i < table->n; i++) {
		row[i] = (struct cell){ mem_dup(texts[i] ? texts[i] : "-"), TABLE_PLAIN, table->columns[i].moves };
		utf8_one_line(row[i].text);
	}
}

void table_colour(struct table *table, size_t column, enum table_colour colour)
{
	assert(table->rows > 0 && column < table->n);
	table->cells[(table->rows - 1) * table->n + column].colour = colour;
}

void table_moving(struct table *table, size_t column)
{
	assert(table->rows > 0 && column < table->n);
	table->cells[(table->rows - 1) * table->n + column].moves = true;
}

void table_hide(struct table *table, size_t column)
{
	assert(column < table->n);
	table->hidden[column] = true;
}

size_t table_rows(const struct table *table)
{
	return table->rows;
}

/* --- widths ----------------------------------------------------------------------------------------------------- */

static bool is_shown(const struct table *table, size_t column, const struct table_style *style)
{
	return !table->hidden[column] && (style->wide || !table->columns[column].wide);
}

/* Characters, which are what a terminal counts; texts are valid by table_row(). */
static size_t count_characters(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static size_t bytes_of(const char *text, size_t characters)
{
	const char *p = text;

	while (*p && characters > 0) {
		size_t span = utf8_span(p, strlen(p));
		p += span > 0 ? span : 1;
		characters--;
	}
	return (size_t)(p - text);
}

static void widen(size_t *widths, const struct table *table)
{
	for (size_t i = 0; i < table->rows * table->n; i++) {
		size_t n = count_characters(table->cells[i].text);
		if (n > widths[i % table->n])
			widths[i % table->n] = n;
	}
}

/* `other` (may be NULL) is printed in the same columns. */
static size_t *natural_widths(const struct table *table, const struct table *other, const struct table_style *style)
{
	size_t *widths = mem_array(table->n, sizeof *widths);

	for (size_t c = 0; c < table->n && style->headers; c++)
		widths[c] = strlen(table->columns[c].title);
	widen(widths, table);
	if (other)
		widen(widths, other);
	return widths;
}

static size_t total_width(const struct table *table, const struct table_style *style, const size_t *widths)
{
	size_t total = 0, shown = 0;

	for (size_t c = 0; c < table->n; c++)
		if (is_shown(table, c, style)) {
			total += widths[c];
			shown++;
		}
	return shown > 0 ? total + GAP * (shown - 1) : 0;
}

/* The longest column that may be cut; table->n when there is none. */
static size_t longest_to_cut(const struct table *table, const struct table_style *style, const size_t *widths)
{
	size_t longest = table->n;

	for (size_t c = 0; c < table->n; c++) {
		size_t least = style->headers ? strlen(table->columns[c].title) : 0;
		if (!table->columns[c].may_cut || !is_shown(table, c, style) || widths[c] <= CUT_LEAST ||
		    widths[c] <= least)
			continue;
		if (longest == table->n || widths[c] > widths[longest])
			longest = c;
	}
	return longest;
}

static size_t *fit_widths(const struct table *table, const struct table *other, const struct table_style *style)
{
	size_t *widths = natural_widths(table, other, style);
	size_t total = total_width(table, style, widths);

	for (size_t c; style->width > 0 && total > style->width; total--) {
		c = longest_to_cut(table, style, widths);
		if (c == table->n)
			break;
		widths[c]--;
	}
	return widths;
}

/* --- printing --------------------------------------------------------------------------------------------------- */

static const char *colour_code(enum table_colour colour)
{
	static const char *const codes[] = { [TABLE_PLAIN] = "",
					     [TABLE_GOOD] = "\033[32m",
					     [TABLE_WARNING] = "\033[33m",
					     [TABLE_BAD] = "\033[31m",
					     [TABLE_FAINT] = "\033[2m" };
	return codes[colour];
}

static void print_blanks(size_t n, FILE *out)
{
	while (n-- > 0)
		fputc(' ', out);
}

static void print_cell(const char *text, enum table_colour colour, size_t width, bool right, bool last, FILE *out)
{
	size_t n = count_characters(text), shown = n > width ? width - 3 : n;
	size_t padding = n > width ? 0 : width - n;

	if (right)
		print_blanks(padding, out);
	fputs(colour_code(colour), out);
	fwrite(text, 1, bytes_of(text, shown), out);
	if (n > width)
		fputs("...", out);
	if (colour != TABLE_PLAIN)
		fputs("\033[0m", out);
	if (!right && !last)
		print_blanks(padding, out);
}

static size_t last_shown(const struct table *table, const struct table_style *style)
{
	size_t last = table->n;

	for (size_t c = 0; c < table->n; c++)
		if (is_shown(table, c, style))
			last = c;
	return last;
}

/* `row` NULL: the titles.  `behind`: what follows it. */
static void print_row(const struct table *table, const struct cell *row, const struct table_style *style,
		      const size_t *widths, const char *behind, FILE *out)
{
	size_t last = last_shown(table, style);
	bool first = true;

	for (size_t c = 0; c < table->n; c++) {
		if (!is_shown(table, c, style))
			continue;
		if (!first)
			print_blanks(GAP, out);
		first = false;
		print_cell(row ? row[c].text : table->columns[c].title,
			   row && style->colour ? row[c].colour : TABLE_PLAIN, widths[c], table->columns[c].right,
			   c == last, out);
	}
	fputs(behind, out);
	fputc('\n', out);
}

static bool has_titles(const struct table *table)
{
	for (size_t c = 0; c < table->n; c++)
		if (*table->columns[c].title)
			return true;
	return false;
}

void table_print(const struct table *table, const struct table_style *style, FILE *out)
{
	size_t *widths = fit_widths(table, NULL, style);

	if (style->headers && has_titles(table))
		print_row(table, NULL, style, widths, "", out);
	for (size_t r = 0; r < table->rows; r++)
		print_row(table, &table->cells[r * table->n], style, widths, "", out);
	free(widths);
}

/* --- what changed ----------------------------------------------------------------------------------------------- */

struct lookup {
	const struct table *table;
	const struct cell **rows; /* by key */
};

static int compare_rows(const void *a, const void *b, void *aux)
{
	const struct table *table = aux;
	const struct cell *one = *(const struct cell *const *)a, *other = *(const struct cell *const *)b;
	int order = 0;

	for (size_t c = 0; c < table->n && order == 0; c++)
		if (table->columns[c].key)
			order = strcmp(one[c].text, other[c].text);
	return order;
}

static int compare_places(const void *a, const void *b, void *aux)
{
	const struct cell *one = a, *other = b;

	return compare_rows(&one, &other, aux);
}

void table_sort(struct table *table)
{
	if (table->rows > 0)
		qsort_r(table->cells, table->rows, table->n * sizeof *table->cells, compare_places, table);
}

static struct lookup look_into(const struct table *table)
{
	struct lookup lookup = { table, mem_array(table->rows, sizeof *lookup.rows) };

	for (size_t r = 0; r < table->rows; r++)
		lookup.rows[r] = &table->cells[r * table->n];
	if (table->rows > 0)
		qsort_r(lookup.rows, table->rows, sizeof *lookup.rows, compare_rows, (void *)(uintptr_t)table);
	return lookup;
}

static bool is_same(const struct table *table, const struct cell *one, const struct cell *other)
{
	for (size_t c = 0; c < table->n; c++)
		if (!(one[c].moves && other[c].moves) && strcmp(one[c].text, other[c].text) != 0)
			return false;
	return true;
}

static size_t first_not_below(const struct lookup *lookup, const struct cell *row)
{
	size_t low = 0, high = lookup->table->rows;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare_rows(&lookup->rows[middle], &row, (void *)(uintptr_t)lookup->table) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* *same: one of the rows of that key is the same in all that counts. */
static bool find_row(const struct lookup *lookup, const struct cell *row, bool *same)
{
	size_t i = first_not_below(lookup, row);
	bool found = false;

	*same = false;
	for (; i < lookup->table->rows && compare_rows(&lookup->rows[i], &row, (void *)(uintptr_t)lookup->table) == 0;
	     i++) {
		found = true;
		*same |= is_same(lookup->table, lookup->rows[i], row);
	}
	return found;
}

void table_print_changes(const struct table *table, const struct table *before, const struct table_style *style,
			 FILE *out)
{
	struct lookup old = look_into(before), new = look_into(table);
	size_t *widths = fit_widths(table, before, style);
	bool same;

	assert(table->columns == before->columns);
	for (size_t r = 0; r < before->rows; r++)
		if (!find_row(&new, &before->cells[r * before->n], &same))
			print_row(before, &before->cells[r * before->n], style, widths, "  (gone)", out);
	for (size_t r = 0; r < table->rows; r++)
		if (!find_row(&old, &table->cells[r * table->n], &same) || !same)
			print_row(table, &table->cells[r * table->n], style, widths, "", out);
	free(widths);
	free(old.rows);
	free(new.rows);
}
