#undef NDEBUG
#include "ufmsync/setup/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

#define NOW  INT64_C(1800000000)
#define DAYS *INT64_C(86400)

static struct certificate_life life(int64_t age_s, int64_t whole_s)
{
	return (struct certificate_life){ NOW - age_s, NOW - age_s + whole_s };
}

/* All is as it should be, for a month. */
static struct setup_facts fine(void)
{
	struct setup_facts facts = { 0 };

	facts.key.state = SETUP_OURS;
	facts.ca.state = SETUP_OURS;
	facts.ca.life = life(30 DAYS, 3650 DAYS);
	facts.ca.permits = true;
	facts.server.state = SETUP_OURS;
	facts.server.life = life(30 DAYS, 365 DAYS);
	facts.server.by_ca = facts.server.has_name = facts.server.has_only = facts.server.trusted = true;
	facts.server.has_ca = facts.server.ca_published = true;
	facts.trust.state = SETUP_OURS;
	facts.trust.has_ca = true;
	facts.trust.since_s = NOW - 30 DAYS;
	return facts;
}

/* A certificate of somebody else, with its CA. */
static struct setup_facts foreign(void)
{
	struct setup_facts facts = fine();

	facts.server.state = SETUP_FOREIGN;
	facts.server.by_ca = facts.server.has_only = false;
	facts.ca.state = SETUP_ABSENT;
	facts.trust.has_ca = false;
	facts.trust.since_s = 0;
	return facts;
}

static enum setup_step step(const struct setup_facts *facts, enum setup_part part)
{
	return setup_decide(facts, part, NOW).step;
}

#define assert_step(facts, expected) assert_int_equal(step(&(facts), SETUP_PART_CERTIFICATE), expected)

static void test_what_is_right_is_left_alone(void **state)
{
	struct setup_facts ours = fine(), theirs = foreign();

	(void)state;
	for (int part = 0; part < SETUP_PARTS; part++) {
		assert_int_equal(step(&ours, (enum setup_part)part), SETUP_RIGHT);
		assert_int_equal(step(&theirs, (enum setup_part)part), SETUP_RIGHT);
	}
}

static void test_a_record_key_is_made_once_and_never_replaced(void **state)
{
	struct setup_facts facts = fine();

	(void)state;
	facts.key.state = SETUP_ABSENT;
	assert_int_equal(step(&facts, SETUP_PART_KEY), SETUP_MAKE_KEY);
	facts.key.state = SETUP_BROKEN;
	error_set(&facts.key.why, ERROR_INVALID, "because");
	struct setup_decision decision = setup_decide(&facts, SETUP_PART_KEY, NOW);
	assert_int_equal(decision.step, SETUP_TROUBLE);
	assert_string_equal(decision.cause->text, "because");
}

static void test_a_record_key_that_was_lost_is_no_small_matter(void **state)
{
	struct setup_facts facts = { 0 };

	(void)state;
	assert_false(setup_decide(&facts, SETUP_PART_KEY, NOW).loss);
	facts.ca.state = SETUP_OURS;
	struct setup_decision decision = setup_decide(&facts, SETUP_PART_KEY, NOW);
	assert_int_equal(decision.step, SETUP_MAKE_KEY);
	assert_true(decision.loss);
	facts.ca.state = SETUP_ABSENT;
	facts.trust.state = SETUP_FOREIGN;
	assert_false(setup_decide(&facts, SETUP_PART_KEY, NOW).loss);
	facts.trust.state = SETUP_OURS;
	assert_true(setup_decide(&facts, SETUP_PART_KEY, NOW).loss);
}

static void test_first_the_ca_then_its_publication_then_the_certificate(void **state)
{
	struct setup_facts facts = { 0 };

	(void)state;
	assert_step(facts, SETUP_MAKE_CA);
	facts.ca = fine().ca;
	assert_step(facts, SETUP_PUBLISH);
	facts.trust.state = SETUP_OURS;
	assert_step(facts, SETUP_PUBLISH);
	facts.trust.has_ca = true;
	assert_step(facts, SETUP_ISSUE);
}

static void test_a_certificate_is_renewed_when_under_a_third_of_its_life_is_left(void **state)
{
	struct setup_facts facts = fine();

	(void)state;
	facts.server.life = life(240 DAYS, 360 DAYS);
	assert_step(facts, SETUP_RIGHT);
	facts.server.life = life(240 DAYS + 3, 360 DAYS);
	assert_step(facts, SETUP_ISSUE);
	facts.server.life = life(361 DAYS, 360 DAYS);
	assert_step(facts, SETUP_ISSUE);
	facts.server.life = life(-1 DAYS, 360 DAYS);
	assert_step(facts, SETUP_ISSUE);
}

