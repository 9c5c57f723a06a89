// clang-format off
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cni/webhook/attach_match.h"

#define GUID(n) .has_guid = true, .guid = { 0x0200000000000000u + (n) }
#define HINT(n) .has_hint = true, .hint = { 0x0200000000000000u + (n) }

static struct attach_given memory[32];
static size_t n_memory;

static int forget(void **state)
{
	(void)state;
	n_memory = 0;
	return 0;
}

/* As the webhook keeps it: an interface has one attachment, an attachment one interface. */
static void remember(const char *interface, int index)
{
	size_t n = 0;

	for (size_t i = 0; i < n_memory; i++)
		if (memory[i].index != index && strcmp(memory[i].interface, interface) != 0)
			memory[n++] = memory[i];
	snprintf(memory[n].interface, sizeof memory[n].interface, "%s", interface);
	memory[n].index = index;
	memory[n].sandbox = 0;
	n_memory = n + 1;
}

enum { NONE = -100, TAKEN, LEADER };

/* The index that is found. */
static int match(const struct attach_candidate *candidates, size_t n, const struct attach_ask *ask)
{
	size_t found = SIZE_MAX;

	switch (attach_match(candidates, n, ask, memory, n_memory, &found)) {
	case ATTACH_MATCH_NONE:
		return NONE;
	case ATTACH_MATCH_TAKEN:
		return TAKEN;
	case ATTACH_MATCH_LEADER:
		return LEADER;
	case ATTACH_MATCH_FOUND:
		break;
	}
	assert_true(found < n);
	return candidates[found].index;
}

static int ask_for(const struct attach_candidate *candidates, size_t n, const char *interface, const char *network)
{
	return match(candidates, n,
		     &(struct attach_ask){ .interface = interface, .network_name = network, .leads = true });
}

static void test_a_hint_of_this_pod_is_believed(void **state)
{
	const struct attach_candidate pod[] = { { 0, "", "ib", GUID(1) }, { 1, "", "ib", GUID(2) } };
	struct attach_ask ask = { "net1", "ib", HINT(2) };

	(void)state;
	assert_int_equal(match(pod, 2, &ask), 1);
}

static void test_a_hint_that_nobody_or_another_pod_holds_is_not_believed(void **state)
{
	const struct attach_candidate pod[] = { { 0, "", "ib", GUID(1) }, { 1, "", "ib", .has_guid = false } };
	struct attach_ask ask = { "net2", "ib", HINT(7) };

	(void)state;
	assert_int_equal(match(pod, 2, &ask), 1);
}

static void test_a_hint_for_another_name_network_or_interface_is_not_believed(void **state)
{
	const struct attach_candidate pod[] = { { 0, "net9", "ib", GUID(1) },
						{ 1, "", "other", GUID(2) },
						{ 2, "", "ib", GUID(3) },
						{ 3, "", "ib", GUID(4) },
						{ -1, "", "ib", GUID(5) } };

	(void)state;
	remember("net4", 3);
	for (uint64_t hint = 1; hint <= 5; hint++) {
		struct attach_ask ask = { "net3", "ib", HINT(hint), .leads = true };

		assert_int_equal(match(pod, 5, &ask), 2);
	}
}

static void test_a_hint_does_where_the_network_is_not_known_yet(void **state)
{
	const struct attach_candidate pod[] = { { 0, "", "", GUID(1) } };
	struct attach_ask ask = { "net1", "ib", HINT(1) };

	(void)state;
	assert_int_equal(match(pod, 1, &ask), 0);
	ask.has_hint = false;
	assert_int_equal(match(pod, 1, &ask), NONE);
}

static void test_the_interface_s_name_decides(void **state)
{
	const struct attach_candidate pod[] = { { 0, "ib0", "ib", .has_guid = false },
						{ 1, "net1", "ib", .has_guid = false },
						{ 2, "", "ib", .has_guid = false } };

	(void)state;
	assert_int_equal(ask_for(pod, 3, "ib0", "ib"), 0);
	assert_int_equal(ask_for(pod, 3, "net1", "ib"), 1);
	assert_int_equal(ask_for(pod, 3, "net3", "ib"), 2);
}

