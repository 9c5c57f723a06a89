/* Years of a cluster: objects in memory, passes as ufmsync-setup does them, some ended between two writes. */
#undef NDEBUG
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "secrets/pem.h"
#include "ufmsync/kube/yaml.h"
#include "ufmsync/record.h"
#include "ufmsync/setup/facts.h"

#define NOW  INT64_C(1800000000)
#define HOUR INT64_C(3600)
#define DAY  INT64_C(86400)

enum { ALL = 1000 }; /* more writes than there can be */

static const char *const names[] = { "ufmsync.ib.svc", "ufmsync.ib" }, *const more[] = { "ufmsync.ib.svc",
											 "lb.example" };
static const struct setup_wish wish = {
	.namespace = "ib",
	.names = names,
	.n_names = array_length(names),
	.days = 365,
	.parts = { [SETUP_PART_KEY] = true, [SETUP_PART_CERTIFICATE] = true },
};

struct cluster {
	struct setup_objects objects;
	struct setup_wish wish;
	int64_t now_s;
	unsigned writes[SETUP_TIDY + 1];
	/* What a node, and a server, that takes up changes a day late has now, and from when on. */
	char *node_ca, *server;
	char *next_ca, *next_server;
	int64_t next_ca_s, next_server_s;
};

/* --- looking ----------------------------------------------------------------------------------------------------- */

static char *text_of(const struct cluster *cluster, enum setup_object object, const char *key)
{
	struct error err;
	char *text = NULL;

	assert_int_equal(setup_text(&text, &cluster->objects, object, key, &err), 0);
	return text;
}

static bool is_trusted(const char *server, const char *cas, int64_t now_s)
{
	struct certificates *one, *all;
	struct error err;

	assert_int_equal(certificates_parse(&one, server, &err), 0);
	assert_int_equal(certificates_parse(&all, cas, &err), 0);
	bool trusted = certificates_are_trusted(one, all, now_s);
	certificates_free(one);
	certificates_free(all);
	return trusted;
}

static size_t count_cas(const struct cluster *cluster)
{
	char *text = text_of(cluster, SETUP_CA, SETUP_KEY_CA);
	struct certificates *all;
	struct error err;

	assert_int_equal(certificates_parse(&all, text, &err), 0);
	size_t n = certificates_count(all);
	certificates_free(all);
	free(text);
	return n;
}

/* Later texts wait for their day; what is to come later than that waits in the object itself. */
static void take_up(char **now_has, char **next, int64_t *next_s, char *latest, int64_t now_s)
{
	if (*next && now_s >= *next_s) {
		free(*now_has);
		*now_has = *next;
		*next = NULL;
	}
	if (!*now_has || !**now_has) {
		free(*now_has);
		*now_has = latest;
		return;
	}
	if (!*next && strcmp(*now_has, latest) != 0) {
		*next = latest;
		*next_s = now_s + DAY;
		return;
	}
	free(latest);
}

static void late_ones_look(struct cluster *cluster)
{
	take_up(&cluster->node_ca, &cluster->next_ca, &cluster->next_ca_s, text_of(cluster, SETUP_CA, SETUP_KEY_CA),
		cluster->now_s);
	take_up(&cluster->server, &cluster->next_server, &cluster->next_server_s,
		text_of(cluster, SETUP_TLS, SETUP_KEY_CERT), cluster->now_s);
}

/* Whoever has what, any node trusts any server. */
static void check_trust(struct cluster *cluster)
{
	late_ones_look(cluster); /* what was written counts from now on */
	char *cas = text_of(cluster, SETUP_CA, SETUP_KEY_CA), *server = text_of(cluster, SETUP_TLS, SETUP_KEY_CERT);

	if (*server) {
		assert_true(is_trusted(server, cas, cluster->now_s));
		assert_true(is_trusted(server, cluster->node_ca, cluster->now_s));
		assert_true(is_trusted(cluster->server, cas, cluster->now_s));
		assert_true(is_trusted(cluster->server, cluster->node_ca, cluster->now_s));
	}
	free(cas);
	free(server);
}

