#include "ufmsync/ctl/compare.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"

/* One membership that an attachment is to have. */
struct want {
	struct hash_node node; /* by GUID */
	struct guid guid;
	struct pkey_class class;
	json_t *attachment;
	bool settled; /* it was a member once */
	bool seen;
};

struct compare {
	struct hash wants;
	struct want **all;
	size_t n, room;
	struct difference *differences;
	size_t n_differences, differences_room;
	uint64_t right, outside;
};

const char *problem_name(enum problem problem)
{
	static const char *const names[PROBLEMS] = {
		[PROBLEM_NO_POD] = "no pod",         [PROBLEM_NOT_A_MEMBER] = "not a member",
		[PROBLEM_MEMBERSHIP] = "membership", [PROBLEM_OTHER_PKEY] = "other PKey",
		[PROBLEM_FOREIGN] = "foreign",       [PROBLEM_JOINING] = "(joining)",
		[PROBLEM_LEAVING] = "(leaving)",
	};

	return names[problem];
}

const char *problem_code(enum problem problem)
{
	static const char *const codes[PROBLEMS] = {
		[PROBLEM_NO_POD] = "noPod",          [PROBLEM_NOT_A_MEMBER] = "notAMember",
		[PROBLEM_MEMBERSHIP] = "membership", [PROBLEM_OTHER_PKEY] = "otherPKey",
		[PROBLEM_FOREIGN] = "foreign",       [PROBLEM_JOINING] = "joining",
		[PROBLEM_LEAVING] = "leaving",
	};

	return codes[problem];
}

struct compare *compare_new(void)
{
	struct compare *compare = mem_alloc(sizeof *compare);

	hash_init(&compare->wants);
	return compare;
}

void compare_free(struct compare *compare)
{
	if (!compare)
		return;
	for (size_t i = 0; i < compare->n; i++) {
		json_decref(compare->all[i]->attachment);
		free(compare->all[i]);
	}
	for (size_t i = 0; i < compare->n_differences; i++)
		json_decref(compare->differences[i].owner);
	free(compare->all);
	free(compare->differences);
	hash_free(&compare->wants);
	free(compare);
}

/* --- what came in ----------------------------------------------------------------------------------------------- */

static int class_read(struct pkey_class *class, const json_t *object)
{
	const char *membership = json_str(object, "membership", NULL);
	const json_t *index0 = json_object_get(object, "index0");

	if (!membership || !membership_parse(&class->membership, membership) || !json_is_boolean(index0))
		return -1;
	class->index0 = json_is_true(index0);
	return 0;
}

static bool is_over(const json_t *owner)
{
	const char *state = json_str(owner, "state", NULL);

	return state && (strcmp(state, "leaving") == 0 || strcmp(state, "resting") == 0);
}

static bool is_settled(const json_t *attachment)
{
	const char *state = json_str(attachment, "state", NULL);

	return json_bool(attachment, 0, "recorded", NULL) ||
	       (state && (strcmp(state, "member") == 0 || strcmp(state, "published") == 0));
}

static struct want *find(const struct compare *compare, struct guid guid, const struct pkey *pkey)
{
	struct hash_node *node = hash_first(&compare->wants, hash_number(0, guid.v));

	for (; node; node = hash_next(node)) {
		struct want *want = container_of(node, struct want, node);
		if (want->guid.v == guid.v && (!pkey || want->class.pkey.v == pkey->v))
			return want;
	}
	return NULL;
}

static void add_want(struct compare *compare, struct guid guid, struct pkey_class class, const json_t *attachment)
{
	struct want *want;

	if (find(compare, guid, &class.pkey))
		return; /* came on two pages */
	want = mem_alloc(sizeof *want);
	want->guid = guid;
	want->class = class;
	want->settled = is_settled(attachment);
	want->attachment = json_incref((json_t *)(uintptr_t)attachment);
	hash_add(&compare->wants, &want->node, hash_number(0, guid.v));
	if (compare->n == compare->room) {
		compare->room = compare->room ? 2 * compare->room : 64;
		compare->all = mem_resize(compare->all, compare->room, sizeof(struct want *));
	}
	compare->all[compare->n++] = want;
}

int compare_attachment(struct compare *compare, const json_t *attachment)
{
	const json_t *memberships = json_object_get(attachment, "memberships"), *one;
	const char *text = json_str(attachment, "guid", NULL);
	struct guid guid;
	size_t i;

	if (!json_is_array(memberships))
		return -1;
	if (!text || is_over(attachment))
		return 0; /* wants nothing yet, or nothing any more */
	if (!guid_parse(&guid, text))
		return -1;
	json_array_foreach(memberships, i, one)
	{
		const char *pkey = json_str(one, "pkey", NULL);
		struct pkey_class class;
		if (!pkey || !pkey_parse(&class.pkey, pkey) || class_read(&class, one) < 0)
			return -1;
		add_want(compare, guid, class, attachment);
	}
	return 0;
}

