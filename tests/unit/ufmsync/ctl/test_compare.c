// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "ufmsync/ctl/compare.h"

#define GUID(n) "02:00:00:00:00:00:00:0" #n

/* An attachment with a membership, full and at index 0 where not said otherwise. */
static void wants(struct compare *compare, const char *guid, const char *pkey, const char *state, bool recorded)
{
	json_t *attachment =
		json_pack("{s:s, s:s, s:s, s:b, s:[{s:s, s:s, s:b}]}", "guid", guid, "pod", guid, "state", state,
			  "recorded", recorded, "memberships", "pkey", pkey, "membership", "full", "index0", true);
	assert_non_null(attachment);
	assert_int_equal(compare_attachment(compare, attachment), 0);
	json_decref(attachment);
}

static void has(struct compare *compare, const char *guid, uint16_t pkey, const char *membership, const char *kind,
		json_t *right, const char *owner_state)
{
	json_t *owner = owner_state ? json_pack("{s:s, s:s}", "pod", guid, "state", owner_state) : json_null();
	json_t *member = json_pack("{s:s, s:s, s:b, s:s, s:o, s:o}", "guid", guid, "membership", membership, "index0",
				   true, "kind", kind, "right", right, "owner", owner);
	assert_non_null(member);
	assert_int_equal(compare_member(compare, (struct pkey){ pkey }, member), 0);
	json_decref(member);
}

/* "problem PKEY GUID's last digit", one a line. */
static void expect(struct compare *compare, const struct pkey *only, const char *lines)
{
	char text[1024] = "";
	compare_end(compare, only);
	for (size_t i = 0; i < compare_count(compare); i++) {
		const struct difference *d = compare_at(compare, i);
		size_t len = strlen(text);
		snprintf(text + len, sizeof text - len, "%s 0x%x %x\n", problem_code(d->problem), d->pkey.v,
			 (unsigned)(d->guid.v & 0xf));
	}
	assert_string_equal(text, lines);
}

static void test_what_is_as_it_should_be_is_no_difference(void **state)
{
	(void)state;
	struct compare *compare = compare_new();
	wants(compare, GUID(1), "0x5", "published", true);
	has(compare, GUID(1), 5, "full", "attachment", json_true(), "published");
	has(compare, GUID(9), 5, "full", "outside", json_null(), NULL);
	expect(compare, NULL, "");
	assert_int_equal(compare_right(compare), 1);
	assert_int_equal(compare_outside(compare), 1);
	compare_free(compare);
}

static void test_each_kind_is_named_in_order(void **state)
{
	(void)state;
	struct compare *compare = compare_new();
	wants(compare, GUID(1), "0x5", "published", true);
	wants(compare, GUID(2), "0x5", "published", false);
	wants(compare, GUID(3), "0x5", "joining", true);
	has(compare, GUID(9), 0x100, "full", "foreign", json_null(), NULL);
	has(compare, GUID(1), 7, "full", "unexpected", json_null(), "published");
	has(compare, GUID(4), 5, "full", "orphan", json_null(), NULL);
	has(compare, GUID(1), 5, "limited", "attachment", json_false(), "published");
	expect(compare, NULL,
	       "membership 0x5 1\nnotAMember 0x5 2\nnotAMember 0x5 3\nnoPod 0x5 4\notherPKey 0x7 1\n"
	       "foreign 0x100 9\n");
	const struct difference *wrong = compare_at(compare, 0), *other = compare_at(compare, 4);
	assert_true(wrong->listed && wrong->wanted && !wrong->elsewhere);
	assert_int_equal(wrong->has.membership, MEMBERSHIP_LIMITED);
	assert_int_equal(wrong->wants.membership, MEMBERSHIP_FULL);
	assert_true(other->elsewhere && other->wants.pkey.v == 5);
	for (size_t i = 0; i < compare_count(compare); i++)
		assert_true(problem_differs(compare_at(compare, i)->problem));
	compare_drop(compare, 0);
	assert_int_equal(compare_count(compare), 5);
	compare_free(compare);
}

/* A cluster is never still: pods come and go all the time. */
static void test_coming_and_going_is_no_difference(void **state)
{
	(void)state;
	struct compare *compare = compare_new();
	wants(compare, GUID(1), "0x5", "joining", false);
	wants(compare, GUID(2), "0x5", "leaving", true);
	wants(compare, GUID(3), "0x5", "resting", true);
	has(compare, GUID(2), 5, "full", "attachment", json_true(), "leaving");
	has(compare, GUID(3), 5, "full", "unexpected", json_null(), "resting");
	expect(compare, NULL, "joining 0x5 1\nleaving 0x5 2\nleaving 0x5 3\n");
	for (size_t i = 0; i < compare_count(compare); i++)
		assert_false(problem_differs(compare_at(compare, i)->problem));
	compare_free(compare);
}

static void test_of_one_pkey_nothing_is_said_of_others(void **state)
{
	(void)state;
	const struct pkey five = { 5 };
	struct compare *compare = compare_new();
	wants(compare, GUID(1), "0x5", "published", true);
	wants(compare, GUID(1), "0x6", "published", true);
	wants(compare, GUID(1), "0x5", "published", true); /* on two pages */
	expect(compare, &five, "notAMember 0x5 1\n");
	compare_free(compare);
}

static void test_what_is_not_understood_is_an_error(void **state)
{
	(void)state;
	static const char *const attachments[] = {
		"{}",
		"{\"guid\":\"x\",\"memberships\":[]}",
		"{\"guid\":\"02:00:00:00:00:00:00:01\",\"memberships\":[{}]}",
		"{\"guid\":\"02:00:00:00:00:00:00:01\",\"memberships\":[{\"pkey\":\"0x0\"}]}",
	};
	static const char *const members[] = {
		"{}",
		"{\"guid\":\"02:00:00:00:00:00:00:01\",\"kind\":\"orphan\"}",
		"{\"guid\":\"2\",\"kind\":\"orphan\",\"membership\":\"full\",\"index0\":true}",
	};
	struct compare *compare = compare_new();
	for (size_t i = 0; i < sizeof attachments / sizeof attachments[0]; i++) {
		json_t *value = json_loads(attachments[i], 0, NULL);
		assert_int_equal(compare_attachment(compare, value), -1);
		json_decref(value);
	}
	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
		json_t *value = json_loads(members[i], 0, NULL);
		assert_int_equal(compare_member(compare, (struct pkey){ 5 }, value), -1);
		json_decref(value);
	}
	expect(compare, NULL, "");
	compare_free(compare);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_as_it_should_be_is_no_difference),
		cmocka_unit_test(test_each_kind_is_named_in_order),
		cmocka_unit_test(test_coming_and_going_is_no_difference),
		cmocka_unit_test(test_of_one_pkey_nothing_is_said_of_others),
		cmocka_unit_test(test_what_is_not_understood_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
