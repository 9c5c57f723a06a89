#include "base/duration.h"

#include <string.h>

#include "base/mem.h"

bool duration_parse(int64_t *ms, const char *text)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = { { "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60 * 1000 }, { "h", 3600 * 1000 } };
	const int64_t year = INT64_C(366) * 24 * 3600 * 1000;
	int64_t n = 0;
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 12)
		return false;
	for (size_t i = 0; i < digits; i++)
		n = n * 10 + (text[i] - '0');
	for (size_t i = 0; i < array_length(units); i++)
		if (strcmp(text + digits, units[i].unit) == 0 && n <= year / units[i].ms) {
			*ms = n * units[i].ms;
			return true;
		}
	return false;
}