static struct difference *add_difference(struct compare *compare, enum problem problem, struct pkey pkey,
					 struct guid guid, const json_t *owner)
{
	if (compare->n_differences == compare->differences_room) {
		compare->differences_room = compare->differences_room ? 2 * compare->differences_room : 16;
		compare->differences =
			mem_resize(compare->differences, compare->differences_room, sizeof *compare->differences);
	}
	struct difference *difference = &compare->differences[compare->n_differences++];
	*difference = (struct difference){ .problem = problem, .pkey = pkey, .guid = guid };
	difference->owner = json_is_object(owner) ? json_incref((json_t *)(uintptr_t)owner) : NULL;
	return difference;
}

static void differs(struct compare *compare, enum problem problem, struct guid guid, struct pkey_class has,
		    const json_t *owner)
{
	struct difference *difference = add_difference(compare, problem, has.pkey, guid, owner);
	const struct want *here = find(compare, guid, &has.pkey), *anywhere = find(compare, guid, NULL);

	difference->listed = true;
	difference->has = has;
	if (problem == PROBLEM_LEAVING || problem == PROBLEM_NO_POD || problem == PROBLEM_FOREIGN)
		return;
	difference->wanted = here || anywhere;
	difference->elsewhere = !here && anywhere;
	if (difference->wanted)
		difference->wants = here ? here->class : anywhere->class;
}

int compare_member(struct compare *compare, struct pkey pkey, const json_t *member)
{
	const char *text = json_str(member, "guid", NULL), *kind = json_str(member, "kind", NULL);
	const json_t *owner = json_object_get(member, "owner");
	struct pkey_class has = { .pkey = pkey };
	struct guid guid;

	if (!text || !kind || !guid_parse(&guid, text) || class_read(&has, member) < 0)
		return -1;
	struct want *want = find(compare, guid, &pkey);
	if (want)
		want->seen = true;
	if (strcmp(kind, "outside") == 0)
		compare->outside++;
	else if (strcmp(kind, "orphan") == 0)
		differs(compare, PROBLEM_NO_POD, guid, has, NULL);
	else if (strcmp(kind, "foreign") == 0)
		differs(compare, PROBLEM_FOREIGN, guid, has, owner);
	else if (is_over(owner))
		differs(compare, PROBLEM_LEAVING, guid, has, owner);
	else if (strcmp(kind, "unexpected") == 0)
		differs(compare, PROBLEM_OTHER_PKEY, guid, has, owner);
	else if (!json_bool(member, 0, "right", NULL))
		differs(compare, PROBLEM_MEMBERSHIP, guid, has, owner);
	else
		compare->right++;
	return 0;
}

/* --- the end ---------------------------------------------------------------------------------------------------- */

static int in_order(const void *a, const void *b)
{
	const struct difference *left = a, *right = b;

	if (left->pkey.v != right->pkey.v)
		return left->pkey.v < right->pkey.v ? -1 : 1;
	if (left->guid.v != right->guid.v)
		return left->guid.v < right->guid.v ? -1 : 1;
	return (int)left->problem - (int)right->problem;
}

void compare_end(struct compare *compare, const struct pkey *only)
{
	for (size_t i = 0; i < compare->n; i++) {
		const struct want *want = compare->all[i];
		if (want->seen || (only && want->class.pkey.v != only->v))
			continue;
		struct difference *difference =
			add_difference(compare, want->settled ? PROBLEM_NOT_A_MEMBER : PROBLEM_JOINING,
				       want->class.pkey, want->guid, want->attachment);
		difference->wanted = true;
		difference->wants = want->class;
	}
	if (compare->n_differences > 0)
		qsort(compare->differences, compare->n_differences, sizeof *compare->differences, in_order);
}

size_t compare_count(const struct compare *compare)
{
	return compare->n_differences;
}

const struct difference *compare_at(const struct compare *compare, size_t i)
{
	return &compare->differences[i];
}

void compare_drop(struct compare *compare, size_t i)
{
	json_decref(compare->differences[i].owner);
	memmove(&compare->differences[i], &compare->differences[i + 1],
		(compare->n_differences - i - 1) * sizeof *compare->differences);
	compare->n_differences--;
}

uint64_t compare_right(const struct compare *compare)
{
	return compare->right;
}

uint64_t compare_outside(const struct compare *compare)
{
	return compare->outside;
}
