/* What our parser makes of partition files: for the comparison with OpenSM itself.
 *
 *	partitions_eval PORT...         PORT: GUID:ca|switch|router[:sm]
 *	reads file names, one a line, from stdin; answers each with one line:
 *		refused REASON-NUMBER TEXT
 *		accepted GUID:PKEY:full|limited ... */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "pkey/partitions.h"

enum { PORTS_MAX = 64 };

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

int main(int argc, char **argv)
{
	struct partitions_port ports[PORTS_MAX];
	char path[4096];

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