/* --- acting ------------------------------------------------------------------------------------------------------ */

static struct setup_decision next_of(const struct cluster *cluster, struct setup_facts *facts)
{
	struct setup_decision decision = { .step = SETUP_RIGHT };

	setup_look(facts, &cluster->objects, &cluster->wish, cluster->now_s);
	for (int part = 0; part < SETUP_PARTS && !setup_step_writes(decision.step); part++) {
		struct setup_decision one = setup_decide(facts, (enum setup_part)part, cluster->now_s);
		if (cluster->wish.parts[part] && (setup_step_writes(one.step) || one.step > decision.step))
			decision = one;
	}
	return decision;
}

static struct setup_decision next(const struct cluster *cluster)
{
	struct setup_facts facts;
	struct setup_decision decision = next_of(cluster, &facts);

	decision.cause = NULL;
	return decision;
}

/* Ends after so many writes at the latest; what is left to be done. */
static enum setup_step pass(struct cluster *cluster, unsigned writes_max)
{
	struct setup_decision decision = next(cluster);

	for (unsigned writes = 0; setup_step_writes(decision.step) && writes < writes_max; writes++) {
		enum setup_object which;
		struct error err;
		json_t *object;

		assert_true(writes < 8);
		assert_int_equal(setup_write(&object, &which, decision.step, &cluster->objects, &cluster->wish,
					     cluster->now_s, &err),
				 0);
		yaml_wipe(cluster->objects.at[which]);
		cluster->objects.at[which] = object;
		cluster->writes[decision.step]++;
		decision = next(cluster);
	}
	return decision.step;
}

static void delete (struct cluster *cluster, enum setup_object object)
{
	yaml_wipe(cluster->objects.at[object]);
	cluster->objects.at[object] = NULL;
}

static void put(struct cluster *cluster, enum setup_object object, const char *key, const char *text)
{
	if (!cluster->objects.at[object])
		cluster->objects.at[object] = json_pack("{s:{s:s}}", "metadata", "name", setup_object_name(object));
	setup_set_text(cluster->objects.at[object], object, key, text);
}

static int begin(void **state)
{
	struct cluster *cluster = mem_alloc(sizeof *cluster);

	cluster->wish = wish;
	cluster->now_s = NOW;
	*state = cluster;
	return 0;
}

static int end(void **state)
{
	struct cluster *cluster = *state;

	setup_objects_clear(&cluster->objects);
	free(cluster->node_ca);
	free(cluster->server);
	free(cluster->next_ca);
	free(cluster->next_server);
	free(cluster);
	return 0;
}

/* --- our own certificate ----------------------------------------------------------------------------------------- */

static void test_a_new_cluster_has_all_in_one_pass(void **state)
{
	struct cluster *cluster = *state;
	struct record_keys *keys;
	struct error err;

	assert_int_equal(pass(cluster, ALL), SETUP_RIGHT);
	for (int object = 0; object < SETUP_OBJECTS; object++) {
		assert_string_equal(json_str(cluster->objects.at[object], "metadata", "name", NULL),
				    setup_object_name((enum setup_object)object));
		assert_string_equal(json_str(cluster->objects.at[object], "metadata", "namespace", NULL), "ib");
	}
	char *key = text_of(cluster, SETUP_RECORD_KEY, SETUP_KEY_RECORD),
	     *cert = text_of(cluster, SETUP_TLS, SETUP_KEY_CERT), *private = text_of(cluster, SETUP_TLS, SETUP_KEY_KEY);
	assert_int_equal(record_keys_parse(&keys, key, &err), 0);
	assert_int_equal(pem_check_pair(cert, private, &err), 0);
	record_keys_free(keys);
	mem_wipe_free(key);
	mem_wipe_free(private);
	free(cert);
	assert_int_equal(pass(cluster, ALL), SETUP_RIGHT);
	for (int step = 0; step <= SETUP_TIDY; step++)
		assert_int_equal(cluster->writes[step], step == SETUP_TIDY ? 0 : 1);
}

