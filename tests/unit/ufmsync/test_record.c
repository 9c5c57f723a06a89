// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/record.h"

#define KEY_A "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=" /* 32 bytes */
#define KEY_B "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5eg=="

static struct record_keys *keys_of(const char *text)
{
	struct record_keys *keys = NULL;
	struct error err;
	assert_int_equal(record_keys_parse(&keys, text, &err), 0);
	return keys;
}

static char *signed_with(const char *key, const char *uid)
{
	struct record_attachment attachments[2] = {
		{ .network = (char *)"a/ib",
		  .index = 0,
		  .interface = (char *)"net\"1",
		  .guid = { 0x0200000000000010 },
		  .n_memberships = 2,
		  .memberships = { { { 5 }, MEMBERSHIP_FULL, true }, { { 0x7ffe }, MEMBERSHIP_LIMITED, false } } },
		{ .network = (char *)"kube-system/free",
		  .index = -1,
		  .interface = (char *)"",
		  .guid = { 0x0200000000000011 } },
	};
	struct record record = { (char *)uid, 1700000000123, attachments, 2 };
	struct record_keys *keys = keys_of(key);
	char *text = record_sign(keys, &record);
	record_keys_free(keys);
	return text;
}

static enum error_kind open_kind(const char *key, const char *text, const char *uid)
{
	struct record_keys *keys = keys_of(key);
	struct record *record = NULL;
	struct error err = { 0 };
	if (record_open(&record, keys, text, uid, &err) == 0)
		assert_int_equal(err.kind, ERROR_NONE);
	record_free(record);
	record_keys_free(keys);
	return err.kind;
}

static void test_what_is_signed_comes_back_as_it_was(void **state)
{
	(void)state;
	char *text = signed_with(KEY_A, "uid-1");
	struct record_keys *keys = keys_of(KEY_A);
	struct record *record;
	struct error err;
	assert_int_equal(record_open(&record, keys, text, "uid-1", &err), 0);
	assert_string_equal(record->uid, "uid-1");
	assert_int_equal(record->since_ms, 1700000000123);
	assert_int_equal(record->n_attachments, 2);
	const struct record_attachment *a = record->attachments;
	assert_string_equal(a->network, "a/ib");
	assert_string_equal(a->interface, "net\"1");
	assert_int_equal(a->guid.v, 0x0200000000000010);
	assert_int_equal(a->n_memberships, 2);
	assert_int_equal(a->memberships[0].pkey.v, 5);
	assert_true(a->memberships[0].index0);
	assert_int_equal(a->memberships[1].membership, MEMBERSHIP_LIMITED);
	assert_false(a->memberships[1].index0);
	assert_int_equal(a[1].index, -1);
	assert_int_equal(a[1].n_memberships, 0);
	record_free(record);
	record_keys_free(keys);
	free(text);
}

/* Made with `openssl dgst -sha256 -hmac` over a payload written by hand: the format does not change by accident. */
static void test_the_format_is_what_it_was(void **state)
{
	(void)state;
	struct record record = { (char *)"u", 7, NULL, 0 };
	struct record_keys *keys = keys_of(KEY_A);
	char *text = record_sign(keys, &record);
	assert_string_equal(text, "1.eyJ1aWQiOiJ1Iiwic2luY2UiOjcsImF0dGFjaG1lbnRzIjpbXX0."
				  "D6geB7CiApMiOe6IS99_fKIZ4W_V1LYP6cTu8ME1rOA");
	free(text);
	record_keys_free(keys);
}

static void test_any_change_breaks_the_signature(void **state)
{
	(void)state;
	char *text = signed_with(KEY_A, "uid-1");
	for (size_t i = 0; text[i]; i++) {
		char was = text[i];
		text[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(open_kind(KEY_A, text, "uid-1"), ERROR_AUTH);
		text[i] = '\0';
		assert_int_equal(open_kind(KEY_A, text, "uid-1"), ERROR_AUTH);
		text[i] = was;
	}
	char *longer = mem_printf("%sA", text);
	assert_int_equal(open_kind(KEY_A, longer, "uid-1"), ERROR_AUTH);
	free(longer);
	free(text);
}

static void test_another_pods_record_is_worth_nothing(void **state)
{
	(void)state;
	char *text = signed_with(KEY_A, "uid-1");
	assert_int_equal(open_kind(KEY_A, text, "uid-2"), ERROR_INVALID);
	assert_int_equal(open_kind(KEY_A, text, "uid-"), ERROR_INVALID);
	free(text);
}

static void test_the_first_key_signs_and_all_verify(void **state)
{
	(void)state;
	char *old = signed_with(KEY_A, "u"), *new = signed_with(KEY_B "," KEY_A, "u");
	assert_int_equal(open_kind(KEY_B "," KEY_A, old, "u"), ERROR_NONE);
	assert_int_equal(open_kind(KEY_B, new, "u"), ERROR_NONE);
	assert_int_equal(open_kind(KEY_A, new, "u"), ERROR_AUTH);
	assert_int_equal(open_kind(KEY_B, old, "u"), ERROR_AUTH);
	free(old);
	free(new);
}

static void test_bad_keys_are_named_by_position_and_length_only(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "", "key 1 has 0 bytes, at least 32 are needed" },
		{ KEY_A ",", "key 2 has 0 bytes, at least 32 are needed" },
		{ "c2hvcnQ=", "key 1 has 5 bytes, at least 32 are needed" },
		{ KEY_A ",c2VjcmV0LXNlY3JldCE*", "key 2 is not base64" },
		{ "====", "key 1 is not base64" },
		{ KEY_A "=", "key 1 is not base64" },
	};
	for (size_t i = 0; i < array_length(bad); i++) {
		struct record_keys *keys = NULL;
		struct error err = { 0 };
		assert_int_equal(record_keys_parse(&keys, bad[i].text, &err), -1);
		assert_null(keys);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_string_equal(err.text, bad[i].says);
	}
}

