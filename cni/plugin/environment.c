#include "cni/plugin/environment.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"

enum {
	CONTAINER_MAX = 255, /* plugins name files after it */
	INTERFACE_MAX = 15,  /* the kernel's IFNAMSIZ */
	POD_TEXT_MAX = 253,  /* the longest name that Kubernetes has */
};

static const char letters_and_digits[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

enum { NEEDS_CONTAINER = 1, NEEDS_INTERFACE = 2, NEEDS_PATH = 4, NEEDS_NETNS = 8, NEEDS_POD = 16 };

static const struct {
	const char *name;
	unsigned needs;
} commands[] = {
	[CNI_ADD] = { "ADD", NEEDS_CONTAINER | NEEDS_INTERFACE | NEEDS_PATH | NEEDS_NETNS | NEEDS_POD },
	[CNI_DEL] = { "DEL", NEEDS_CONTAINER | NEEDS_INTERFACE | NEEDS_PATH },
	[CNI_CHECK] = { "CHECK", NEEDS_CONTAINER | NEEDS_INTERFACE | NEEDS_PATH | NEEDS_NETNS },
	[CNI_GC] = { "GC", NEEDS_PATH },
	[CNI_STATUS] = { "STATUS", NEEDS_PATH },
	[CNI_VERSION] = { "VERSION", 0 },
};

const char *environment_command_name(enum cni_command command)
{
	return commands[command].name;
}

const char *environment_get(char *const *variables, const char *name)
{
	size_t n = strlen(name);

	for (; *variables; variables++)
		if (strncmp(*variables, name, n) == 0 && (*variables)[n] == '=')
			return *variables + n + 1;
	return NULL;
}

static const char *text_of(char *const *variables, const char *name)
{
	const char *value = environment_get(variables, name);

	return value ? value : "";
}

static int read_command(struct environment *environment, const char *text, struct cni_error *err)
{
	for (size_t i = 0; i < array_length(commands); i++) {
		if (strcmp(text, commands[i].name) == 0) {
			environment->command = (enum cni_command)i;
			return 0;
		}
	}
	if (!*text) {
		cni_fail(err, CNI_INVALID_ENVIRONMENT, "CNI_COMMAND is not set");
		return cni_fail_details(err, "Container runtimes start this program; see --help");
	}
	return cni_fail(err, CNI_INVALID_ENVIRONMENT,
			"CNI_COMMAND=%.40s: accepted are ADD, DEL, CHECK, GC, STATUS and VERSION", text);
}

/* All that is missing in one message, as one is seldom missing alone. */
static int check_missing(const struct environment *environment, unsigned needs, struct cni_error *err)
{
	const struct {
		unsigned bit;
		const char *name, *value;
	} variables[] = {
		{ NEEDS_CONTAINER, "CNI_CONTAINERID", environment->container_id },
		{ NEEDS_NETNS, "CNI_NETNS", environment->netns },
		{ NEEDS_INTERFACE, "CNI_IFNAME", environment->interface },
		{ NEEDS_PATH, "CNI_PATH", environment->path },
	};
	char names[100] = "";
	size_t n = 0;

	for (size_t i = 0; i < array_length(variables); i++)
		if ((needs & variables[i].bit) && !*variables[i].value)
			n += (size_t)snprintf(names + n, sizeof names - n, " %s", variables[i].name);
	if (n == 0)
		return 0;
	return cni_fail(err, CNI_INVALID_ENVIRONMENT, "%s needs%s, which the runtime did not set",
			environment_command_name(environment->command), names);
}

static bool is_word(const char *text, size_t n, size_t max)
{
	return n > 0 && n <= max && strspn(text, word) >= n && strspn(text, letters_and_digits) > 0;
}

static bool is_interface(const char *text)
{
	size_t n = strlen(text);

	for (const char *p = text; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '/' || *p == ':')
			return false;
	return n > 0 && n <= INTERFACE_MAX && utf8_valid(text, n) && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

static int check_values(const struct environment *environment, unsigned needs, struct cni_error *err)
{
	if ((needs & NEEDS_CONTAINER) &&
	    !is_word(environment->container_id, strlen(environment->container_id), CONTAINER_MAX))
		return cni_fail(
			err, CNI_INVALID_ENVIRONMENT,
			"CNI_CONTAINERID=%.80s: accepted are up to %d letters, digits, '_', '.' and '-', the first a "
			"letter or digit",
			environment->container_id, CONTAINER_MAX);
	if ((needs & NEEDS_INTERFACE) && !is_interface(environment->interface))
		return cni_fail(err, CNI_INVALID_ENVIRONMENT,
				"CNI_IFNAME=%.80s: accepted is a name of up to %d bytes without '/', ':' and blanks",
				environment->interface, INTERFACE_MAX);
	return 0;
}

/* Of KEY=VALUE;KEY=VALUE; the last one counts, as in the reference library.  Owned; "" when absent or no word. */
static char *argument(const char *args, const char *key)
{
	size_t key_len = strlen(key);
	const char *found = "";
	size_t found_len = 0;

	while (*args) {
		size_t n = strcspn(args, ";");
		if (n > key_len && strncmp(args, key, key_len) == 0 && args[key_len] == '=') {
			found = args + key_len + 1;
			found_len = n - key_len - 1;
		}
		args += n + (args[n] == ';');
	}
	return is_word(found, found_len, POD_TEXT_MAX) ? mem_dup_n(found, found_len) : mem_dup("");
}

static int read_pod(struct environment *environment, const char *args, unsigned needs, struct cni_error *err)
{
	const struct {
		const char *key;
		char **value;
	} parts[] = {
		{ "K8S_POD_NAMESPACE", &environment->pod_namespace },
		{ "K8S_POD_NAME", &environment->pod_name },
		{ "K8S_POD_UID", &environment->pod_uid },
	};

	for (size_t i = 0; i < array_length(parts); i++)
		*parts[i].value = argument(args, parts[i].key);
	for (size_t i = 0; (needs & NEEDS_POD) && i < array_length(parts); i++) {
		if (**parts[i].value)
			continue;
		cni_fail(err, CNI_INVALID_ENVIRONMENT, "CNI_ARGS has no %s, or none that can be a pod's", parts[i].key);
		return cni_fail_details(err,
					"The service must know which pod asks; Multus, and the container runtimes of "
					"Kubernetes 1.20 and later, pass K8S_POD_NAMESPACE, K8S_POD_NAME and "
					"K8S_POD_UID");
	}
	return 0;
}

int environment_read(struct environment *environment, char *const *variables, struct cni_error *err)
{
	*environment = (struct environment){ .container_id = text_of(variables, "CNI_CONTAINERID"),
					     .netns = text_of(variables, "CNI_NETNS"),
					     .interface = text_of(variables, "CNI_IFNAME"),
					     .path = text_of(variables, "CNI_PATH") };
	if (read_command(environment, text_of(variables, "CNI_COMMAND"), err) < 0)
		return -1;
	unsigned needs = commands[environment->command].needs;
	if (check_missing(environment, needs, err) < 0 || check_values(environment, needs, err) < 0 ||
	    read_pod(environment, text_of(variables, "CNI_ARGS"), needs, err) < 0) {
		environment_free(environment);
		return -1;
	}
	return 0;
}

void environment_free(struct environment *environment)
{
	free(environment->pod_namespace);
	free(environment->pod_name);
	free(environment->pod_uid);
	*environment = (struct environment){ .container_id = "" };
}