static unsigned writes_of(const struct cluster *cluster)
{
	unsigned n = 0;

	for (int step = 0; step <= SETUP_TIDY; step++)
		n += cluster->writes[step];
	return n;
}

/* Every third time the process is ended after one write or before it.  Looked at often where something happens. */
static void test_for_nine_years_every_node_trusts_the_server(void **state)
{
	struct cluster *cluster = *state;
	int64_t busy_until_s = NOW;
	char *key = NULL;

	for (unsigned i = 0; cluster->now_s < NOW + 9 * 365 * DAY; i++) {
		unsigned before = writes_of(cluster);
		late_ones_look(cluster);
		pass(cluster, i % 3 == 2 ? i / 3 % 2 : ALL);
		check_trust(cluster);
		assert_true(count_cas(cluster) <= 2);
		if (!key)
			key = text_of(cluster, SETUP_RECORD_KEY, SETUP_KEY_RECORD);
		if (writes_of(cluster) > before)
			busy_until_s = cluster->now_s + 2 * DAY;
		cluster->now_s += cluster->now_s < busy_until_s ? 12 * HOUR : 60 * DAY;
	}
	assert_int_equal(cluster->writes[SETUP_MAKE_CA], 2);
	assert_int_equal(cluster->writes[SETUP_TIDY], cluster->writes[SETUP_MAKE_CA] - 1);
	assert_in_range(cluster->writes[SETUP_ISSUE], 12, 18);
	assert_int_equal(cluster->writes[SETUP_MAKE_KEY], 1);
	char *last = text_of(cluster, SETUP_RECORD_KEY, SETUP_KEY_RECORD);
	assert_string_equal(key, last);
	mem_wipe_free(key);
	mem_wipe_free(last);
}

static void test_a_lost_ca_key_is_replaced_without_a_break(void **state)
{
	struct cluster *cluster = *state;

	pass(cluster, ALL);
	late_ones_look(cluster);
	delete (cluster, SETUP_CA_KEY);
	for (int hour = 0; hour < 72; hour++, cluster->now_s += HOUR) {
		late_ones_look(cluster);
		enum setup_step step = pass(cluster, hour % 2);
		check_trust(cluster);
		if (hour > 2 && hour < 24)
			assert_int_equal(step, SETUP_WAIT);
	}
	assert_int_equal(pass(cluster, ALL), SETUP_RIGHT);
	assert_int_equal(cluster->writes[SETUP_ISSUE], 2);
	assert_int_equal(cluster->writes[SETUP_TIDY], 1);
	assert_int_equal(count_cas(cluster), 1);
}

static void test_whatever_is_deleted_is_made_again(void **state)
{
	struct cluster *cluster = *state;

	for (unsigned deleted = 0; deleted < 1u << SETUP_OBJECTS; deleted++) {
		for (int object = 0; object < SETUP_OBJECTS; object++)
			if (deleted & 1u << object)
				delete (cluster, (enum setup_object)object);
		enum setup_step left = pass(cluster, ALL);
		assert_true(left == SETUP_RIGHT || left == SETUP_WAIT);
		char *cas = text_of(cluster, SETUP_CA, SETUP_KEY_CA),
		     *server = text_of(cluster, SETUP_TLS, SETUP_KEY_CERT);
		assert_true(is_trusted(server, cas, cluster->now_s));
		free(cas);
		free(server);
		cluster->now_s += DAY;
	}
}

