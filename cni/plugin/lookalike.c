#include "cni/plugin/lookalike.h"

#include <string.h>

/* The lower-case ASCII character that Go folds the one at *text to; *text moves behind it.  What folds to none: the byte,
 * which is equal to no character of ASCII when it is beyond that. */
static unsigned char folded(const char **text)
{
	unsigned char c = (unsigned char)*(*text)++;

	if (c >= 'A' && c <= 'Z')
		return (unsigned char)(c - 'A' + 'a');
	if (c == 0xc5 && (unsigned char)(*text)[0] == 0xbf) {
		*text += 1;
		return 's';
	}
	if (c == 0xe2 && (unsigned char)(*text)[0] == 0x84 && (unsigned char)(*text)[1] == 0xaa) {
		*text += 2;
		return 'k';
	}
	return c;
}

bool lookalike(const char *key, const char *name)
{
	const char *k = key, *n = name;

	while (*k && *n)
		if (folded(&k) != folded(&n))
			return false;
	return !*k && !*n && strcmp(key, name) != 0;
}

void lookalike_drop(json_t *object, const char *const *names)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(object, next, key, value)
	{
		for (const char *const *name = names; *name; name++) {
			if (lookalike(key, *name)) {
				json_object_del(object, key);
				break;
			}
		}
	}
}
