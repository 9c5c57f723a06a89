#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ufmsync/ctl/options.h"

static enum ctl_exit run_nothing(struct ctl *ctl)
{
	(void)ctl;
	return CTL_DONE;
}

static const struct ctl_flag flags[] = {
	{ "--remove", NULL, "" }, { "--yes", NULL, "" }, { "--timeout", "DURATION", "" }, { NULL, NULL, NULL }
};
static const struct ctl_command list = {
	.name = "list", .arguments = "", .named = true, .watches = true, .run = run_nothing
};
static const struct ctl_command show = {
	.name = "show", .arguments = "PKEY", .least = 1, .most = 1, .flags = flags, .run = run_nothing
};
static const struct ctl_command bare = { .name = "bare", .arguments = "", .plain = true, .run = run_nothing };
static const struct ctl_command *const commands[] = { &list, &show, &bare, NULL };

struct parsed {
	struct ctl ctl;
	bool help;
	int status;
	struct error err;
	char *words[16], *line;
};

/* Words are parted by blanks; '_' stands for an empty one. */
static struct parsed *parse(const char *line)
{
	struct parsed *parsed = mem_alloc(sizeof *parsed);
	int argc = 0;

	parsed->line = mem_printf("ufmsyncctl %s", line);
	for (char *word = strtok(parsed->line, " "); word; word = strtok(NULL, " "))
		parsed->words[argc++] = strcmp(word, "_") == 0 ? word + 1 : word;
	parsed->status = ctl_options_parse(&parsed->ctl, &parsed->help, argc, parsed->words, commands, &parsed->err);
	return parsed;
}

static void done(struct parsed *parsed)
{
	ctl_options_free(&parsed->ctl);
	free(parsed->line);
	free(parsed);
}

static void test_flags_are_written_as_kubectl_has_them(void **state)
{
	static const char *const spellings[] = { "list -n a -o wide -w", "list --namespace a --output wide --watch",
						 "list --namespace=a -o=wide -w", "-na -owide list --watch=true",
						 "-wn a list -owide" };

	(void)state;
	for (size_t i = 0; i < array_length(spellings); i++) {
		struct parsed *parsed = parse(spellings[i]);
		if (parsed->status < 0)
			fail_msg("'%s': %s", spellings[i], parsed->err.text);
		assert_ptr_equal(parsed->ctl.command, &list);
		assert_string_equal(parsed->ctl.namespace, "a");
		assert_int_equal(parsed->ctl.format, CTL_WIDE);
		assert_true(parsed->ctl.watch);
		done(parsed);
	}
}

static void test_own_flags_and_arguments_belong_to_their_command(void **state)
{
	struct parsed *parsed = parse("show --remove --timeout 5s -- -5");

	(void)state;
	assert_int_equal(parsed->status, 0);
	assert_non_null(ctl_flag(&parsed->ctl, "--remove"));
	assert_null(ctl_flag(&parsed->ctl, "--yes"));
	assert_string_equal(ctl_flag(&parsed->ctl, "--timeout"), "5s");
	assert_false(parsed->ctl.yes);
	assert_int_equal(parsed->ctl.timeout_ms, 5000);
	assert_int_equal(parsed->ctl.argc, 1);
	assert_string_equal(parsed->ctl.argv[0], "-5");
	done(parsed);
	parsed = parse("show 5 --yes --remove=false");
	assert_true(parsed->ctl.yes);
	assert_null(ctl_flag(&parsed->ctl, "--remove"));
	done(parsed);
}

static void test_the_way_comes_from_the_flags(void **state)
{
	struct parsed *parsed = parse("list");

	(void)state;
	assert_int_equal(parsed->ctl.reach_options.way, REACH_PROXY);
	done(parsed);
	parsed = parse("list --server https://a:1 --token-file t --ca c --tls-server-name n --request-timeout 2m");
	assert_int_equal(parsed->status, 0);
	assert_int_equal(parsed->ctl.reach_options.way, REACH_SERVER);
	assert_string_equal(parsed->ctl.reach_options.server, "https://a:1");
	assert_string_equal(parsed->ctl.reach_options.ca_file, "c");
	assert_string_equal(parsed->ctl.reach_options.token_file, "t");
	assert_string_equal(parsed->ctl.reach_options.tls_name, "n");
	assert_int_equal(parsed->ctl.reach_options.timeout_ms, 120000);
	done(parsed);
	parsed = parse("list --direct --kubeconfig k --context x --service-namespace s");
	assert_int_equal(parsed->ctl.reach_options.way, REACH_DIRECT);
	assert_string_equal(parsed->ctl.reach_options.kubeconfig, "k");
	assert_string_equal(parsed->ctl.reach_options.context, "x");
	assert_string_equal(parsed->ctl.reach_options.service_namespace, "s");
	done(parsed);
}