static void test_two_that_ask_for_one_name_are_told_apart_by_their_networks(void **state)
{
	const struct attach_candidate pod[] = { { 0, "ib0", "a", .has_guid = false },
						{ 1, "ib0", "b", .has_guid = false } };

	(void)state;
	assert_int_equal(ask_for(pod, 2, "ib0", "b"), 1);
	assert_int_equal(ask_for(pod, 2, "ib0", "c"), 0);
}

static void test_the_default_network_is_what_the_runtime_names(void **state)
{
	const struct attach_candidate pod[] = { { 0, "", "ib", .has_guid = false },
						{ -1, "", "ib", .has_guid = false } };

	(void)state;
	assert_int_equal(ask_for(pod, 2, "eth0", "ib"), -1);
	assert_int_equal(ask_for(pod, 2, "net1", "ib"), 0);
	assert_int_equal(ask_for(pod, 2, "net0", "ib"), 0);
	assert_int_equal(ask_for(pod, 1, "eth0", "ib"), NONE);
	assert_int_equal(ask_for(pod + 1, 1, "net0", "ib"), NONE);
}

static void test_only_multus_own_numbers_are_numbers(void **state)
{
	static const char *const names[] = { "net", "net01", "net-1", "net1a", "net1234567890", "Net1", "ne1" };
	const struct attach_candidate pod[] = { { -1, "", "ib", .has_guid = false },
						{ 0, "", "ib", .has_guid = false } };

	(void)state;
	for (size_t i = 0; i < array_length(names); i++)
		assert_int_equal(ask_for(pod, 2, names[i], "ib"), -1);
}

static void test_the_position_decides_among_those_without_a_name(void **state)
{
	const struct attach_candidate pod[] = { { 0, "", "a", .has_guid = false },
						{ 1, "", "b", .has_guid = false },
						{ 2, "", "a", .has_guid = false },
						{ 3, "", "b", .has_guid = false } };

	(void)state;
	for (int i = 0; i < 4; i++) {
		char interface[16];

		snprintf(interface, sizeof interface, "net%d", i + 1);
		assert_int_equal(ask_for(pod, 4, interface, i % 2 ? "b" : "a"), i);
	}
	assert_int_equal(ask_for(pod, 4, "net1", "c"), NONE);
}

/* Of the config's name "ib", with that PKey in it. */
static int ask_with_pkey(const struct attach_candidate *candidates, size_t n, const char *interface, uint16_t pkey)
{
	return match(
		candidates, n,
		&(struct attach_ask){ .interface = interface, .network_name = "ib", .leads = true, .pkey = { pkey } });
}

/* Behind a network of the cluster's own, of which we know nothing: net2 is the pod's first. */
static void test_networks_that_share_a_name_are_told_apart_by_their_pkeys(void **state)
{
	const struct attach_candidate pod[] = { { 0, "", "ib", .pkey = { 5 } },
						{ 1, "", "ib", .pkey = { 6 } },
						{ 2, "", "ib", .pkey = { 5 } } };

	(void)state;
	assert_int_equal(ask_with_pkey(pod, 2, "net2", 5), 0);
	assert_int_equal(ask_with_pkey(pod, 2, "net3", 6), 1);
	assert_int_equal(ask_with_pkey(pod, 2, "net1", 6), 1);
	assert_int_equal(ask_with_pkey(pod, 3, "net3", 5), 2);
	remember("net3", 2);
	assert_int_equal(ask_with_pkey(pod, 3, "net2", 5), 0);
	assert_int_equal(ask_with_pkey(pod, 3, "net9", 6), 1);
	remember("net2", 0);
	assert_int_equal(ask_with_pkey(pod, 3, "net4", 5), TAKEN);
}

static void test_a_pkey_that_none_of_them_has_says_nothing(void **state)
{
	const struct attach_candidate pod[] = { { 0, "", "ib", .pkey = { 5 } },
						{ 1, "", "ib", .pkey = { 0 } },
						{ 2, "", "other", .pkey = { 7 } },
						{ 3, "ib0", "ib", .pkey = { 7 } } };

	(void)state;
	assert_int_equal(ask_with_pkey(pod, 4, "net1", 7), 0);
	assert_int_equal(ask_with_pkey(pod, 4, "net2", 7), 1);
	assert_int_equal(ask_with_pkey(pod, 4, "net2", 0), 1);
	assert_int_equal(ask_with_pkey(pod, 4, "ib0", 5), 3);
}