static void test_a_name_more_is_in_the_certificate_a_day_later(void **state)
{
	struct cluster *cluster = *state;
	struct setup_facts facts;

	pass(cluster, ALL);
	cluster->wish.names = more;
	assert_int_equal(pass(cluster, ALL), SETUP_WAIT);
	assert_int_equal(cluster->writes[SETUP_MAKE_CA], 2);
	cluster->now_s += DAY;
	assert_int_equal(pass(cluster, ALL), SETUP_RIGHT);
	assert_int_equal(cluster->writes[SETUP_ISSUE], 2);
	setup_look(&facts, &cluster->objects, &cluster->wish, cluster->now_s);
	assert_true(facts.server.has_only && facts.server.by_ca && facts.ca.permits);
}

static void test_a_service_of_another_name_has_its_certificate_at_once(void **state)
{
	struct cluster *cluster = *state;
	static const char *const others[] = { "other.ib.svc" };

	pass(cluster, ALL);
	cluster->wish.names = others;
	cluster->wish.n_names = 1;
	assert_int_equal(pass(cluster, ALL), SETUP_RIGHT);
	assert_int_equal(cluster->writes[SETUP_ISSUE], 2);
}

static void test_a_clock_that_was_years_ahead_is_mended_from(void **state)
{
	struct cluster *cluster = *state;

	cluster->now_s = NOW + 20 * 365 * DAY;
	pass(cluster, ALL);
	cluster->now_s = NOW;
	assert_int_equal(pass(cluster, ALL), SETUP_RIGHT);
	char *cas = text_of(cluster, SETUP_CA, SETUP_KEY_CA), *server = text_of(cluster, SETUP_TLS, SETUP_KEY_CERT);
	assert_true(is_trusted(server, cas, cluster->now_s));
	free(cas);
	free(server);
}

/* --- what others did --------------------------------------------------------------------------------------------- */

static void test_what_others_put_on_an_object_stays(void **state)
{
	struct cluster *cluster = *state;

	pass(cluster, ALL);
	for (int object = 0; object < SETUP_OBJECTS; object++) {
		put(cluster, (enum setup_object)object, "more", "text");
		setup_set_annotation(cluster->objects.at[object], "example.org/note", "x");
	}
	cluster->now_s += 9 * 365 * DAY;
	pass(cluster, ALL);
	cluster->now_s += DAY;
	pass(cluster, ALL);
	assert_true(cluster->writes[SETUP_ISSUE] >= 2 && cluster->writes[SETUP_MAKE_CA] == 2);
	for (int object = 0; object < SETUP_OBJECTS; object++) {
		char *text = text_of(cluster, (enum setup_object)object, "more");
		assert_string_equal(text, "text");
		assert_string_equal(
			json_str(cluster->objects.at[object], "metadata", "annotations", "example.org/note", NULL),
			"x");
		mem_wipe_free(text);
	}
}

static void test_a_ca_that_the_site_added_stays(void **state)
{
	struct cluster *cluster = *state;
	struct certificate_pair site;
	struct error err;

	assert_int_equal(certificate_make_ca(&site, "elsewhere", names, 1, setup_new_life(9000, NOW), &err), 0);
	put(cluster, SETUP_CA, SETUP_KEY_CA, site.cert);
	for (cluster->now_s = NOW; cluster->now_s < NOW + 8 * 365 * DAY; cluster->now_s += 180 * DAY)
		pass(cluster, ALL);
	char *cas = text_of(cluster, SETUP_CA, SETUP_KEY_CA);
	assert_non_null(strstr(cas, site.cert));
	assert_int_equal(count_cas(cluster), 2);
	assert_int_equal(cluster->writes[SETUP_TIDY], 1);
	free(cas);
	certificate_pair_free(&site);
}

