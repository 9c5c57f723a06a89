#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Tables for people: columns as wide as needed, two blanks apart, cut to the terminal where a column may be cut (GUIDs and
 * PKeys never are); on a pipe nothing is cut.  Colours only when asked for. */
struct table;

enum table_colour { TABLE_PLAIN, TABLE_GOOD, TABLE_WARNING, TABLE_BAD, TABLE_FAINT };

struct table_column {
	const char *title;
	bool may_cut; /* when the terminal is too narrow, the longest of these first, with "..." */
	bool right;   /* numbers */
};

struct table *table_new(const struct table_column *columns, size_t n);
void table_free(struct table *table); /* NULL is fine */
/* A row: n texts (copied; NULL is "-"). */
void table_row(struct table *table, const char *const *texts);
void table_colour(struct table *table, size_t column, enum table_colour colour); /* of the last row */
/* width 0: no limit. */
void table_print(const struct table *table, FILE *out, unsigned width, bool headers, bool colour);