static void test_other_names_make_a_new_certificate(void **state)
{
	struct setup_facts facts = fine();

	(void)state;
	facts.server.has_only = false;
	assert_step(facts, SETUP_ISSUE);
	facts = fine();
	facts.ca.permits = false;
	assert_step(facts, SETUP_MAKE_CA);
}

static void test_a_ca_is_renewed_when_under_a_third_of_its_life_is_left(void **state)
{
	struct setup_facts facts = fine();

	(void)state;
	facts.ca.life = life(2400 DAYS, 3600 DAYS);
	assert_step(facts, SETUP_RIGHT);
	facts.ca.life = life(2400 DAYS + 3, 3600 DAYS);
	assert_step(facts, SETUP_MAKE_CA);
	facts.ca.life = life(3601 DAYS, 3600 DAYS);
	assert_step(facts, SETUP_MAKE_CA);
	facts.ca.life = life(-1 DAYS, 3600 DAYS);
	assert_step(facts, SETUP_MAKE_CA);
}

/* The certificate in use is still of the old one. */
static struct setup_facts with_new_ca(void)
{
	struct setup_facts facts = fine();

	facts.ca.life = life(0, 3650 DAYS);
	facts.server.by_ca = false;
	facts.trust.has_former = true;
	facts.trust.since_s = NOW;
	return facts;
}

static void test_the_nodes_have_a_day_to_take_a_new_ca_up(void **state)
{
	struct setup_facts facts = with_new_ca();

	(void)state;
	facts.trust.has_ca = false;
	assert_step(facts, SETUP_PUBLISH);
	facts.trust.has_ca = true;
	assert_step(facts, SETUP_WAIT);
	facts.trust.since_s = NOW - 1 DAYS + 1;
	assert_step(facts, SETUP_WAIT);
	facts.trust.since_s = NOW - 1 DAYS;
	assert_step(facts, SETUP_ISSUE);
}

static void test_the_day_is_counted_anew_when_its_beginning_is_not_known(void **state)
{
	struct setup_facts facts = with_new_ca();

	(void)state;
	facts.trust.since_s = 0;
	assert_step(facts, SETUP_PUBLISH);
	facts.trust.since_s = NOW + 1;
	assert_step(facts, SETUP_PUBLISH);
}

static void test_a_certificate_that_is_no_good_to_anybody_is_replaced_at_once(void **state)
{
	struct setup_facts facts = with_new_ca();

	(void)state;
	facts.server.trusted = false;
	assert_step(facts, SETUP_ISSUE);
	facts = with_new_ca();
	facts.server.has_name = false;
	assert_step(facts, SETUP_ISSUE);
	facts = with_new_ca();
	facts.server.life = life(366 DAYS, 365 DAYS);
	assert_step(facts, SETUP_ISSUE);
	facts = with_new_ca();
	facts.server.state = SETUP_ABSENT;
	assert_step(facts, SETUP_ISSUE);
}

static void test_a_former_ca_goes_a_day_after_the_last_certificate_of_it(void **state)
{
	struct setup_facts facts = fine();

	(void)state;
	facts.trust.has_former = true;
	facts.server.life = setup_new_life(365, NOW - 1 DAYS + 1);
	assert_step(facts, SETUP_RIGHT);
	facts.server.life = setup_new_life(365, NOW - 1 DAYS);
	assert_step(facts, SETUP_TIDY);
	facts.trust.has_former = false;
	assert_step(facts, SETUP_RIGHT);
	facts.trust.has_expired = true;
	assert_step(facts, SETUP_TIDY);
}

static void test_what_cannot_be_used_is_left_to_its_owner(void **state)
{
	struct setup_facts facts = fine();

	(void)state;
	facts.ca.state = SETUP_BROKEN;
	assert_step(facts, SETUP_TROUBLE);
	facts = fine();
	facts.server.state = SETUP_BROKEN;
	assert_step(facts, SETUP_TROUBLE);
	assert_int_equal(step(&facts, SETUP_PART_TRUST), SETUP_TROUBLE);
	facts = fine();
	facts.trust.state = SETUP_BROKEN;
	assert_step(facts, SETUP_TROUBLE);
	assert_int_equal(step(&facts, SETUP_PART_TRUST), SETUP_TROUBLE);
	assert_int_equal(step(&facts, SETUP_PART_KEY), SETUP_RIGHT);
}