static void test_what_cannot_be_used_is_not_touched(void **state)
{
	struct cluster *cluster = *state;
	static const struct {
		enum setup_object object;
		const char *key, *text;
	} broken[] = {
		{ SETUP_RECORD_KEY, SETUP_KEY_RECORD, "c2hvcnQ=" },
		{ SETUP_RECORD_KEY, SETUP_KEY_RECORD, "" },
		{ SETUP_CA_KEY, SETUP_KEY_CERT, "x" },
		{ SETUP_CA_KEY, SETUP_KEY_KEY, "x" },
		{ SETUP_TLS, SETUP_KEY_CERT, "" },
		{ SETUP_TLS, SETUP_KEY_KEY, "-----BEGIN PRIVATE KEY-----\nx\n" },
		{ SETUP_CA, SETUP_KEY_CA, "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n" },
	};

	for (size_t i = 0; i < array_length(broken); i++) {
		pass(cluster, ALL);
		put(cluster, broken[i].object, broken[i].key, broken[i].text);
		json_t *before = json_deep_copy(cluster->objects.at[broken[i].object]);
		assert_int_equal(pass(cluster, ALL), SETUP_TROUBLE);
		struct setup_facts facts;
		struct setup_decision decision = next_of(cluster, &facts);
		assert_true(decision.cause && decision.cause->kind == ERROR_INVALID);
		assert_true(json_equal(before, cluster->objects.at[broken[i].object]));
		json_decref(before);
		delete (cluster, broken[i].object);
		assert_int_not_equal(pass(cluster, ALL), SETUP_TROUBLE);
		cluster->now_s += 2 * DAY;
	}
}

/* --- a certificate of somebody else ------------------------------------------------------------------------------ */

/* As cert-manager leaves it. */
static void put_foreign(struct cluster *cluster, const struct certificate_pair *ca, bool beside)
{
	struct certificate_pair server;
	struct error err;

	assert_int_equal(certificate_make_server(&server, ca, names, array_length(names),
						 setup_new_life(90, cluster->now_s), &err),
			 0);
	put(cluster, SETUP_TLS, SETUP_KEY_CERT, server.cert);
	put(cluster, SETUP_TLS, SETUP_KEY_KEY, server.key);
	if (beside)
		put(cluster, SETUP_TLS, SETUP_KEY_CA, ca->cert);
	certificate_pair_free(&server);
}

static struct certificate_pair foreign_ca(int64_t now_s, unsigned days)
{
	struct certificate_pair ca;
	struct error err;

	assert_int_equal(
		certificate_make_ca(&ca, "elsewhere", names, array_length(names), setup_new_life(days, now_s), &err),
		0);
	return ca;
}

static void expect_right(struct cluster *cluster, const struct certificate_pair *ca)
{
	json_t *before = json_deep_copy(cluster->objects.at[SETUP_TLS]);

	assert_int_equal(pass(cluster, ALL), SETUP_RIGHT);
	assert_true(json_equal(before, cluster->objects.at[SETUP_TLS]));
	json_decref(before);
	char *cas = text_of(cluster, SETUP_CA, SETUP_KEY_CA);
	assert_non_null(strstr(cas, ca->cert));
	free(cas);
}

static void test_a_foreign_certificate_stays_and_its_ca_reaches_the_nodes(void **state)
{
	struct cluster *cluster = *state;
	struct certificate_pair ca = foreign_ca(NOW, 1000), next_ca = foreign_ca(NOW, 2000);

	put_foreign(cluster, &ca, true);
	expect_right(cluster, &ca);
	assert_null(cluster->objects.at[SETUP_CA_KEY]);
	put_foreign(cluster, &next_ca, true);
	expect_right(cluster, &next_ca);
	assert_int_equal(count_cas(cluster), 2);
	cluster->now_s += 1001 * DAY;
	put_foreign(cluster, &next_ca, true);
	expect_right(cluster, &next_ca);
	assert_int_equal(count_cas(cluster), 1);
	certificate_pair_free(&ca);
	certificate_pair_free(&next_ca);
}