static void test_keys_may_stand_on_lines_and_without_padding(void **state)
{
	(void)state;
	record_keys_free(keys_of(" " KEY_A " ,\n" KEY_B "\n"));
	record_keys_free(keys_of("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"));
}

static void test_who_only_looks_believes_what_is_in_order(void **state)
{
	(void)state;
	struct record_keys *unverified = record_keys_unverified();
	char *text = signed_with(KEY_A, "u"), *dot = strrchr(text, '.');
	struct record *record;
	struct error err;
	dot[1] = dot[1] == 'A' ? 'B' : 'A';
	assert_int_equal(open_kind(KEY_A, text, "u"), ERROR_AUTH);
	assert_int_equal(record_open(&record, unverified, text, "u", &err), 0);
	assert_int_equal(record->n_attachments, 2);
	record_free(record);
	assert_int_equal(record_open(&record, unverified, text, "another", &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	*dot = '\0';
	assert_int_equal(record_open(&record, unverified, text, "u", &err), -1);
	free(text);
	record_keys_free(unverified);
}

static void test_nonsense_is_not_signed(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "1", "1.", "1..", "1.e30.", "2.e30.AAAA", "x", "{}", "1.e30" };
	for (size_t i = 0; i < array_length(bad); i++)
		assert_int_equal(open_kind(KEY_A, bad[i], "u"), ERROR_AUTH);
	char *huge = mem_alloc(RECORD_TEXT_MAX + 100);
	memset(huge, 'A', RECORD_TEXT_MAX + 99);
	memcpy(huge, "1.", 2);
	huge[RECORD_TEXT_MAX + 50] = '.';
	assert_int_equal(open_kind(KEY_A, huge, "u"), ERROR_AUTH);
	free(huge);
}

static void test_a_full_pod_fits(void **state)
{
	(void)state;
	enum { MANY = 65 };
	struct record_attachment *attachments = mem_array(MANY, sizeof *attachments);
	char name[63 + 1 + 63 + 1];
	memset(name, 'n', sizeof name - 1);
	name[63] = '/';
	name[sizeof name - 1] = '\0';
	for (int i = 0; i < MANY; i++)
		attachments[i] = (struct record_attachment){
			.network = name,
			.index = i - 1,
			.interface = (char *)"net12345678901",
			.guid = { 0x200 + (unsigned)i },
			.n_memberships = 2,
			.memberships = { { { 0x7ffe }, MEMBERSHIP_LIMITED, false }, { { 1 }, MEMBERSHIP_FULL, true } },
		};
	struct record record = { (char *)"01234567-89ab-cdef-0123-456789abcdef", INT64_MAX, attachments, MANY };
	struct record_keys *keys = keys_of(KEY_A);
	struct record *again;
	struct error err = { 0 };
	char *text = record_sign(keys, &record);
	assert_int_equal(record_open(&again, keys, text, record.uid, &err), 0);
	assert_int_equal(again->n_attachments, MANY);
	record_free(again);
	free(text);
	free(attachments);
	record_keys_free(keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_signed_comes_back_as_it_was),
		cmocka_unit_test(test_the_format_is_what_it_was),
		cmocka_unit_test(test_any_change_breaks_the_signature),
		cmocka_unit_test(test_another_pods_record_is_worth_nothing),
		cmocka_unit_test(test_the_first_key_signs_and_all_verify),
		cmocka_unit_test(test_bad_keys_are_named_by_position_and_length_only),
		cmocka_unit_test(test_keys_may_stand_on_lines_and_without_padding),
		cmocka_unit_test(test_who_only_looks_believes_what_is_in_order),
		cmocka_unit_test(test_nonsense_is_not_signed),
		cmocka_unit_test(test_a_full_pod_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