static void test_what_an_interface_got_before_it_gets_again(void **state)
{
	const struct attach_candidate pod[] = { { 0, "", "ib", .has_guid = false },
						{ 1, "", "ib", .has_guid = false } };

	(void)state;
	remember("net1", 1);
	assert_int_equal(ask_for(pod, 2, "net1", "ib"), 1);
	assert_int_equal(ask_for(pod, 2, "net2", "ib"), 0);
	remember("net2", 0);
	assert_int_equal(ask_for(pod, 2, "net3", "ib"), TAKEN);
}

static void test_in_another_sandbox_everything_is_free_again(void **state)
{
	const struct attach_candidate pod[] = { { 0, "", "ib", GUID(1) }, { 1, "", "ib", GUID(2) } };
	struct attach_ask ask = { .interface = "net2", .network_name = "ib", HINT(1), .leads = true };

	(void)state;
	remember("net1", 0);
	remember("net2", 1);
	assert_int_equal(match(pod, 2, &ask), 1); /* the hint names what net1 has */
	ask.sandbox = 1;
	assert_int_equal(match(pod, 2, &ask), 0);
	ask.has_hint = false;
	assert_int_equal(match(pod, 2, &ask), 1); /* what it got before, without a better reason */
	ask.interface = "net9";
	assert_int_equal(match(pod, 2, &ask), 0);
	ask.sandbox = 0;
	assert_int_equal(match(pod, 2, &ask), TAKEN);
}

static void test_memory_of_what_the_pod_no_longer_has_counts_for_nothing(void **state)
{
	const struct attach_candidate pod[] = { { 3, "", "ib", .has_guid = false } };

	(void)state;
	remember("net1", 0);
	assert_int_equal(ask_for(pod, 1, "net1", "ib"), 3);
}

static void test_the_first_free_one_is_the_first_of_the_pod(void **state)
{
	const struct attach_candidate pod[] = { { 5, "", "ib", .has_guid = false },
						{ 0, "", "ib", .has_guid = false },
						{ 2, "", "ib", .has_guid = false },
						{ 3, "", "ib", .has_guid = false } };

	(void)state;
	remember("net9", 0);
	assert_int_equal(ask_for(pod, 4, "net2", "ib"), 2);
}

static void test_only_the_leader_chooses_where_nothing_determines(void **state)
{
	const struct attach_candidate pod[] = { { 0, "", "ib", .has_guid = false },
						{ 2, "", "ib", .has_guid = false } };
	struct attach_ask ask = { .interface = "net2", .network_name = "ib" };

	(void)state;
	assert_int_equal(match(pod, 2, &ask), LEADER);
	ask.leads = true;
	assert_int_equal(match(pod, 2, &ask), 0);
	/* Named by its position: no choice. */
	ask = (struct attach_ask){ .interface = "net3", .network_name = "ib" };
	assert_int_equal(match(pod, 2, &ask), 2);
	remember("net9", 2);
	assert_int_equal(match(pod, 2, &ask), LEADER);
}

/* Every pod of up to six networks of which any subset is ours, every number of cluster-wide networks before them, orders
 * of asking, and what is forgotten in between. */

enum { NETWORKS_MAX = 6, ORDERS = 24 };

static size_t subset(struct attach_candidate *pod, unsigned n, unsigned bits)
{
	size_t count = 0;

	for (unsigned i = 0; i < n; i++)
		if (bits & 1u << i)
			pod[count++] =
				(struct attach_candidate){ .index = (int)i, .interface = "", .config_name = "ib" };
	return count;
}

static bool follow_each_other(const struct attach_candidate *pod, size_t n)
{
	return n > 0 && pod[n - 1].index - pod[0].index == (int)n - 1;
}

/* The order-th permutation, as factorial digits. */
static void permute(unsigned *places, size_t n, unsigned order)
{
	for (unsigned i = 0; i < n; i++)
		places[i] = i;
	for (size_t i = n; i > 1; i--) {
		unsigned j = order % i, place = places[i - 1];

		order /= i;
		places[i - 1] = places[j];
		places[j] = place;
	}
}

