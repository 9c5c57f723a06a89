#pragma once

#include "ufmsync/ctl/command.h"

/* "Name    text" lines of one thing: a table without titles. */
struct facts {
	struct table *table;
};

void facts_begin(struct facts *facts);
void facts_add(struct facts *facts, enum table_colour colour, const char *name, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* One that changes by itself, such as an age: with --watch it alone is no news. */
void facts_add_moving(struct facts *facts, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void facts_print(struct facts *facts, struct ctl *ctl); /* and frees */