static void test_an_expired_ca_that_stands_beside_it_is_no_endless_matter(void **state)
{
	struct cluster *cluster = *state;
	struct certificate_pair ca = foreign_ca(NOW, 1000), expired = foreign_ca(NOW - 100 * DAY, 10);

	put_foreign(cluster, &ca, true);
	char *both = mem_printf("%s%s", expired.cert, ca.cert);
	put(cluster, SETUP_TLS, SETUP_KEY_CA, both);
	expect_right(cluster, &ca);
	assert_int_equal(count_cas(cluster), 2);
	free(both);
	certificate_pair_free(&ca);
	certificate_pair_free(&expired);
}

static void test_a_site_may_go_over_from_ours_to_its_own(void **state)
{
	struct cluster *cluster = *state;
	struct certificate_pair ca = foreign_ca(NOW, 1000);

	pass(cluster, ALL);
	put_foreign(cluster, &ca, true);
	expect_right(cluster, &ca);
	certificate_pair_free(&ca);
}

static void test_without_its_ca_the_nodes_cannot_trust_a_foreign_one(void **state)
{
	struct cluster *cluster = *state;
	struct certificate_pair ca = foreign_ca(NOW, 1000);

	put_foreign(cluster, &ca, false);
	assert_int_equal(pass(cluster, ALL), SETUP_TROUBLE);
	put(cluster, SETUP_CA, SETUP_KEY_CA, ca.cert);
	assert_int_equal(pass(cluster, ALL), SETUP_RIGHT);
	put(cluster, SETUP_CA, SETUP_KEY_CA, "");
	put(cluster, SETUP_TLS, SETUP_KEY_CA, ca.cert);
	assert_int_equal(pass(cluster, ALL), SETUP_TROUBLE); /* somebody made that ConfigMap, so it is theirs */
	certificate_pair_free(&ca);
}

static void test_with_trust_alone_no_certificate_is_made(void **state)
{
	struct cluster *cluster = *state;
	struct certificate_pair ca = foreign_ca(NOW, 1000);

	cluster->wish.parts[SETUP_PART_CERTIFICATE] = false;
	cluster->wish.parts[SETUP_PART_TRUST] = true;
	assert_int_equal(pass(cluster, ALL), SETUP_LATER);
	assert_non_null(cluster->objects.at[SETUP_RECORD_KEY]);
	put_foreign(cluster, &ca, true);
	expect_right(cluster, &ca);
	assert_int_equal(cluster->writes[SETUP_MAKE_CA] + cluster->writes[SETUP_ISSUE], 0);
	certificate_pair_free(&ca);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_new_cluster_has_all_in_one_pass, begin, end),
		cmocka_unit_test_setup_teardown(test_for_nine_years_every_node_trusts_the_server, begin, end),
		cmocka_unit_test_setup_teardown(test_a_lost_ca_key_is_replaced_without_a_break, begin, end),
		cmocka_unit_test_setup_teardown(test_whatever_is_deleted_is_made_again, begin, end),
		cmocka_unit_test_setup_teardown(test_a_name_more_is_in_the_certificate_a_day_later, begin, end),
		cmocka_unit_test_setup_teardown(test_a_service_of_another_name_has_its_certificate_at_once, begin, end),
		cmocka_unit_test_setup_teardown(test_a_clock_that_was_years_ahead_is_mended_from, begin, end),
		cmocka_unit_test_setup_teardown(test_what_others_put_on_an_object_stays, begin, end),
		cmocka_unit_test_setup_teardown(test_a_ca_that_the_site_added_stays, begin, end),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_used_is_not_touched, begin, end),
		cmocka_unit_test_setup_teardown(test_a_foreign_certificate_stays_and_its_ca_reaches_the_nodes, begin,
						end),
		cmocka_unit_test_setup_teardown(test_an_expired_ca_that_stands_beside_it_is_no_endless_matter, begin,
						end),
		cmocka_unit_test_setup_teardown(test_a_site_may_go_over_from_ours_to_its_own, begin, end),
		cmocka_unit_test_setup_teardown(test_without_its_ca_the_nodes_cannot_trust_a_foreign_one, begin, end),
		cmocka_unit_test_setup_teardown(test_with_trust_alone_no_certificate_is_made, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
