#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "pkey/partitions.h"

#define DEFAULT "Default=0x7fff,ipoib : ALL=limited, SELF=full ;\n"

static struct partitions *parsed(const char *text)
{
	struct partitions *partitions = NULL;
	struct error err;

	if (partitions_parse(&partitions, text, strlen(text), NULL, &err) < 0)
		fail_msg("refused: %s\n%s", err.text, text);
	return partitions;
}

/* "full", "limited" or "no". */
static const char *role(const char *text, uint16_t pkey, uint64_t guid, enum partitions_kind kind, bool is_sm)
{
	struct partitions *partitions = parsed(text);
	struct partitions_port port = { { guid }, kind, is_sm };
	enum membership membership;
	bool member = partitions_member(partitions, pkey, &port, &membership);

	partitions_free(partitions);
	return member ? membership_name(membership) : "no";
}

static const char *of_ca(const char *text, uint16_t pkey, uint64_t guid)
{
	return role(text, pkey, guid, PARTITIONS_CA, false);
}

static void assert_refused(const char *text, size_t len, enum partitions_refusal wanted, unsigned line)
{
	struct partitions *partitions = NULL;
	enum partitions_refusal why;
	struct error err = { 0 };
	char begin[32];

	if (partitions_parse(&partitions, text, len, &why, &err) == 0)
		fail_msg("accepted: %s", text);
	assert_int_equal(err.kind, ERROR_INVALID);
	if (why != wanted)
		fail_msg("refused for %d (%s) instead of %d: %s", why, err.text, wanted, text);
	snprintf(begin, sizeof begin, "line %u: ", line);
	if (line && strncmp(err.text, begin, strlen(begin)) != 0)
		fail_msg("not \"%s\": %s", begin, err.text);
}

static void refused(const char *text, enum partitions_refusal wanted, unsigned line)
{
	assert_refused(text, strlen(text), wanted, line);
}

static void test_a_port_has_the_level_its_entry_says_or_its_definition(void **state)
{
	(void)state;
	assert_string_equal(of_ca("p=0x5 : 0x11=full, 0x12=limited, 0x13 ;", 5, 0x11), "full");
	assert_string_equal(of_ca("p=0x5 : 0x11=full, 0x12=limited, 0x13 ;", 5, 0x12), "limited");
	assert_string_equal(of_ca("p=0x5 : 0x11=full, 0x12=limited, 0x13 ;", 5, 0x13), "limited");
	assert_string_equal(of_ca("p=0x5 : 0x11=full, 0x12=limited, 0x13 ;", 5, 0x14), "no");
	assert_string_equal(of_ca("p=0x5,defmember=full : 0x11, 0x12=x ;", 5, 0x11), "full");
	assert_string_equal(of_ca("p=0x5,defmember=full : 0x11, 0x12=x ;", 5, 0x12), "limited");
	assert_string_equal(of_ca("p=0x5,defmember=full : ; q=0x6 : 0x11 ;", 6, 0x11), "limited");
	assert_string_equal(of_ca("p=0x5 : 0x11= ;", 5, 0x11), "full"); /* the beginning of "full" */
	assert_string_equal(of_ca("p=0x5 : 0x11=both ;", 5, 0x11), "full");
}

static void test_the_last_entry_for_a_port_wins_across_definitions_of_a_pkey(void **state)
{
	(void)state;
	assert_string_equal(of_ca("p=0x5 : 0x11=full ;\nq=0x8005 : 0x11=limited ;\n", 5, 0x11), "limited");
	assert_string_equal(of_ca("p=0x5 : ALL=full, 0x11=limited ;\n", 5, 0x11), "limited");
	assert_string_equal(of_ca("p=0x5 : 0x11=limited, ALL=full ;\n", 5, 0x11), "full");
}

static void test_keywords_name_ports_by_what_they_are_and_match_by_their_beginning(void **state)
{
	const char *text =
		"p=0x5 : ALL_SWITCHES=full, SELF ; q=0x6 : ALL_C=full ; r=0x7 : A ; s=0x8 : SE=full, NONE, N ;";

	(void)state;
	assert_string_equal(role(text, 5, 1, PARTITIONS_SWITCH, false), "full");
	assert_string_equal(role(text, 5, 1, PARTITIONS_CA, false), "no");
	assert_string_equal(role(text, 5, 1, PARTITIONS_CA, true), "limited");
	assert_string_equal(role(text, 6, 1, PARTITIONS_CA, false), "full");
	assert_string_equal(role(text, 6, 1, PARTITIONS_ROUTER, false), "no");
	assert_string_equal(role(text, 7, 1, PARTITIONS_ROUTER, false), "limited");
	assert_string_equal(role(text, 8, 1, PARTITIONS_CA, true), "full");
	assert_string_equal(role(text, 8, 1, PARTITIONS_CA, false), "no");
}

