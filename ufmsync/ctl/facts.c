#include "ufmsync/ctl/facts.h"

#include <stdarg.h>
#include <stdlib.h>

#include "ufmsync/ctl/print.h"

enum { NAME, TEXT, COLUMNS, TEXT_BYTES = 1024 };

static const struct table_column columns[COLUMNS] = { [NAME] = { .title = "", .key = true }, [TEXT] = { .title = "" } };

void facts_begin(struct facts *facts)
{
	facts->table = table_new(columns, COLUMNS);
}

__attribute__((format(printf, 3, 0))) static void add(struct facts *facts, const char *name, const char *format,
						      va_list ap)
{
	char text[TEXT_BYTES];

	vsnprintf(text, sizeof text, format, ap);
	table_row(facts->table, (const char *const[COLUMNS]){ [NAME] = name, [TEXT] = text });
}

void facts_add(struct facts *facts, enum table_colour colour, const char *name, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	add(facts, name, format, ap);
	va_end(ap);
	table_colour(facts->table, TEXT, colour);
}

void facts_add_moving(struct facts *facts, const char *name, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	add(facts, name, format, ap);
	va_end(ap);
	table_moving(facts->table, TEXT);
}

void facts_print(struct facts *facts, struct ctl *ctl)
{
	ctl_print(ctl, facts->table);
	facts->table = NULL;
}
