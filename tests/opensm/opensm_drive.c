/* The backend for OpenSM alone, driven by a test.
 *
 *	opensm_drive FILE RELOAD [--no-verify] [--log FILE] [--prove MS] [--drift MS] [--sm-key N]
 *	stdin, one a line: join PKEY full|limited GUID... | leave PKEY GUID... | list [PKEY] | probe | preflight | counts
 *	stdout, one line each, in order: "ok", members as PKEY:GUID:LEVEL..., or "KIND: text"; besides, at any time,
 *	"said LEVEL ID text" */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "pkey/opensm.h"

enum { GUIDS_MAX = 500 };

static struct loop *loop;
static struct pkey_backend *backend;
static struct loop_io *input;
static unsigned waiting; /* operations without an answer */
static bool ended;       /* of the input */

static void done(void *aux, const struct error *err)
{
	(void)aux;
	if (err)
		printf("%s: %s\n", error_kind_name(err->kind), err->text);
	else
		puts("ok");
	fflush(stdout);
	waiting--;
	if (ended && !waiting)
		loop_stop(loop);
}

static void member(void *aux, struct pkey pkey, const struct member *found)
{
	(void)aux;
	printf("%04x:%016llx:%s ", pkey.v, (unsigned long long)found->guid.v, membership_name(found->membership));
}

static void finding(void *aux, const struct opensm_finding *found)
{
	static const char *const levels[] = { "fine", "warning", "failure" };

	(void)aux;
	printf("said %s %s %s\n", levels[found->level], found->id, found->text);
}

static void said(void *aux, bool warning, const char *id, const char *text)
{
	(void)aux;
	printf("said %s %s %s\n", warning ? "warning" : "fine", id, text);
	fflush(stdout);
}

static void show_counts(void)
{
	struct opensm_counts counts;

	opensm_counts(backend, &counts);
	printf("reloads=%llu written=%llu refused=%llu unproven=%llu checked=%llu absent=%llu drifted=%llu ",
	       (unsigned long long)counts.reloads, (unsigned long long)counts.written,
	       (unsigned long long)counts.refused, (unsigned long long)counts.unproven,
	       (unsigned long long)counts.checked, (unsigned long long)counts.absent,
	       (unsigned long long)counts.drifted);
	done(NULL, NULL);
}

static size_t read_guids(struct guid *guids)
{
	size_t n = 0;
	for (const char *word; n < GUIDS_MAX && (word = strtok(NULL, " \n"));)
		if (guid_parse_any(&guids[n], word))
			n++;
	return n;
}

static void run_command(char *line)
{
	static struct guid guids[GUIDS_MAX];
	const char *word = strtok(line, " \n"), *pkey_text = word ? strtok(NULL, " \n") : NULL;
	struct pkey_class class = { 0 };

	if (!word)
		exit(2);
	if (pkey_text)
		pkey_parse(&class.pkey, pkey_text);
	if (strcmp(word, "join") == 0) {
		const char *level = strtok(NULL, " \n");
		class.membership = level && strcmp(level, "limited") == 0 ? MEMBERSHIP_LIMITED : MEMBERSHIP_FULL;
		size_t n = read_guids(guids);
		backend->class->join(backend, class, guids, n, INT64_MAX, done, NULL);
	} else if (strcmp(word, "leave") == 0) {
		size_t n = read_guids(guids);
		backend->class->leave(backend, class.pkey, guids, n, INT64_MAX, done, NULL);
	} else if (strcmp(word, "list") == 0) {
		struct pkey_list_sink sink = { .member = member, .done = done };
		backend->class->list(backend, pkey_text ? &class.pkey : NULL, &sink);
	} else if (strcmp(word, "preflight") == 0) {
		opensm_preflight(backend, finding, done, NULL);
	} else if (strcmp(word, "counts") == 0) {
		show_counts();
	} else {
		backend->class->probe(backend, done, NULL);
	}
}

/* Commands may be sent without waiting for the answers of those before. */
static void read_commands(void *aux, int events)
{
	static char text[256 * 1024];
	static size_t len;

	(void)aux;
	(void)events;
	ssize_t n = read(STDIN_FILENO, text + len, sizeof text - 1 - len);
	if (n <= 0) {
		ended = true;
		loop_io_want(input, 0);
		if (!waiting)
			loop_stop(loop);
		return;
	}
	len += (size_t)n;
	text[len] = '\0';
	char *line = text;
	for (char *newline; (newline = strchr(line, '\n')); line = newline + 1) {
		*newline = '\0';
		waiting++;
		run_command(line);
	}
	len -= (size_t)(line - text);
	memmove(text, line, len);
}

int main(int argc, char **argv)
{
	struct error err;
	struct opensm_options options = {
		.verify = true, .canaries = { { 0x7ffc }, { 0x7ffd } }, .ip_over_ib = true, .said = said
	};

	if (argc < 3)
		return 2;
	options.file = argv[1];
	options.reload = argv[2];
	options.fabric.timeout_ms = 300;
	options.fabric.sm_key = 1;
	for (int i = 3; i < argc; i++) {
		if (strcmp(argv[i], "--no-verify") == 0)
			options.verify = false;
		else if (strcmp(argv[i], "--log") == 0 && i + 1 < argc)
			options.log = argv[++i];
		else if (strcmp(argv[i], "--prove") == 0 && i + 1 < argc)
			options.prove_ms = strtol(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--drift") == 0 && i + 1 < argc)
			options.drift_ms = strtol(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--sm-key") == 0 && i + 1 < argc)
			options.fabric.sm_key = strtoull(argv[++i], NULL, 0);
	}
	if (loop_new(&loop, &err) < 0 || opensm_new(&backend, loop, &options, &err) < 0) {
		printf("%s: %s\n", error_kind_name(err.kind), err.text);
		return 1;
	}
	input = loop_io_new(loop, STDIN_FILENO, read_commands, NULL);
	loop_io_want(input, LOOP_READABLE);
	loop_run(loop);
	loop_io_free(input);
	pkey_backend_free(backend);
	loop_free(loop);
	return 0;
}
