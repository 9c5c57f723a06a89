#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "pkey/partitions_block.h"

#define DEFAULT "Default=0x7fff,ipoib : ALL=limited, SELF=full ;\n"
#define BEGIN   "# BEGIN ufmsync: written by ufmsyncd; what is changed between these two lines is lost\n"
#define END     "# END ufmsync\n"
#define BLOCK   BEGIN "ufmsync_0005=0x0005,ipoib :\n0x0000000000000011=full,\n0x0000000000000012=limited ;\n" END

static struct members *members;
static struct partitions_ours ours[2];

static int set_up(void **state)
{
	(void)state;
	members = members_new();
	members_add(members, (struct member){ { 0x12 }, MEMBERSHIP_LIMITED, false });
	members_add(members, (struct member){ { 0x11 }, MEMBERSHIP_FULL, false });
	ours[0] = (struct partitions_ours){ { 5 }, true, false, members };
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	members_free(members);
	return 0;
}

static void becomes(const char *old, size_t n, const char *wanted)
{
	struct buf out;
	struct error err;

	buf_init(&out, 1 << 20);
	if (partitions_replace(&out, old, strlen(old), ours, n, &err) < 0)
		fail_msg("refused: %s", err.text);
	assert_string_equal(out.data, wanted);
	buf_free(&out);
}

