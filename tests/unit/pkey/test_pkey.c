#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "pkey/pkey.h"

static void test_hexadecimal_and_decimal_are_read_as_written(void **state)
{
	static const struct {
		const char *text;
		unsigned value;
	} good[] = {
		{ "0x5", 5 },     { "0X5", 5 },         { "0x05", 5 },        { "0x0005", 5 },
		{ "0xaB", 0xab }, { "0x7ffe", 0x7ffe }, { "0X7FFE", 0x7ffe }, { "1", 1 },
		{ "1000", 1000 }, { "0x1000", 0x1000 }, { "32766", 0x7ffe },
	};
	(void)state;
	for (size_t i = 0; i < array_length(good); i++) {
		struct pkey pkey = { 0 };
		assert_true(pkey_parse(&pkey, good[i].text));
		assert_int_equal(pkey.v, good[i].value);
	}
}

static void test_anything_else_is_refused_and_the_output_untouched(void **state)
{
	static const char *const bad[] = {
		"",       "0",       "00",    "05",           "0x",    "x5",         "5x",         "0x5 ",   " 0x5",
		"+5",     "-5",      "0x-5",  "0x+5",         "0x0",   "0x0000",     "0x7fff",     "0x8000", "0x8005",
		"0xffff", "0x00005", "32767", "65536",        "99999", "100000",     "1e3",        "0b1",    "0x5,",
		"0xg",    "a",       "7ffe",  "\xef\xbc\x95", "0x5\n", "4294967297", "0x10000001",
	};
	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		struct pkey pkey = { 77 };
		if (pkey_parse(&pkey, bad[i]))
			fail_msg("accepted \"%s\"", bad[i]);
		assert_int_equal(pkey.v, 77);
	}
}

static void test_a_number_has_the_same_bounds(void **state)
{
	struct pkey pkey = { 77 };
	(void)state;
	assert_false(pkey_from_number(&pkey, 0));
	assert_false(pkey_from_number(&pkey, -5));
	assert_false(pkey_from_number(&pkey, 0x7fff));
	assert_false(pkey_from_number(&pkey, INT64_MAX));
	assert_false(pkey_from_number(&pkey, 0x10005));
	assert_int_equal(pkey.v, 77);
	assert_true(pkey_from_number(&pkey, 1));
	assert_true(pkey_from_number(&pkey, 0x7ffe));
	assert_int_equal(pkey.v, 0x7ffe);
}

static void test_every_valid_pkey_survives_both_of_its_forms(void **state)
{
	(void)state;
	for (unsigned v = PKEY_FIRST; v <= PKEY_LAST; v++) {
		char people[PKEY_TEXT_MAX], wire[PKEY_TEXT_MAX];
		struct pkey a, b;
		assert_true(pkey_parse(&a, pkey_format(people, (struct pkey){ (uint16_t)v })));
		assert_true(pkey_parse(&b, pkey_format_wire(wire, (struct pkey){ (uint16_t)v })));
		assert_int_equal(a.v, v);
		assert_int_equal(b.v, v);
	}
	char text[PKEY_TEXT_MAX];
	assert_string_equal(pkey_format(text, (struct pkey){ 5 }), "0x0005");
	assert_string_equal(pkey_format_wire(text, (struct pkey){ 5 }), "0x5");
	assert_string_equal(pkey_format_wire(text, (struct pkey){ PKEY_MANAGEMENT }), "0x7fff");
}

static void test_membership_is_full_or_limited(void **state)
{
	enum membership membership = MEMBERSHIP_FULL;
	(void)state;
	assert_true(membership_parse(&membership, membership_name(MEMBERSHIP_LIMITED)));
	assert_int_equal(membership, MEMBERSHIP_LIMITED);
	assert_true(membership_parse(&membership, membership_name(MEMBERSHIP_FULL)));
	assert_int_equal(membership, MEMBERSHIP_FULL);
	assert_false(membership_parse(&membership, "Full"));
	assert_false(membership_parse(&membership, "both"));
	assert_false(membership_parse(&membership, ""));
}

