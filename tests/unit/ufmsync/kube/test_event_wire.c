#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "ufmsync/kube/event_wire.h"

static const struct event_wire model = {
	.name = "p.0000000000000001",
	.namespace = "team",
	.controller = "ufmsync.io/test",
	.instance = "host-1",
	.about = "p",
	.uid = "u-1",
	.reason = "Member",
	.action = "Attach",
	.note = "a",
	.first_wall_ms = 1767225600000,
	.last_wall_ms = 1767225660500,
	.count = 1,
};

static void test_the_first_has_no_series(void **state)
{
	(void)state;
	char *text = event_wire_creation(&model);
	assert_string_equal(
		text, "{\"apiVersion\":\"events.k8s.io/v1\",\"kind\":\"Event\",\"metadata\":{\"name\":"
		      "\"p.0000000000000001\",\"namespace\":\"team\"},\"eventTime\":\"2026-01-01T00:00:00.000000Z\","
		      "\"reportingController\":\"ufmsync.io/test\",\"reportingInstance\":\"host-1\",\"action\":"
		      "\"Attach\",\"reason\":\"Member\",\"regarding\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\","
		      "\"namespace\":\"team\",\"name\":\"p\",\"uid\":\"u-1\"},\"note\":\"a\",\"type\":\"Normal\"}");
	free(text);
}

static void test_from_two_on_it_is_a_series(void **state)
{
	struct event_wire event = model;

	(void)state;
	event.count = 2;
	char *patch = event_wire_repetition(&event), *whole = event_wire_creation(&event);
	assert_string_equal(patch, "{\"series\":{\"count\":2,\"lastObservedTime\":\"2026-01-01T00:01:00.500000Z\"}}");
	assert_non_null(strstr(whole, "\"series\":{\"count\":2,"));
	free(patch);
	free(whole);
}

static void test_a_text_that_is_not_utf8_is_no_event(void **state)
{
	struct event_wire event = model;

	(void)state;
	event.about = "\xff";
	assert_null(event_wire_creation(&event));
}

static void expect_note(const char *text, const char *note)
{
	char *made = event_wire_note(text);

	assert_string_equal(made, note);
	free(made);
}

static void test_a_note_is_one_harmless_line(void **state)
{
	(void)state;
	expect_note("a \"quote\" \\ of 0x5", "a \"quote\" \\ of 0x5");
	expect_note("a\nWarning  Forged\t\x1b[31m\x7f", "a Warning  Forged  [31m ");
	expect_note("\xff\xc3", "??");
	expect_note("c1 \xc2\x9b"
		    "31m, bidi \xe2\x80\xae"
		    "abc\xe2\x81\xa6 \xe2\x80\xa8.",
		    "c1   31m, bidi    abc       .");
	expect_note("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xc2\xa0.", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xc2\xa0.");
}

static void test_a_note_is_cut_between_characters(void **state)
{
	char text[2000], *note;

	(void)state;
	for (unsigned shift = 0; shift < 4; shift++) {
		memset(text, 'x', sizeof text);
		for (size_t at = shift; at + 3 < sizeof text; at += 3)
			memcpy(text + at, "\xe2\x82\xac", 3);
		text[sizeof text - 4] = '\0';
		note = event_wire_note(text);
		assert_in_range(strlen(note), EVENT_NOTE_MAX - 2, EVENT_NOTE_MAX);
		assert_true(utf8_valid(note, strlen(note)));
		assert_memory_equal(note, text, strlen(note));
		free(note);
	}
}

static void test_a_name_is_one_that_a_server_takes(void **state)
{
	char about[254], *name;

	(void)state;
	name = event_wire_name("p-0", 0x17f0);
	assert_string_equal(name, "p-0.00000000000017f0");
	free(name);
	memset(about, 'a', 253);
	memset(about + 200, '-', 30);
	about[253] = '\0';
	name = event_wire_name(about, 1);
	assert_int_equal(strlen(name), 200 + 1 + 16);
	assert_null(strchr(name, '-'));
	free(name);
}

static void test_of_a_long_identity_the_end_stays(void **state)
{
	char identity[300], *instance;

	(void)state;
	instance = event_wire_instance("node-1_6a1c");
	assert_string_equal(instance, "node-1_6a1c");
	free(instance);
	memset(identity, 'n', sizeof identity);
	strcpy(identity + 253, "_6a1c");
	instance = event_wire_instance(identity);
	assert_int_equal(strlen(instance), EVENT_TEXT_MAX);
	assert_string_equal(instance + EVENT_TEXT_MAX - 6, "n_6a1c");
	free(instance);
	memcpy(identity + 258 - EVENT_TEXT_MAX - 1, "\xc3\xbc", 2); /* a character at the cut */
	instance = event_wire_instance(identity);
	assert_int_equal(strlen(instance), EVENT_TEXT_MAX - 1);
	assert_true(utf8_valid(instance, strlen(instance)));
	free(instance);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_has_no_series),
		cmocka_unit_test(test_from_two_on_it_is_a_series),
		cmocka_unit_test(test_a_text_that_is_not_utf8_is_no_event),
		cmocka_unit_test(test_a_note_is_one_harmless_line),
		cmocka_unit_test(test_a_note_is_cut_between_characters),
		cmocka_unit_test(test_a_name_is_one_that_a_server_takes),
		cmocka_unit_test(test_of_a_long_identity_the_end_stays),
	};
	return cmocka_run_group_tests_name("event_wire", tests, NULL, NULL);
}
