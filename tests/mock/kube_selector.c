#include "tests/mock/kube_selector.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int field_index(unsigned *index, const struct mkube_resource *resource, const char *key, struct error *err)
{
	for (*index = 0; *index < MKUBE_FIELDS_MAX && resource->fields[*index]; (*index)++)
		if (strcmp(resource->fields[*index], key) == 0)
			return 0;
	return error_set(err, ERROR_INVALID, "field label not supported: %s", key);
}

/* `text` is one term; cut in place. */
static int parse_term(struct mkube_term *term, char *text, struct error *err)
{
	char *equal = strchr(text, '=');

	if (strchr(text, '(') || strchr(text, ' ') || !*text || strcmp(text, "!") == 0)
		return error_set(err, ERROR_INVALID, "unable to parse requirement: '%s'", text);
	if (!equal) {
		if (!term->label)
			return error_set(err, ERROR_INVALID, "invalid selector: '%s'; can't understand '%s'", text,
					 text);
		term->exists = true;
		term->negative = *text == '!';
		term->key = mem_dup(text + term->negative);
		return 0;
	}
	term->negative = equal > text && equal[-1] == '!';
	term->value = mem_dup(equal + (equal[1] == '=' ? 2 : 1));
	term->key = mem_dup_n(text, (size_t)(equal - text) - term->negative);
	return 0;
}

static int parse_terms(struct mkube_selector *selector, const struct mkube_resource *resource, const char *text,
		       bool label, struct error *err)
{
	char *copy = mem_dup(text);
	int result = 0;

	for (char *rest = copy, *one; result == 0 && *text && (one = strsep(&rest, ","));) {
		struct mkube_term *term = &selector->terms[selector->n];

		if (selector->n == MKUBE_TERMS_MAX) {
			result = error_set(err, ERROR_INVALID, "more than %d terms in a selector", MKUBE_TERMS_MAX);
			break;
		}
		*term = (struct mkube_term){ .label = label };
		result = parse_term(term, one, err);
		selector->n++;
		if (result == 0 && !label)
			result = field_index(&term->field, resource, term->key, err);
	}
	free(copy);
	return result;
}

int mkube_selector_parse(struct mkube_selector *selector, const struct mkube_resource *resource, const char *fields,
			 const char *labels, struct error *err)
{
	*selector = (struct mkube_selector){ 0 };
	if (parse_terms(selector, resource, fields ? fields : "", false, err) == 0 &&
	    parse_terms(selector, resource, labels ? labels : "", true, err) == 0)
		return 0;
	mkube_selector_free(selector);
	return -1;
}

void mkube_selector_free(struct mkube_selector *selector)
{
	for (unsigned i = 0; i < selector->n; i++) {
		free(selector->terms[i].key);
		free(selector->terms[i].value);
	}
	selector->n = 0;
}

static bool term_match(const struct mkube_term *term, const struct mkube_version *version)
{
	const char *value = term->label ? json_string_value(json_object_get(version->labels, term->key))
					: mkube_version_field(version, term->field);

	if (term->exists || !value)
		return term->negative != (value != NULL);
	return term->negative != (strcmp(value, term->value) == 0);
}

bool mkube_selector_match(const struct mkube_selector *selector, const struct mkube_version *version)
{
	for (unsigned i = 0; i < selector->n; i++)
		if (!term_match(&selector->terms[i], version))
			return false;
	return true;
}