static void refuses(const char *old, size_t n, const char *said)
{
	struct buf out;
	struct error err = { 0 };

	buf_init(&out, 1 << 20);
	assert_int_equal(partitions_replace(&out, old, strlen(old), ours, n, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_int_equal(out.len, 0);
	if (!strstr(err.text, said))
		fail_msg("not \"%s\": %s", said, err.text);
	buf_free(&out);
}

static void test_our_part_is_appended_and_then_replaced_in_its_place(void **state)
{
	(void)state;
	becomes(DEFAULT, 1, DEFAULT BLOCK);
	becomes(DEFAULT BLOCK, 1, DEFAULT BLOCK);
	becomes(DEFAULT BEGIN END "q=0x6 : 0x11 ;\n", 1, DEFAULT BLOCK "q=0x6 : 0x11 ;\n");
	becomes(BEGIN END DEFAULT, 1, BLOCK DEFAULT);
	becomes(DEFAULT BLOCK "# tail", 0, DEFAULT BEGIN END "# tail");
}

static void test_the_operators_text_stays_byte_for_byte(void **state)
{
	static const char before[] =
		"\xef\xbb\xbf Default = 0x7fff , ipoib:ALL=limited,SELF=full;# \xff comment ;; :\n\n"
		" x=0x77:NONE;\n";
	static const char after[] = "\n  y=0x78 : A=l ; # end";
	char old[512], wanted[1024];

	(void)state;
	snprintf(old, sizeof old, "%s%s%s", before, BEGIN "rubbish of somebody\n" END, after);
	snprintf(wanted, sizeof wanted, "%s%s%s", before, BLOCK, after);
	becomes(old, 1, wanted);
}

static void test_a_last_line_without_an_end_gets_one(void **state)
{
	(void)state;
	becomes("Default=0x7fff : ALL ;", 1, "Default=0x7fff : ALL ;\n" BLOCK);
}

static void test_a_partition_without_members_is_left_out(void **state)
{
	struct members *nobody = members_new();

	(void)state;
	ours[1] = (struct partitions_ours){ { 6 }, false, false, nobody };
	becomes(DEFAULT, 2, DEFAULT BLOCK);
	members_free(nobody);
}

static void test_index_0_is_asked_for_by_its_flag(void **state)
{
	(void)state;
	members_remove(members, (struct guid){ 0x12 });
	ours[0].index0 = true;
	ours[0].ipoib = false;
	becomes(DEFAULT, 1, DEFAULT BEGIN "ufmsync_0005=0x0005,indx0 :\n0x0000000000000011=full ;\n" END);
}

static void test_a_part_of_the_operators_that_opensm_would_refuse_is_refused_with_its_line(void **state)
{
	(void)state;
	refuses(DEFAULT "q=0x6 : x ;\n", 1, "line 2: \"x\"");
	refuses(BLOCK DEFAULT "q=0x6 : x ;\n", 1, "line 7: \"x\""); /* as it stands in the file */
	refuses("", 1, "Default=0x7fff");
}

static void test_no_default_rule_is_invented(void **state)
{
	(void)state;
	refuses("q=0x6 : 0x11 ;\n", 1, "add a line");
	refuses("q=0x6 : 0x11 ;\n" BEGIN "Default=0x7fff : ALL ;\n" END, 1, "add a line");
}

static void test_a_pkey_that_the_operator_defines_is_not_ours(void **state)
{
	(void)state;
	refuses(DEFAULT "\nq=0x8005 : 0x99 ;\n", 1, "line 3: PKey 0x0005");
}

static void test_a_definition_that_would_swallow_our_part_is_refused(void **state)
{
	(void)state;
	refuses("Default=0x7fff : ALL", 1, "line 1: this definition has no ';'");
	refuses(DEFAULT "q=0x6 :\n" BLOCK "0x11 ;\n", 1, "line 2: this definition has no ';'");
	/* Behind it nothing is swallowed. */
	becomes(DEFAULT BLOCK "q=0x6 : 0x11", 1, DEFAULT BLOCK "q=0x6 : 0x11");
}

static void test_markers_that_are_not_one_pair_are_refused(void **state)
{
	(void)state;
	refuses(DEFAULT BEGIN, 1, "line 2: a BEGIN without an END");
	refuses(DEFAULT END, 1, "line 2: an END without a BEGIN");
	refuses(DEFAULT BLOCK BLOCK, 1, "a second BEGIN");
	refuses(DEFAULT BLOCK END, 1, "a second END");
	refuses(END DEFAULT BEGIN, 1, "line 1: an END");
}

static void test_what_is_no_marker_is_a_comment(void **state)
{
	(void)state;
	becomes("# BEGIN ufmsyncs\n # BEGIN ufmsync\n" DEFAULT, 1,
		"# BEGIN ufmsyncs\n # BEGIN ufmsync\n" DEFAULT BLOCK);
}

static void test_a_file_that_would_be_too_large_is_not_written(void **state)
{
	struct buf out;
	struct error err;

	(void)state;
	buf_init(&out, 100);
	assert_int_equal(partitions_replace(&out, DEFAULT, strlen(DEFAULT), ours, 1, &err), -1);
	assert_int_equal(err.kind, ERROR_LIMIT);
	assert_int_equal(out.len, 0);
	buf_free(&out);
}

/* --- reading it --- */

static char said[512];

static void note(void *aux, struct pkey pkey, const struct member *member)
{
	(void)aux;
	size_t at = strlen(said);
	snprintf(said + at, sizeof said - at, "%x:%llx:%s ", pkey.v, (unsigned long long)member->guid.v,
		 membership_name(member->membership));
}

static int read_ours(const char *text, struct error *err)
{
	said[0] = '\0';
	return partitions_each_of_ours(text, strlen(text), note, NULL, err);
}

static void test_our_members_are_read_back(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(read_ours(DEFAULT BLOCK "q=0x6 : 0x99 ;\n", &err), 0);
	assert_string_equal(said, "5:11:full 5:12:limited ");
	assert_int_equal(read_ours(DEFAULT, &err), 0);
	assert_string_equal(said, "");
	assert_int_equal(read_ours(DEFAULT BEGIN END, &err), 0);
	assert_string_equal(said, "");
}

/* The last entry of a port wins: what our part says of it need not be so. */
static void test_a_pkey_that_the_operator_defines_too_gives_no_members(void **state)
{
	struct error err = { 0 };
	(void)state;
	assert_int_equal(read_ours(DEFAULT BLOCK "mine=0x8005 : 0x11=limited ;\n", &err), -1);
	assert_non_null(strstr(err.text, "line 7: PKey 0x0005 is defined here"));
	assert_int_equal(read_ours("mine=0x5 : 0x11=limited ;\n" DEFAULT BLOCK, &err), -1);
	assert_int_equal(read_ours(DEFAULT BLOCK "mine=0x6 : 0x11=limited ;\n", &err), 0);
	assert_int_equal(read_ours(DEFAULT BEGIN END "mine=0x5 : 0x11=limited ;\n", &err), 0);
}

static void test_a_part_of_ours_that_somebody_changed_gives_no_members(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(read_ours(DEFAULT BEGIN "p=0x5 : 0x11=full, ALL ;\n" END, &err), -1);
	assert_string_equal(said, "");
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_int_equal(read_ours(DEFAULT BEGIN "p=0x7fff : 0x11=full ;\n" END, &err), -1);
	assert_int_equal(read_ours(DEFAULT BEGIN "p=0x5 : 0x11=both ;\n" END, &err), -1);
	assert_int_equal(read_ours(DEFAULT BEGIN "p=0x5 : x ;\n" END, &err), -1);
	assert_int_equal(read_ours(DEFAULT BEGIN, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_our_part_is_appended_and_then_replaced_in_its_place, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_the_operators_text_stays_byte_for_byte, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_last_line_without_an_end_gets_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_partition_without_members_is_left_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_index_0_is_asked_for_by_its_flag, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_part_of_the_operators_that_opensm_would_refuse_is_refused_with_its_line, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_no_default_rule_is_invented, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_pkey_that_the_operator_defines_is_not_ours, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_definition_that_would_swallow_our_part_is_refused, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_markers_that_are_not_one_pair_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_no_marker_is_a_comment, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_file_that_would_be_too_large_is_not_written, set_up, tear_down),
		cmocka_unit_test(test_our_members_are_read_back),
		cmocka_unit_test(test_a_pkey_that_the_operator_defines_too_gives_no_members),
		cmocka_unit_test(test_a_part_of_ours_that_somebody_changed_gives_no_members),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
