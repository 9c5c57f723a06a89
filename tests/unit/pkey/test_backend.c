/* What every backend promises (pkey/backend.h), held against each: noop, and ufm talking to mock-ufm as several releases of
 * UFM answer. */
#undef NDEBUG
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "pkey/noop.h"
#include "pkey/ufm.h"

struct setup {
	const char *name;
	bool tls;
	const char *mock_options[12]; /* [0] NULL: noop */
};

static const struct setup setups[] = {
	{ .name = "noop" },
	{ .name = "ufm", .mock_options = { "--http" } },
	{ .name = "ufm, 404 for a missing PKey, by DELETE only, JSON errors",
	  .mock_options = { "--http", "--switch", "missing_pkey=404", "--switch", "remove_routes=delete", "--switch",
			    "error_format=json", "--switch", "post_status=201" } },
	{ .name = "ufm, by the action only, 202, no body, no membership of 0x7fff",
	  .mock_options = { "--http", "--switch", "remove_routes=action", "--switch", "post_status=202", "--switch",
			    "post_body=", "--switch", "management_membership=absent" } },
	{ .name = "ufm, its own certificate", .tls = true, .mock_options = { "--switch", "version_body=short" } },
};

static const struct setup *setup;
static struct loop *loop;
static struct pkey_backend *backend;
static struct members *seen;
static struct error last;
static unsigned answers;
static pid_t mock;
static char folder[64], *certificate;

/* --- mock-ufm ---------------------------------------------------------------------------------------------------- */

static char *read_file(const char *name)
{
	char path[128], *text = mem_alloc(1 << 16);
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	size_t n = fread(text, 1, (1 << 16) - 1, f);
	fclose(f);
	text[n] = '\0';
	return text;
}

static void become_mock(int out, const char *const *more)
{
	char port[128], cert[128];
	const char *argv[24] = { UFMSYNC_MOCK_UFM, "--exit-with-parent", "--port-file", port, "--write-cert", cert };
	size_t n = 6;
	snprintf(port, sizeof port, "%s/port", folder);
	snprintf(cert, sizeof cert, "%s/cert", folder);
	if (strcmp(more[0], "--http") == 0)
		n = 4;
	while (*more)
		argv[n++] = *more++;
	argv[n] = NULL;
	dup2(out, STDOUT_FILENO);
	execv(UFMSYNC_MOCK_UFM, (char **)(uintptr_t)argv);
	_exit(127);
}

