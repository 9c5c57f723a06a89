#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "tests/mock/kube_store.h"

/* fieldSelector and labelSelector: terms joined by ',', of the forms a=b, a==b, a!=b; for labels also "a" (is there)
 * and "!a" (is not there). */
enum { MKUBE_TERMS_MAX = 16 };

struct mkube_term {
	bool label, negative, exists; /* exists: compare no value */
	unsigned field;               /* index into the resource's fields, for a field */
	char *key, *value;
};

struct mkube_selector {
	struct mkube_term terms[MKUBE_TERMS_MAX];
	unsigned n;
};

/* Either text may be NULL.  ERROR_INVALID, with the text of kube-apiserver for a field that it does not support. */
int mkube_selector_parse(struct mkube_selector *selector, const struct mkube_resource *resource, const char *fields,
			 const char *labels, struct error *err);
void mkube_selector_free(struct mkube_selector *selector);
bool mkube_selector_match(const struct mkube_selector *selector, const struct mkube_version *version);
