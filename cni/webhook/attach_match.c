#include "cni/webhook/attach_match.h"

#include <stdint.h>
#include <string.h>

enum { DEFAULT_NETWORK = -1, NUMBER_DIGITS_MAX = 9 };

struct matching {
	const struct attach_candidate *candidates;
	size_t n;
	const struct attach_ask *ask;
	const struct attach_given *given;
	size_t n_given;
	int64_t number; /* of "net<number>"; -1: another name */
	bool by_pkey;   /* one that is left has the PKey of the ask: the others are not meant */
};

/* "net<k>" as multus writes it: no sign, no leading zero. */
static int64_t interface_number(const char *interface)
{
	const char *digits = interface + 3;
	int64_t number = 0;

	if (strncmp(interface, "net", 3) != 0 || !*digits || strlen(digits) > NUMBER_DIGITS_MAX ||
	    (digits[0] == '0' && digits[1]))
		return -1;
	for (; *digits; digits++) {
		if (*digits < '0' || *digits > '9')
			return -1;
		number = number * 10 + (*digits - '0');
	}
	return number;
}

static bool is_taken(const struct matching *m, int index)
{
	for (size_t i = 0; i < m->n_given; i++)
		if (m->given[i].index == index && m->given[i].sandbox == m->ask->sandbox &&
		    strcmp(m->given[i].interface, m->ask->interface) != 0)
			return true;
	return false;
}

/* Whether this interface may be that attachment's.  The default network's is the one that the runtime names ("eth0"). */
static bool may_mean(const struct matching *m, const struct attach_candidate *candidate)
{
	if (*candidate->interface)
		return strcmp(candidate->interface, m->ask->interface) == 0;
	return (candidate->index == DEFAULT_NETWORK) == (m->number < 0);
}

static bool same_network(const struct matching *m, const struct attach_candidate *candidate)
{
	return strcmp(candidate->config_name, m->ask->network_name) == 0;
}

static bool by_hint(const struct matching *m, size_t *found)
{
	if (!m->ask->has_hint)
		return false;
	for (size_t i = 0; i < m->n; i++) {
		const struct attach_candidate *candidate = &m->candidates[i];

		if (!candidate->has_guid || candidate->guid.v != m->ask->hint.v)
			continue;
		*found = i;
		return may_mean(m, candidate) && (same_network(m, candidate) || !*candidate->config_name) &&
		       !is_taken(m, candidate->index);
	}
	return false;
}

/* Two that ask for one name are the pod's mistake; then the network's name decides. */
static bool by_interface(const struct matching *m, size_t *found)
{
	bool any = false;

	for (size_t i = 0; i < m->n; i++) {
		const struct attach_candidate *candidate = &m->candidates[i];

		if (!*candidate->interface || !may_mean(m, candidate) || (any && !same_network(m, candidate)))
			continue;
		*found = i;
		if (same_network(m, candidate))
			return true;
		any = true;
	}
	return any;
}

/* Those that are left: of the network, and without a name of their own.  They are looked through again and again instead of
 * being kept in an array, as a pod has few. */
static bool is_left(const struct matching *m, size_t i)
{
	const struct attach_candidate *candidate = &m->candidates[i];

	return !*candidate->interface && same_network(m, candidate) && may_mean(m, candidate) &&
	       (!m->by_pkey || candidate->pkey.v == m->ask->pkey.v);
}

/* A definition that was changed since names one that none has: then it says nothing. */
static bool any_left_with_pkey(const struct matching *m)
{
	for (size_t i = 0; m->ask->pkey.v && i < m->n; i++)
		if (is_left(m, i) && m->candidates[i].pkey.v == m->ask->pkey.v)
			return true;
	return false;
}

static bool left_at(const struct matching *m, int64_t index, size_t *found)
{
	for (size_t i = 0; i < m->n; i++)
		if (is_left(m, i) && m->candidates[i].index == index) {
			*found = i;
			return true;
		}
	return false;
}

static bool left_given_before(const struct matching *m, size_t *found)
{
	for (size_t i = 0; i < m->n_given; i++)
		if (strcmp(m->given[i].interface, m->ask->interface) == 0)
			return left_at(m, m->given[i].index, found);
	return false;
}

static bool left_free(const struct matching *m, size_t *found)
{
	bool any = false;

	for (size_t i = 0; i < m->n; i++) {
		if (!is_left(m, i) || is_taken(m, m->candidates[i].index) ||
		    (any && m->candidates[i].index > m->candidates[*found].index))
			continue;
		*found = i;
		any = true;
	}
	return any;
}

struct range {
	int64_t first, last;
	size_t n;
};

static struct range left_range(const struct matching *m)
{
	struct range range = { INT64_MAX, INT64_MIN, 0 };

	for (size_t i = 0; i < m->n; i++) {
		int64_t index = m->candidates[i].index;

		if (!is_left(m, i))
			continue;
		range.first = index < range.first ? index : range.first;
		range.last = index > range.last ? index : range.last;
		range.n++;
	}
	return range;
}

/* What the interface's number says, the same for every replica at any time.  Where the candidates follow each other, each
 * number of multus hits another one whatever it adds for the cluster's default networks. */
static bool left_by_number(const struct matching *m, const struct range *range, size_t *found)
{
	int64_t position = m->number - 1, n = (int64_t)range->n;

	if (m->number < 0) /* the default network's: there is only one */
		return left_at(m, DEFAULT_NETWORK, found);
	if (left_at(m, position, found))
		return true;
	if (range->last - range->first + 1 != n)
		return false;
	return left_at(m, range->first + ((position - range->first) % n + n) % n, found);
}

enum attach_match attach_match(const struct attach_candidate *candidates, size_t n, const struct attach_ask *ask,
			       const struct attach_given *given, size_t n_given, size_t *found)
{
	struct matching m = { candidates, n, ask, given, n_given, interface_number(ask->interface), false };

	if (by_hint(&m, found) || by_interface(&m, found))
		return ATTACH_MATCH_FOUND;
	m.by_pkey = any_left_with_pkey(&m);
	struct range range = left_range(&m);
	if (range.n == 0)
		return ATTACH_MATCH_NONE;
	if (left_given_before(&m, found) && !is_taken(&m, candidates[*found].index))
		return ATTACH_MATCH_FOUND;
	if (left_by_number(&m, &range, found) && !is_taken(&m, candidates[*found].index))
		return ATTACH_MATCH_FOUND;
	if (!ask->leads)
		return ATTACH_MATCH_LEADER;
	return left_free(&m, found) ? ATTACH_MATCH_FOUND : ATTACH_MATCH_TAKEN;
}