static size_t count(const struct pkey_set *set)
{
	size_t n = 0;
	for (unsigned v = 0; v < 0x10000; v++)
		n += pkey_set_has(set, (struct pkey){ (uint16_t)v });
	return n;
}

static void test_a_set_holds_what_was_listed_and_nothing_else(void **state)
{
	struct pkey_set set;
	(void)state;
	assert_true(pkey_set_parse(&set, " 0x5 ,0x10-0x1f,\t1000\n", NULL));
	assert_int_equal(count(&set), 1 + 16 + 1);
	assert_true(pkey_set_has(&set, (struct pkey){ 5 }));
	assert_true(pkey_set_has(&set, (struct pkey){ 0x10 }));
	assert_true(pkey_set_has(&set, (struct pkey){ 0x1f }));
	assert_false(pkey_set_has(&set, (struct pkey){ 0x20 }));
	assert_true(pkey_set_has(&set, (struct pkey){ 1000 }));
	assert_false(pkey_set_has(&set, (struct pkey){ 0x8005 }));

	assert_true(pkey_set_parse(&set, "0x1-0x7ffe", NULL));
	assert_int_equal(count(&set), 0x7ffe);
	assert_true(pkey_set_parse(&set, "7-7", NULL));
	assert_int_equal(count(&set), 1);
	assert_true(pkey_set_parse(&set, "", NULL));
	assert_int_equal(count(&set), 0);
	assert_true(pkey_set_parse(&set, " \n", NULL));
	assert_int_equal(count(&set), 0);
	pkey_set_add(&set, (struct pkey){ PKEY_MANAGEMENT });
	assert_true(pkey_set_has(&set, (struct pkey){ PKEY_MANAGEMENT }));
	pkey_set_add(&set, (struct pkey){ 0x7ffe });
	pkey_set_remove(&set, (struct pkey){ PKEY_MANAGEMENT });
	pkey_set_remove(&set, (struct pkey){ 1 });
	assert_int_equal(count(&set), 1);
	assert_true(pkey_set_has(&set, (struct pkey){ 0x7ffe }));
}

static void test_a_bad_set_says_where_and_leaves_the_old_one(void **state)
{
	static const struct {
		const char *text;
		size_t at;
	} bad[] = {
		{ ",", 0 },           { "0x5,", 4 }, { "0x5,,0x6", 4 },    { "0x5 0x6", 0 },    { "0x5,x", 4 },
		{ "0x6-0x5", 0 },     { "0x5-", 0 }, { "1,0x5 - 0x6", 2 }, { "1, 0x0-0x5", 3 }, { "0x1-0x7fff", 0 },
		{ "0x5-0x6-0x7", 0 }, { "all", 0 },  { "1;2", 0 },
	};
	(void)state;
	for (size_t i = 0; i < array_length(bad); i++) {
		struct pkey_set set = { 0 };
		const char *where = NULL;
		pkey_set_add(&set, (struct pkey){ 77 });
		if (pkey_set_parse(&set, bad[i].text, &where))
			fail_msg("accepted \"%s\"", bad[i].text);
		assert_ptr_equal(where, bad[i].text + bad[i].at);
		assert_int_equal(count(&set), 1);
		assert_false(pkey_set_parse(&set, bad[i].text, NULL));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hexadecimal_and_decimal_are_read_as_written),
		cmocka_unit_test(test_anything_else_is_refused_and_the_output_untouched),
		cmocka_unit_test(test_a_number_has_the_same_bounds),
		cmocka_unit_test(test_every_valid_pkey_survives_both_of_its_forms),
		cmocka_unit_test(test_membership_is_full_or_limited),
		cmocka_unit_test(test_a_set_holds_what_was_listed_and_nothing_else),
		cmocka_unit_test(test_a_bad_set_says_where_and_leaves_the_old_one),
	};
	return cmocka_run_group_tests_name("pkey", tests, NULL, NULL);
}
