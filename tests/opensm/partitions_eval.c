/* What our parser makes of partition files: for the comparison with OpenSM itself.
 *
 *	partitions_eval PORT...         PORT: GUID:ca|switch|router[:sm]
 *	reads file names, one a line, from stdin; answers each with one line:
 *		refused REASON-NUMBER TEXT
 *		accepted GUID:PKEY:full|limited ...
 *	or "replace FROM TO PKEY:GUID:full|limited...", which puts these members into our part of the file FROM, as the
 *	file TO; PKeys with bit 0 have ipoib, those with bit 1 stand at index 0:
 *		refused 0 TEXT
 *		replaced */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "pkey/partitions_block.h"

enum { PORTS_MAX = 64, OURS_MAX = 32, LINE_MAX_BYTES = 64 * 1024 };

static bool read_port(struct partitions_port *port, const char *text)
{
	char guid[32] = "", kind[16] = "", sm[8] = "";

	if (sscanf(text, "%31[^:]:%15[^:]:%7s", guid, kind, sm) < 2 || !guid_parse_hex(&port->guid, guid))
		return false;
	port->kind = strcmp(kind, "switch") == 0   ? PARTITIONS_SWITCH
		     : strcmp(kind, "router") == 0 ? PARTITIONS_ROUTER
						   : PARTITIONS_CA;
	port->is_sm = strcmp(sm, "sm") == 0;
	return true;
}

static bool read_file(struct buf *text, const char *path)
{
	char bytes[4096];
	FILE *file = fopen(path, "rb");
	size_t n;

	if (!file)
		return false;
	while ((n = fread(bytes, 1, sizeof bytes, file)) > 0)
		buf_append(text, bytes, n);
	fclose(file);
	return !text->full;
}

static void answer(const struct partitions *partitions, const struct partitions_port *ports, int n)
{
	printf("accepted");
	for (unsigned pkey = 1; pkey < PKEY_COUNT; pkey++)
		for (int i = 0; i < n; i++) {
			enum membership membership;
			if (partitions_member(partitions, (uint16_t)pkey, &ports[i], &membership))
				printf(" %llx:%04x:%s", (unsigned long long)ports[i].guid.v, pkey,
				       membership_name(membership));
		}
	putchar('\n');
}

/* Our part as the words say: "PKEY:GUID:LEVEL", in hexadecimal. */
static size_t read_ours(struct partitions_ours *ours, struct members **members, char *words)
{
	size_t n = 0;

	for (const char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
		char *level;
		unsigned pkey = (unsigned)strtoul(word, &level, 16) & 0x7fff;
		uint64_t guid = strtoull(level + 1, &level, 16);
		size_t at = 0;

		while (at < n && ours[at].pkey.v != pkey)
			at++;
		if (at == OURS_MAX)
			break;
		if (at == n) {
			members[n] = members_new();
			ours[n] = (struct partitions_ours){ { (uint16_t)pkey }, pkey & 1, pkey & 2, members[n] };
			n++;
		}
		enum membership membership = strcmp(level, ":full") == 0 ? MEMBERSHIP_FULL : MEMBERSHIP_LIMITED;
		members_add(members[at], (struct member){ { guid }, membership, false });
	}
	return n;
}

static bool write_file(const struct buf *text, const char *path)
{
	FILE *file = fopen(path, "wb");
	bool good = file && fwrite(text->data, 1, text->len, file) == text->len;

	return file && fclose(file) == 0 && good;
}

static int replace(char *words)
{
	struct partitions_ours ours[OURS_MAX];
	struct members *members[OURS_MAX];
	const char *from = strtok(words, " "), *to = strtok(NULL, " ");
	struct buf text, result;
	struct error err;

	buf_init(&text, PARTITIONS_TEXT_MAX);
	buf_init(&result, PARTITIONS_TEXT_MAX);
	if (!from || !to || !read_file(&text, from))
		return -1;
	size_t n = read_ours(ours, members, strtok(NULL, ""));
	int good = 0;
	if (partitions_replace(&result, text.data, text.len, ours, n, &err) < 0)
		printf("refused 0 %s\n", err.text);
	else if (write_file(&result, to))
		puts("replaced");
	else
		good = -1;
	for (size_t i = 0; i < n; i++)
		members_free(members[i]);
	buf_free(&text);
	buf_free(&result);
	return good;
}

int main(int argc, char **argv)
{
	struct partitions_port ports[PORTS_MAX];
	char path[LINE_MAX_BYTES];

	if (argc < 2 || argc - 1 > PORTS_MAX)
		return 2;
	for (int i = 1; i < argc; i++)
		if (!read_port(&ports[i - 1], argv[i])) {
			fprintf(stderr, "partitions_eval: %s: a port is GUID:ca|switch|router[:sm]\n", argv[i]);
			return 2;
		}
	while (fgets(path, sizeof path, stdin)) {
		struct buf text;
		struct partitions *partitions;
		struct error err;
		enum partitions_refusal why;

		path[strcspn(path, "\n")] = '\0';
		if (strncmp(path, "replace ", 8) == 0) {
			if (replace(path + 8) < 0)
				return 1;
			fflush(stdout);
			continue;
		}
		buf_init(&text, PARTITIONS_TEXT_MAX);
		if (!read_file(&text, path)) {
			fprintf(stderr, "partitions_eval: %s: %s\n", path, strerror(errno));
			return 1;
		}
		if (partitions_parse(&partitions, text.data, text.len, &why, &err) < 0) {
			printf("refused %d %s\n", why, err.text);
		} else {
			answer(partitions, ports, argc - 1);
			partitions_free(partitions);
		}
		buf_free(&text);
		fflush(stdout);
	}
	return 0;
}