static void test_everybody_is_in_the_default_partition_whatever_the_file_says(void **state)
{
	(void)state;
	assert_string_equal(of_ca("p=0x5 : 0x11=full ;", 0x7fff, 0x11), "limited");
	assert_string_equal(role("p=0x5 : 0x11=full ;", 0x7fff, 0x11, PARTITIONS_CA, true), "full");
	assert_string_equal(of_ca("Default=0x7fff : ALL=full ;", 0x7fff, 0x11), "full");
	assert_string_equal(of_ca("Default : ALL=full ;", 0x7fff, 0x11), "full"); /* found by its name */
	assert_string_equal(role("0xffff : SELF=limited ;", 0x7fff, 0x11, PARTITIONS_CA, true), "limited");
}

static void test_numbers_are_read_in_every_base_that_opensm_reads(void **state)
{
	(void)state;
	assert_string_equal(of_ca("p=010 : 0X1F=full ;", 8, 0x1f), "full");
	assert_string_equal(of_ca("p=1000 : 31=full ;", 1000, 31), "full");
	assert_string_equal(of_ca("17 : 037=full ;", 17, 31), "full"); /* a name of digits is the PKey */
	assert_string_equal(of_ca("p=0x8005 : 0xffffffffffffffff=full ;", 5, UINT64_MAX), "full");
}

static void test_lists_go_over_lines_and_definitions_share_one(void **state)
{
	(void)state;
	assert_string_equal(
		of_ca("p=0x5 : 0x11=full\n0x12=full,\n\n # comment ; :\n\t0x13=full ; q=0x6 : 0x14 ;", 5, 0x13),
		"full");
	assert_string_equal(of_ca("p=0x5 : 0x11=full\n0x12=full,\n0x13=full ; q=0x6 : 0x14 ;", 6, 0x14), "limited");
	assert_string_equal(of_ca("p=0x5 :\n\n0x11=full", 5, 0x11), "full"); /* the end of the file ends it */
}

static void test_the_end_of_each_definition_is_known(void **state)
{
	const char *text = "# x\na=0x5 : 0x11 ; b=0x6 :\n0x12 ;\nc=0x7 : 0x13\n";
	struct partitions *partitions = parsed(text);

	(void)state;
	assert_int_equal(partitions->n, 3);
	assert_int_equal(partitions->definitions[0].line, 2);
	assert_int_equal(partitions->definitions[1].line, 2);
	assert_int_equal(partitions->definitions[2].line, 4);
	assert_memory_equal(text + partitions->definitions[0].at, "a=0x5", 5);
	assert_memory_equal(text + partitions->definitions[0].end, " b=0x6", 6);
	assert_memory_equal(text + partitions->definitions[1].end, "\nc", 2);
	assert_true(partitions->open);
	partitions_free(partitions);
}

static void test_flags_are_read_but_change_no_member(void **state)
{
	struct partitions *partitions =
		parsed("p=0x5,ipoib,mtu=4,,sl=x,unknown=1,indx0 :\nmgid=ff12:401b::0707,sl=1\n0x11=full ;");

	(void)state;
	assert_true(partitions->definitions[0].ipoib);
	assert_true(partitions->definitions[0].index0);
	assert_int_equal(partitions->definitions[0].n, 1);
	partitions_free(partitions);
}

static void test_what_opensm_refuses_is_refused(void **state)
{
	(void)state;
	refused("", PARTITIONS_EMPTY, 0);
	refused("# only a comment\n\n", PARTITIONS_EMPTY, 0);
	refused(DEFAULT "p=0x5 0x11 ;\n", PARTITIONS_NO_DEFINITION, 2);
	refused(DEFAULT "p=0x5,\nipoib : 0x11 ;\n", PARTITIONS_NO_DEFINITION, 2);
	refused(DEFAULT "p= : 0x11 ;\n", PARTITIONS_BAD_PKEY, 2);
	refused(DEFAULT "p=tenant : 0x11 ;\n", PARTITIONS_BAD_PKEY, 2);
	refused(DEFAULT "p=0x : 0x11 ;\n", PARTITIONS_BAD_PKEY, 2);
	refused(DEFAULT "5tenant : 0x11 ;\n", PARTITIONS_BAD_PKEY, 2);
	refused(DEFAULT "p=09 : 0x11 ;\n", PARTITIONS_BAD_PKEY, 2);
	refused(DEFAULT "p=0x5 :\n0x11,\nx ;\n", PARTITIONS_BAD_PORT, 4);
	refused(DEFAULT "p=0x5 : 0 ;\n", PARTITIONS_BAD_PORT, 2);
	refused(DEFAULT "p=0x5 : 0200000000000011 0x12 ;\n", PARTITIONS_BAD_PORT, 2);
	refused(DEFAULT "p=0x5 : all ;\n", PARTITIONS_BAD_PORT, 2);
	refused(DEFAULT "p=0x5 : 0x11\nq=0x6 : 0x12 ;\n", PARTITIONS_COLON, 3); /* the ';' is missing */
}