/* It writes a line when it is ready. */
static unsigned start_mock(void)
{
	int out[2];
	char c = 0;
	snprintf(folder, sizeof folder, "/tmp/test_backend.XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(pipe(out), 0);
	mock = fork();
	assert_true(mock >= 0);
	if (mock == 0)
		become_mock(out[1], setup->mock_options);
	close(out[1]);
	while (c != '\n' && read(out[0], &c, 1) == 1)
		;
	close(out[0]);
	char *port = read_file("port");
	unsigned number = (unsigned)strtoul(port, NULL, 10);
	free(port);
	certificate = setup->tls ? read_file("cert") : NULL;
	return number;
}

static void stop_mock(void)
{
	char command[128];
	if (mock <= 0)
		return;
	kill(mock, SIGTERM);
	waitpid(mock, NULL, 0);
	mock = 0;
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	assert_int_equal(system(command), 0);
	free(certificate);
	certificate = NULL;
}

static const char *lookup(void *aux, const char *name)
{
	(void)aux;
	return strcmp(name, "UFM_USERNAME") == 0      ? "admin"
	       : strcmp(name, "UFM_PASSWORD") == 0    ? "123456"
	       : strcmp(name, "UFM_CERTIFICATE") == 0 ? certificate
						      : NULL;
}

static void start_ufm(void)
{
	struct secrets *secrets = NULL;
	struct error err;
	const struct ufm_options options = {
		.port = start_mock(),
		.schema = setup->tls ? "https" : "http",
		.address = "127.0.0.1",
		.ip_over_ib = true,
		.timeout_ms = 30000,
	};
	if (secrets_load(&secrets, NULL, lookup, NULL, &err) < 0 ||
	    ufm_new(&backend, loop, &options, secrets, &err) < 0)
		fail_msg("%s", err.text);
	secrets_free(secrets);
}

static int fresh(void **state)
{
	struct error err;
	setup = *state;
	answers = 0;
	if (loop_new(&loop, &err) < 0)
		return -1;
	if (setup->mock_options[0])
		start_ufm();
	else
		backend = noop_new(loop);
	return 0;
}

static int gone(void **state)
{
	(void)state;
	pkey_backend_free(backend);
	loop_free(loop);
	members_free(seen);
	seen = NULL;
	stop_mock();
	return 0;
}

/* --- What is asked of it ------------------------------------------------------------------------------------------ */

static void done(void *aux, const struct error *err)
{
	(void)aux;
	last = err ? *err : (struct error){ 0 };
	answers++;
	loop_stop(loop);
}

static void finish(void)
{
	unsigned before = answers;
	while (answers == before)
		loop_run(loop);
	if (last.kind != ERROR_NONE)
		fail_msg("%s: %s", setup->name, last.text);
}

static void join(unsigned pkey, enum membership membership, bool index0, uint64_t first, size_t n)
{
	struct guid guids[500];
	for (size_t i = 0; i < n; i++)
		guids[i].v = first + i;
	backend->class->join(backend, (struct pkey_class){ { (uint16_t)pkey }, membership, index0 }, guids, n,
			     INT64_MAX, done, NULL);
	finish();
}

static void leave(unsigned pkey, uint64_t first, size_t n)
{
	struct guid guids[500];
	for (size_t i = 0; i < n; i++)
		guids[i].v = first + i;
	backend->class->leave(backend, (struct pkey){ (uint16_t)pkey }, guids, n, INT64_MAX, done, NULL);
	finish();
}

static void saw(void *aux, struct pkey pkey, const struct member *member)
{
	struct member tagged = *member;
	(void)aux;
	tagged.guid.v |= (uint64_t)pkey.v << 48; /* so that one set holds several PKeys */
	assert_true(members_add(seen, tagged));
}

/* Lists one PKey, or all with 0, into `seen`. */
static void list(unsigned only)
{
	struct pkey pkey = { (uint16_t)only };
	const struct pkey_list_sink sink = { .member = saw, .done = done };
	members_free(seen);
	seen = members_new();
	backend->class->list(backend, only ? &pkey : NULL, &sink);
	finish();
}

static const struct member *found(unsigned pkey, uint64_t guid)
{
	return members_find(seen, (struct guid){ (uint64_t)pkey << 48 | guid });
}

/* --- Promises ----------------------------------------------------------------------------------------------------- */

static void test_what_has_joined_is_listed_with_its_class(void **state)
{
	(void)state;
	join(5, MEMBERSHIP_FULL, true, 0x10, 3);
	join(5, MEMBERSHIP_LIMITED, false, 0x20, 2);
	join(0x7ffe, MEMBERSHIP_FULL, false, 0x10, 1);
	list(5);
	assert_int_equal(members_count(seen), 5);
	assert_true(found(5, 0x10)->index0 && found(5, 0x10)->membership == MEMBERSHIP_FULL);
	assert_true(!found(5, 0x21)->index0 && found(5, 0x21)->membership == MEMBERSHIP_LIMITED);
	list(0);
	assert_int_equal(members_count(seen), 6);
	assert_false(found(0x7ffe, 0x10)->index0);
}

static void test_joining_again_is_fine_and_sets_the_class(void **state)
{
	(void)state;
	join(5, MEMBERSHIP_FULL, true, 0x10, 2);
	join(5, MEMBERSHIP_FULL, true, 0x10, 2);
	join(5, MEMBERSHIP_LIMITED, false, 0x11, 2);
	list(5);
	assert_int_equal(members_count(seen), 3);
	assert_int_equal(found(5, 0x10)->membership, MEMBERSHIP_FULL);
	assert_int_equal(found(5, 0x11)->membership, MEMBERSHIP_LIMITED);
	assert_false(found(5, 0x11)->index0);
}

static void test_leaving_removes_those_and_no_others(void **state)
{
	(void)state;
	join(5, MEMBERSHIP_FULL, true, 0x10, 5);
	join(6, MEMBERSHIP_FULL, false, 0x10, 5);
	leave(5, 0x11, 2);
	list(0);
	assert_int_equal(members_count(seen), 8);
	assert_null(found(5, 0x11));
	assert_non_null(found(6, 0x11));
}

static void test_leaving_twice_or_a_pkey_that_does_not_exist_is_fine(void **state)
{
	(void)state;
	leave(9, 0x10, 2);
	join(5, MEMBERSHIP_FULL, true, 0x10, 2);
	leave(5, 0x11, 3);
	leave(5, 0x10, 2);
	leave(5, 0x10, 2);
	list(5);
	assert_int_equal(members_count(seen), 0);
	list(0);
	assert_int_equal(members_count(seen), 0);
}

static void test_a_pkey_that_does_not_exist_has_no_members(void **state)
{
	(void)state;
	list(77);
	assert_int_equal(members_count(seen), 0);
	list(0);
	assert_int_equal(members_count(seen), 0);
}

static void test_as_many_as_the_class_says_fit_into_one_call(void **state)
{
	size_t n = backend->class->guids_max;
	(void)state;
	assert_true(n >= 100 && n <= 500);
	join(0x7ffe, MEMBERSHIP_FULL, true, 0x1000, n);
	list(0x7ffe);
	assert_int_equal(members_count(seen), n);
	leave(0x7ffe, 0x1000, n - 1);
	list(0x7ffe);
	assert_int_equal(members_count(seen), 1);
}

static void test_a_probe_says_it_is_there(void **state)
{
	(void)state;
	backend->class->probe(backend, done, NULL);
	finish();
}

int main(void)
{
	static void (*const promises[])(void **) = {
		test_what_has_joined_is_listed_with_its_class,
		test_joining_again_is_fine_and_sets_the_class,
		test_leaving_removes_those_and_no_others,
		test_leaving_twice_or_a_pkey_that_does_not_exist_is_fine,
		test_a_pkey_that_does_not_exist_has_no_members,
		test_as_many_as_the_class_says_fit_into_one_call,
		test_a_probe_says_it_is_there,
	};
	static const char *const names[] = {
		"what has joined is listed with its class",
		"joining again is fine and sets the class",
		"leaving removes those and no others",
		"leaving twice or a PKey that does not exist is fine",
		"a PKey that does not exist has no members",
		"as many as the class says fit into one call",
		"a probe says it is there",
	};
	struct CMUnitTest tests[array_length(promises)];
	int failed = 0;

	for (size_t s = 0; s < array_length(setups); s++) {
		for (size_t i = 0; i < array_length(promises); i++)
			tests[i] = (struct CMUnitTest){ names[i], promises[i], fresh, gone,
							(void *)(uintptr_t)&setups[s] };
		failed += cmocka_run_group_tests_name(setups[s].name, tests, NULL, NULL);
	}
	return failed;
}