/* Asks for every interface twice; `forget_after`: how many answers until all memory is lost; 0: never. */
static void ask_all(const struct attach_candidate *pod, size_t n, int offset, unsigned order, size_t forget_after)
{
	int got[NETWORKS_MAX] = { 0 };
	unsigned places[NETWORKS_MAX];

	n_memory = 0;
	permute(places, n, order);
	for (size_t i = 0; i < 2 * n; i++) {
		unsigned place = places[i % n];
		char interface[16];

		if (forget_after > 0 && i % forget_after == 0)
			n_memory = 0;
		snprintf(interface, sizeof interface, "net%d", pod[place].index + 1 + offset);
		int index = ask_for(pod, n, interface, "ib");
		assert_true(index >= 0);
		if (i >= n)
			assert_int_equal(index, got[place]);
		got[place] = index;
		remember(interface, index);
	}
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(got[i], got[j]);
}

static void test_no_two_interfaces_ever_get_one_attachment(void **state)
{
	struct attach_candidate pod[NETWORKS_MAX];

	(void)state;
	for (unsigned n = 1; n <= NETWORKS_MAX; n++)
		for (unsigned bits = 1; bits < 1u << n; bits++) {
			size_t count = subset(pod, n, bits);

			for (int offset = 0; offset <= 3; offset++)
				for (unsigned order = 0; order < ORDERS; order++) {
					ask_all(pod, count, offset, order, 0);
					if (offset > 0 && !follow_each_other(pod, count))
						continue;
					ask_all(pod, count, offset, order, 1);
					ask_all(pod, count, offset, order, 2);
				}
		}
}

/* Two replicas know nothing of each other's answers. */
static void test_replicas_choose_alike_where_the_standby_may_choose(void **state)
{
	struct attach_candidate pod[NETWORKS_MAX];

	(void)state;
	for (unsigned bits = 1; bits < 1u << NETWORKS_MAX; bits++)
		for (int number = 0; number < 12; number++) {
			size_t n = subset(pod, NETWORKS_MAX, bits);
			char interface[16];

			snprintf(interface, sizeof interface, "net%d", number);
			struct attach_ask ask = { .interface = interface, .network_name = "ib" };
			int standby = match(pod, n, &ask);
			bool there = number > 0 && number <= NETWORKS_MAX && bits & 1u << (number - 1);
			assert_int_equal(standby != LEADER, there || follow_each_other(pod, n));
			if (standby != LEADER)
				assert_int_equal(ask_for(pod, n, interface, "ib"), standby);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_hint_of_this_pod_is_believed, forget),
		cmocka_unit_test_setup(test_a_hint_that_nobody_or_another_pod_holds_is_not_believed, forget),
		cmocka_unit_test_setup(test_a_hint_for_another_name_network_or_interface_is_not_believed, forget),
		cmocka_unit_test_setup(test_a_hint_does_where_the_network_is_not_known_yet, forget),
		cmocka_unit_test_setup(test_the_interface_s_name_decides, forget),
		cmocka_unit_test_setup(test_two_that_ask_for_one_name_are_told_apart_by_their_networks, forget),
		cmocka_unit_test_setup(test_the_default_network_is_what_the_runtime_names, forget),
		cmocka_unit_test_setup(test_only_multus_own_numbers_are_numbers, forget),
		cmocka_unit_test_setup(test_the_position_decides_among_those_without_a_name, forget),
		cmocka_unit_test_setup(test_networks_that_share_a_name_are_told_apart_by_their_pkeys, forget),
		cmocka_unit_test_setup(test_a_pkey_that_none_of_them_has_says_nothing, forget),
		cmocka_unit_test_setup(test_what_an_interface_got_before_it_gets_again, forget),
		cmocka_unit_test_setup(test_in_another_sandbox_everything_is_free_again, forget),
		cmocka_unit_test_setup(test_memory_of_what_the_pod_no_longer_has_counts_for_nothing, forget),
		cmocka_unit_test_setup(test_the_first_free_one_is_the_first_of_the_pod, forget),
		cmocka_unit_test_setup(test_only_the_leader_chooses_where_nothing_determines, forget),
		cmocka_unit_test_setup(test_no_two_interfaces_ever_get_one_attachment, forget),
		cmocka_unit_test_setup(test_replicas_choose_alike_where_the_standby_may_choose, forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