static void test_what_opensm_reads_otherwise_than_it_looks_is_refused(void **state)
{
	(void)state;
	refused(DEFAULT "p=0x5 : 0x11\n;\n", PARTITIONS_BARE_SEMICOLON, 3);
	refused(DEFAULT "p=0x5 : 0x11 ;; q=0x6 : 0x12 ;\n", PARTITIONS_BARE_SEMICOLON, 2);
	refused("p=0x5 : 0x11 ;\r\n", PARTITIONS_CONTROL, 1);
	refused("p=0x5 : 0x11\v ;\n", PARTITIONS_CONTROL, 1);
	assert_refused("p=0x5 : 0x11 ;\n# \0 x\n", 21, PARTITIONS_CONTROL, 2);
	refused("p=-1 : 0x11 ;\n", PARTITIONS_ODD_NUMBER, 1);
	refused("p=0x12345 : 0x11 ;\n", PARTITIONS_ODD_NUMBER, 1);
	refused("p=0x5 : 0x12345678901234567 ;\n", PARTITIONS_ODD_NUMBER, 1);
	refused("p=0x5 : -1 ;\n", PARTITIONS_ODD_NUMBER, 1);
	refused("p=0 : 0x11 ;\n", PARTITIONS_NO_PKEY, 1);
	refused("p=0x8000 : 0x11 ;\n", PARTITIONS_NO_PKEY, 1);
	refused("tenant : 0x11 ;\n", PARTITIONS_NO_PKEY, 1);
	refused("Default=0x5 : ALL ;\nDefault : ALL ;\n", PARTITIONS_NO_PKEY, 2);
	refused("p=0x5 : mgid=ff12::1 ;\n", PARTITIONS_MGID, 1);
	refused("p=0x5 : mgid=fe80::1,sl=1 ;\n", PARTITIONS_MGID, 1);
	refused("p=0x5 : mgid,sl=1 ;\n", PARTITIONS_MGID, 1);
}

static void test_a_line_has_at_most_4094_bytes(void **state)
{
	char text[8192];

	(void)state;
	int n = snprintf(text, sizeof text, "%s# %*s\n", DEFAULT, 4094 - 3, "");
	struct partitions *partitions = parsed(text);
	partitions_free(partitions);
	assert_int_equal(n, (int)strlen(DEFAULT) + 4094);
	snprintf(text, sizeof text, "%s# %*s\n", DEFAULT, 4094 - 2, "");
	refused(text, PARTITIONS_LONG_LINE, 2);
	snprintf(text, sizeof text, "%s# %*s", DEFAULT, 4094 - 2, ""); /* the last line, without a line feed */
	partitions = parsed(text);
	partitions_free(partitions);
}

static void test_a_long_foreign_word_is_cut_in_the_message(void **state)
{
	char text[1024] = "p=";
	struct partitions *partitions;
	struct error err;

	(void)state;
	memset(text + 2, 'x', 900);
	strcpy(text + 902, " : 0x11 ;\n");
	assert_int_equal(partitions_parse(&partitions, text, strlen(text), NULL, &err), -1);
	assert_true(strlen(err.text) < 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_port_has_the_level_its_entry_says_or_its_definition),
		cmocka_unit_test(test_the_last_entry_for_a_port_wins_across_definitions_of_a_pkey),
		cmocka_unit_test(test_keywords_name_ports_by_what_they_are_and_match_by_their_beginning),
		cmocka_unit_test(test_everybody_is_in_the_default_partition_whatever_the_file_says),
		cmocka_unit_test(test_numbers_are_read_in_every_base_that_opensm_reads),
		cmocka_unit_test(test_lists_go_over_lines_and_definitions_share_one),
		cmocka_unit_test(test_the_end_of_each_definition_is_known),
		cmocka_unit_test(test_flags_are_read_but_change_no_member),
		cmocka_unit_test(test_what_opensm_refuses_is_refused),
		cmocka_unit_test(test_what_opensm_reads_otherwise_than_it_looks_is_refused),
		cmocka_unit_test(test_a_line_has_at_most_4094_bytes),
		cmocka_unit_test(test_a_long_foreign_word_is_cut_in_the_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
