#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/ctl/direct.h"

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NULL: not well encoded, or a NUL in it. */
static char *decode(const char *text, size_t n)
{
	char *out = mem_alloc(n + 1), *to = out;

	for (size_t i = 0; i < n; i++) {
		if (text[i] != '%') {
			*to++ = text[i];
			continue;
		}
		int high = i + 2 < n ? digit(text[i + 1]) : -1, low = high < 0 ? -1 : digit(text[i + 2]);
		if (low < 0 || (high == 0 && low == 0)) {
			free(out);
			return NULL;
		}
		*to++ = (char)(high << 4 | low);
		i += 2;
	}
	*to = '\0';
	return out;
}

static int take_pair(struct direct_query *query, const char *text, size_t n)
{
	const char *equals = memchr(text, '=', n);
	size_t key = equals ? (size_t)(equals - text) : n;

	if (query->n == DIRECT_QUERY_MAX)
		return -1;
	query->keys[query->n] = decode(text, key);
	query->values[query->n] = equals ? decode(equals + 1, n - key - 1) : mem_dup("");
	query->n++;
	return query->keys[query->n - 1] && query->values[query->n - 1] ? 0 : -1;
}

int direct_query_parse(struct direct_query *query, const char *url, struct error *err)
{
	size_t path = strcspn(url, "?");
	const char *p = url[path] ? url + path + 1 : "";

	*query = (struct direct_query){ .path = decode(url, path) };
	int status = query->path ? 0 : -1;
	while (status == 0 && *p) {
		size_t n = strcspn(p, "&");
		if (n > 0)
			status = take_pair(query, p, n);
		p += n + (p[n] == '&');
	}
	if (status == 0)
		return 0;
	direct_query_free(query);
	return error_set(err, ERROR_INVALID, "'%.200s' is not a well-formed question", url);
}

void direct_query_free(struct direct_query *query)
{
	free(query->path);
	for (size_t i = 0; i < query->n; i++) {
		free(query->keys[i]);
		free(query->values[i]);
	}
	*query = (struct direct_query){ 0 };
}

const char *direct_query_get(void *aux, const char *key)
{
	const struct direct_query *query = aux;

	for (size_t i = 0; i < query->n; i++)
		if (strcmp(query->keys[i], key) == 0)
			return query->values[i];
	return NULL;
}
