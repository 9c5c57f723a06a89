#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Tables for people: columns as wide as needed, two blanks apart, cut to the terminal where a column may be cut (GUIDs and
 * PKeys never are); on a pipe nothing is cut.  Colours only when asked for.  Whatever a cell holds becomes one line of
 * valid UTF-8 without control characters, since much of it was written by tenants. */
struct table;

enum table_colour { TABLE_PLAIN, TABLE_GOOD, TABLE_WARNING, TABLE_BAD, TABLE_FAINT };

struct table_column {
	const char *title;
	bool may_cut; /* when the terminal is too narrow, the longest of these first, with "..." */
	bool right;   /* numbers */
	bool wide;    /* only where more was asked for (-o wide) */
	bool key;     /* the columns that say which row it is */
	bool moves;   /* changes by itself (an age): no reason to print a row again */
};

struct table_style {
	unsigned width; /* 0: no limit */
	bool headers, colour, wide;
};

struct table *table_new(const struct table_column *columns, size_t n); /* columns are borrowed */
void table_free(struct table *table);                                  /* NULL is fine */
/* A row: n texts (copied; NULL is "-"). */
void table_row(struct table *table, const char *const *texts);
void table_colour(struct table *table, size_t column, enum table_colour colour); /* of the last row */
void table_moving(struct table *table, size_t column); /* of the last row: as the column's `moves` */
void table_hide(struct table *table, size_t column);
void table_sort(struct table *table); /* by the key columns, as bytes */
size_t table_rows(const struct table *table);

/* Without a line of titles where all are "". */
void table_print(const struct table *table, const struct table_style *style, FILE *out);
/* Only rows that `before` did not have like that, and those it had that are gone, each with "(gone)" behind it; no headers. */
void table_print_changes(const struct table *table, const struct table *before, const struct table_style *style,
			 FILE *out);
