/* Megabytes per second that the scanner goes through: a list of pods and UFM's answer, all wanted and nothing wanted,
 * fed as they come from a socket: `bench_scan [rounds]`. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/scan.h"

enum { PIECE = 16 * 1024, PODS = 3000, PKEYS = 10, GUIDS = 2000 };

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void pods(struct buf *text)
{
	buf_text(text, "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[");
	for (int i = 0; i < PODS; i++)
		buf_printf(
			text,
			"%s{\"metadata\":{\"name\":\"pod-%d\",\"namespace\":\"ns-%d\",\"uid\":"
			"\"6f1f7d2c-1d0a-4f0e-9d3b-%012d\",\"labels\":{\"app\":\"train\",\"rank\":\"%d\"},"
			"\"annotations\":{\"k8s.v1.cni.cncf.io/"
			"networks\":\"[{\\\"name\\\":\\\"ib\\\",\\\"namespace\\\":"
			"\\\"ns\\\"}]\"},\"managedFields\":[{\"manager\":\"kubelet\",\"operation\":\"Update\","
			"\"time\":\"2026-01-02T03:04:05Z\",\"fieldsV1\":{\"f:metadata\":{\"f:annotations\":{\".\":{},"
			"\"f:k8s.v1.cni.cncf.io/networks\":{}}},\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":"
			"\\\"c\\\"}\":{\".\":{},\"f:image\":{},\"f:resources\":{}}}}}}]},\"spec\":{\"nodeName\":\"node-"
			"%d\","
			"\"containers\":[{\"name\":\"c\",\"image\":\"example.org/team/train:1.2.3\",\"resources\":"
			"{\"limits\":{\"cpu\":\"8\",\"memory\":\"64Gi\"}},\"env\":[{\"name\":\"ARGS\",\"value\":"
			"\"--epochs 10 --batch 512 --data /data/set\"}]}],\"priority\":0,\"hostNetwork\":false},"
			"\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\","
			"\"lastProbeTime\":null}]}}",
			i > 0 ? "," : "", i, i % 7, i, i, i % 100);
	buf_text(text, "]}");
}

static void pkeys(struct buf *text)
{
	for (int k = 0; k < PKEYS; k++) {
		buf_printf(text, "%s\"0x%x\":{\"partition\":\"p%d\",\"ip_over_ib\":true,\"guids\":[", k > 0 ? "," : "{",
			   k + 1, k);
		for (int i = 0; i < GUIDS; i++)
			buf_printf(text, "%s{\"guid\":\"02%014x\",\"membership\":\"full\",\"index0\":true}",
				   i > 0 ? "," : "", k * GUIDS + i);
		buf_text(text, "]}");
	}
	buf_text(text, "}");
}

static int count(void *aux, const struct scan_value *value, struct error *err)
{
	(void)err;
	*(size_t *)aux += value->len;
	return 0;
}

static void row(const char *what, const struct buf *text, const char *pattern, unsigned rounds)
{
	size_t wanted = 0;
	double since = seconds();

	for (unsigned round = 0; round < rounds; round++) {
		const struct scan_options options = {
			.patterns = { pattern }, .max_value = 1 << 20, .value = count, .aux = &wanted
		};
		struct scan *scan = scan_new(&options);
		struct error err;
		int failed = 0;
		for (size_t at = 0; at < text->len && !failed; at += PIECE)
			failed =
				scan_feed(scan, text->data + at, text->len - at < PIECE ? text->len - at : PIECE, &err);
		if (failed || scan_end(scan, &err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			exit(1);
		}
		scan_free(scan);
	}
	printf("%-40s %6.0f MB/s (%.1f MB, %2.0f%% wanted)\n", what,
	       (double)text->len * rounds / (seconds() - since) / 1e6, (double)text->len / 1e6,
	       100.0 * (double)wanted / (double)rounds / (double)text->len);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100;
	struct buf text;

	if (rounds == 0) {
		fputs("usage: bench_scan [rounds]\n", stderr);
		return 2;
	}
	buf_init(&text, 64 << 20);
	pods(&text);
	row("list of pods, each wanted", &text, "items/*", rounds);
	row("list of pods, skipped", &text, "nothing", rounds);
	buf_clear(&text);
	pkeys(&text);
	row("UFM's PKeys, each member wanted", &text, "*/guids/*", rounds);
	row("UFM's PKeys, skipped", &text, "nothing", rounds);
	buf_free(&text);
	return 0;
}