static void test_a_certificate_of_somebody_else_is_never_replaced(void **state)
{
	struct setup_facts facts;

	(void)state;
	for (unsigned bits = 0; bits < 1u << 9; bits++) {
		facts = foreign();
		facts.ca.state = bits & 1 ? SETUP_OURS : SETUP_ABSENT;
		facts.server.life = bits & 2 ? life(366 DAYS, 365 DAYS) : life(300 DAYS, 365 DAYS);
		facts.server.has_name = bits & 4;
		facts.server.trusted = bits & 8;
		facts.server.has_ca = bits & 16;
		facts.server.ca_published = bits & 32;
		facts.trust.state = bits & 64 ? SETUP_FOREIGN : bits & 128 ? SETUP_OURS : SETUP_ABSENT;
		facts.trust.has_expired = bits & 256;
		enum setup_step what = step(&facts, SETUP_PART_CERTIFICATE);
		assert_true(what == SETUP_PUBLISH || what == SETUP_TIDY || what == SETUP_RIGHT ||
			    what == SETUP_TROUBLE);
		assert_int_equal(what, step(&facts, SETUP_PART_TRUST));
	}
}

static void test_the_ca_beside_a_foreign_certificate_is_published(void **state)
{
	struct setup_facts facts = foreign();

	(void)state;
	facts.trust.state = SETUP_ABSENT;
	assert_step(facts, SETUP_PUBLISH);
	facts.server.has_ca = false;
	assert_step(facts, SETUP_TROUBLE);
	facts = foreign();
	facts.server.ca_published = false;
	assert_step(facts, SETUP_PUBLISH);
	facts.trust.state = SETUP_FOREIGN;
	assert_step(facts, SETUP_RIGHT);
	facts.server.trusted = false;
	assert_step(facts, SETUP_TROUBLE);
}

static void test_what_is_wrong_with_a_foreign_certificate_is_said(void **state)
{
	struct setup_facts facts = foreign();

	(void)state;
	facts.server.life = life(366 DAYS, 365 DAYS);
	assert_step(facts, SETUP_TROUBLE);
	facts = foreign();
	facts.server.has_name = false;
	assert_step(facts, SETUP_TROUBLE);
	facts = foreign();
	facts.server.life = life(360 DAYS, 365 DAYS);
	assert_step(facts, SETUP_RIGHT);
	facts.trust.has_expired = true;
	assert_step(facts, SETUP_TIDY);
	facts.trust.state = SETUP_FOREIGN;
	assert_step(facts, SETUP_RIGHT);
}

static void test_a_certificate_that_somebody_else_is_to_make_is_waited_for(void **state)
{
	struct setup_facts facts = { 0 };

	(void)state;
	assert_int_equal(step(&facts, SETUP_PART_TRUST), SETUP_LATER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_right_is_left_alone),
		cmocka_unit_test(test_a_record_key_is_made_once_and_never_replaced),
		cmocka_unit_test(test_a_record_key_that_was_lost_is_no_small_matter),
		cmocka_unit_test(test_first_the_ca_then_its_publication_then_the_certificate),
		cmocka_unit_test(test_a_certificate_is_renewed_when_under_a_third_of_its_life_is_left),
		cmocka_unit_test(test_other_names_make_a_new_certificate),
		cmocka_unit_test(test_a_ca_is_renewed_when_under_a_third_of_its_life_is_left),
		cmocka_unit_test(test_the_nodes_have_a_day_to_take_a_new_ca_up),
		cmocka_unit_test(test_the_day_is_counted_anew_when_its_beginning_is_not_known),
		cmocka_unit_test(test_a_certificate_that_is_no_good_to_anybody_is_replaced_at_once),
		cmocka_unit_test(test_a_former_ca_goes_a_day_after_the_last_certificate_of_it),
		cmocka_unit_test(test_what_cannot_be_used_is_left_to_its_owner),
		cmocka_unit_test(test_a_certificate_of_somebody_else_is_never_replaced),
		cmocka_unit_test(test_the_ca_beside_a_foreign_certificate_is_published),
		cmocka_unit_test(test_what_is_wrong_with_a_foreign_certificate_is_said),
		cmocka_unit_test(test_a_certificate_that_somebody_else_is_to_make_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