static void test_what_is_wrong_is_named_and_what_was_meant(void **state)
{
	static const struct {
		const char *line, *says;
	} wrong[] = {
		{ "lits", "unknown command 'lits': is list meant?" },
		{ "qqqq", "unknown command 'qqqq'" },
		{ "list --wacth", "unknown flag '--wacth': is --watch meant?" },
		{ "list --all", "unknown flag '--all': is --all-namespaces meant?" },
		{ "show 5 --remov=x", "unknown flag '--remov': is --remove meant?" },
		{ "list --remove", "unknown flag '--remove'" },
		{ "list -x", "unknown flag '-x' in '-x'" },
		{ "list -n", "--namespace needs a value: --namespace NAMESPACE" },
		{ "list -n _", "--namespace: the value is empty" },
		{ "list --watch=maybe", "--watch takes no value but true and false, not 'maybe'" },
		{ "list -o xml", "--output 'xml': table, wide, json, yaml or name is expected" },
		{ "show 5 -o name", "show knows no --output name: table, wide, json or yaml" },
		{ "bare -o json", "bare knows no --output" },
		{ "show 5 -w", "show knows no --watch" },
		{ "list -A -n a", "--namespace and --all-namespaces contradict each other" },
		{ "list --ca x", "--ca belongs to --server URL, which is not given" },
		{ "list --server https://a --token-file t --direct", "--server and --direct are two ways: choose one" },
		{ "list --request-timeout soon", "--request-timeout 'soon': a duration is expected, such as 5s or 2m" },
		{ "list --request-timeout 0", "--request-timeout '0': a duration is expected, such as 5s or 2m" },
		{ "show", "show needs PKEY" },
		{ "show 1 2", "show: '2' is too much: it takes PKEY" },
		{ "list 2", "list: '2' is too much: it takes no argument" },
	};

	(void)state;
	for (size_t i = 0; i < array_length(wrong); i++) {
		struct parsed *parsed = parse(wrong[i].line);
		if (parsed->status == 0)
			fail_msg("'%s' was accepted", wrong[i].line);
		assert_int_equal(parsed->err.kind, ERROR_INVALID);
		assert_string_equal(parsed->err.text, wrong[i].says);
		done(parsed);
	}
}

static void test_help_is_given_whatever_else_is_missing(void **state)
{
	struct parsed *parsed = parse("show -h");

	(void)state;
	assert_int_equal(parsed->status, 0);
	assert_true(parsed->help);
	assert_ptr_equal(parsed->ctl.command, &show);
	done(parsed);
	parsed = parse("");
	assert_int_equal(parsed->status, 0);
	assert_false(parsed->help);
	assert_null(parsed->ctl.command);
	done(parsed);
}

static void test_only_what_looks_alike_was_meant(void **state)
{
	static const char *const names[] = { "pods", "pod", "pkeys", "pkey", "status", NULL };

	(void)state;
	assert_string_equal(ctl_nearest("stauts", names), "status");
	assert_string_equal(ctl_nearest("pkyes", names), "pkeys");
	assert_string_equal(ctl_nearest("stat", names), "status");
	assert_null(ctl_nearest("x", names));
	assert_null(ctl_nearest("", names));
	assert_null(
		ctl_nearest("a word that is far longer than any name of a command or of a flag could ever be", names));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags_are_written_as_kubectl_has_them),
		cmocka_unit_test(test_own_flags_and_arguments_belong_to_their_command),
		cmocka_unit_test(test_the_way_comes_from_the_flags),
		cmocka_unit_test(test_what_is_wrong_is_named_and_what_was_meant),
		cmocka_unit_test(test_help_is_given_whatever_else_is_missing),
		cmocka_unit_test(test_only_what_looks_alike_was_meant),
	};

	return cmocka_run_group_tests_name("ctl_options", tests, NULL, NULL);
}
