/* The floor under ufmsyncd: a bare libcurl program that sends the requests which the same work needs to the same servers,
 * with nothing else to do.  Prints one line of JSON.
 *
 *	bench_floor burst UFM-URL UFM-LOGIN-FILE KUBE-URL KUBE-TOKEN-FILE NAMESPACE PKEY GUIDS BATCH PODS INTERFACES
 *		adds GUIDS in requests of BATCH one after the other, each read back while the next goes out, and patches each
 *		of PODS as soon as its GUIDS / PODS are read back, 64 at a time
 *	bench_floor chain ... (same words): for each of PODS: add, read back, patch, one after the other; also
 *		tells the median and the fastest tenth of them
 *	bench_floor list KUBE-URL KUBE-TOKEN-FILE PATH PAGE: reads a list in pages and throws it away */

#include <curl/curl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PATCHES_AT_ONCE = 64, TEXT_MAX = 256 };

static const char *ufm_url, *kube_url, *namespace, *pkey;
static char ufm_login[TEXT_MAX], kube_header[TEXT_MAX];
static uint64_t requests, bytes;
static double median_ms, fast_ms; /* of a pod of the chain */

static void die(const char *what)
{
	fprintf(stderr, "bench_floor: %s\n", what);
	exit(1);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void read_line(char out[TEXT_MAX], const char *prefix, const char *path)
{
	char line[TEXT_MAX / 2] = "";
	FILE *f = fopen(path, "r");

	if (!f || !fgets(line, sizeof line, f))
		die(path);
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	snprintf(out, TEXT_MAX, "%s%s", prefix, line);
}

static size_t discard(char *data, size_t size, size_t n, void *aux)
{
	(void)data;
	(void)aux;
	bytes += size * n;
	return size * n;
}

static CURL *new_easy(void)
{
	CURL *easy = curl_easy_init();

	if (!easy)
		die("no memory");
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L); /* measured, not trusted: loopback, test certificates */
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_TIMEOUT, 60L);
	return easy;
}

static void check(CURL *easy, CURLcode code)
{
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (code != CURLE_OK || status < 200 || status > 299) {
		fprintf(stderr, "bench_floor: %s, HTTP %ld\n", curl_easy_strerror(code), status);
		exit(1);
	}
	requests++;
}

static struct curl_slist *json_headers(const char *first)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");

	headers = curl_slist_append(headers, "Expect:");
	return first ? curl_slist_append(headers, first) : headers;
}

static uint64_t guid_number(unsigned n)
{
	return UINT64_C(0x0300000000000000) + n;
}

static char *add_body(unsigned first, unsigned n)
{
	char *body = malloc(128 + (size_t)n * 20), *p = body;

	if (!body)
		die("no memory");
	p += sprintf(p, "{\"pkey\":\"%s\",\"index0\":true,\"ip_over_ib\":true,\"membership\":\"full\",\"guids\":[",
		     pkey);
	for (unsigned i = 0; i < n; i++)
		p += sprintf(p, "%s\"%016" PRIx64 "\"", i ? "," : "", guid_number(first + i));
	sprintf(p, "]}");
	return body;
}

static void set_ufm(CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_USERPWD, ufm_login);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
}

static void set_list(CURL *easy)
{
	char url[TEXT_MAX * 2];

	snprintf(url, sizeof url, "%s/ufmRest/resources/pkeys/%s?guids_data=true", ufm_url, pkey);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	set_ufm(easy);
}

static void set_add(CURL *easy, struct curl_slist *headers, const char *body)
{
	char url[TEXT_MAX * 2];

	snprintf(url, sizeof url, "%s/ufmRest/resources/pkeys", ufm_url);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, body);
	set_ufm(easy);
}

/* A patch of the size that ufmsyncd's has: annotation and record. */
static char *patch_body(unsigned pod, unsigned interfaces)
{
	size_t size = 1024 + (size_t)interfaces * 512;
	char *body = malloc(size), *p = body;

	if (!body)
		die("no memory");
	p += sprintf(p, "[{\"op\":\"add\",\"path\":\"/metadata/annotations/floor\",\"value\":\"");
	for (unsigned i = 0; i < interfaces; i++)
		p += sprintf(p,
			     "{'name':'ib','namespace':'%s','interface':'net%u','cni-args':{'guid':'%016" PRIx64
			     "','pkey':'%s','mellanox.infiniband.app':'configured'}},",
			     namespace, i, guid_number(pod * interfaces + i), pkey);
	for (unsigned i = 0; i < interfaces * 3 + 4; i++)
		p += sprintf(p, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP");
	sprintf(p, "\"}]");
	return body;
}

static void set_patch(CURL *easy, struct curl_slist *headers, const char *body, unsigned pod)
{
	char url[TEXT_MAX * 2];

	snprintf(url, sizeof url, "%s/api/v1/namespaces/%s/pods/p%05u", kube_url, namespace, pod);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "PATCH");
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, body);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
}

static struct curl_slist *patch_headers(void)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json-patch+json");

	headers = curl_slist_append(headers, "Expect:");
	return curl_slist_append(headers, kube_header);
}

enum kind { ADD, LIST, PATCH, KINDS };

struct burst {
	CURLM *multi;
	struct curl_slist *adding, *patching;
	unsigned guids, batch, pods, interfaces;
	unsigned sent, answered, asked,
		confirmed; /* GUIDs: in adds, in answered ones, when the list was sent, listed */
	unsigned next_pod, running[KINDS];
};

static void begin(struct burst *burst, CURL *easy, enum kind kind)
{
	curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)(uintptr_t)kind);
	curl_multi_add_handle(burst->multi, easy);
	burst->running[kind]++;
}

static void begin_what_may(struct burst *burst)
{
	char *body;
	CURL *easy;

	if (!burst->running[ADD] && burst->sent < burst->guids) {
		unsigned left = burst->guids - burst->sent, n = left < burst->batch ? left : burst->batch;
		body = add_body(burst->sent, n);
		easy = new_easy();
		set_add(easy, burst->adding, body);
		free(body);
		burst->sent += n;
		begin(burst, easy, ADD);
	}
	if (!burst->running[LIST] && burst->asked < burst->answered) {
		easy = new_easy();
		set_list(easy);
		burst->asked = burst->answered;
		begin(burst, easy, LIST);
	}
	while (burst->running[PATCH] < PATCHES_AT_ONCE && burst->next_pod < burst->pods &&
	       (burst->next_pod + 1) * (burst->guids / burst->pods) <= burst->confirmed) {
		body = patch_body(burst->next_pod, burst->interfaces);
		easy = new_easy();
		set_patch(easy, burst->patching, body, burst->next_pod++);
		free(body);
		begin(burst, easy, PATCH);
	}
}

static void take_ended(struct burst *burst)
{
	CURLMsg *message;
	int queued;

	while ((message = curl_multi_info_read(burst->multi, &queued))) {
		CURL *easy = message->easy_handle;
		char *kind;
		if (message->msg != CURLMSG_DONE)
			continue;
		check(easy, message->data.result);
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &kind);
		burst->running[(uintptr_t)kind]--;
		if ((uintptr_t)kind == ADD)
			burst->answered = burst->sent;
		else if ((uintptr_t)kind == LIST)
			burst->confirmed = burst->asked;
		curl_multi_remove_handle(burst->multi, easy);
		curl_easy_cleanup(easy);
	}
}

static void burst(unsigned guids, unsigned batch, unsigned pods, unsigned interfaces)
{
	struct burst burst = { .multi = curl_multi_init(),
			       .adding = json_headers(NULL),
			       .patching = patch_headers(),
			       .guids = guids,
			       .batch = batch,
			       .pods = pods,
			       .interfaces = interfaces };

	begin_what_may(&burst);
	while (burst.running[ADD] || burst.running[LIST] || burst.running[PATCH]) {
		int still;

		curl_multi_poll(burst.multi, NULL, 0, 1000, NULL);
		if (curl_multi_perform(burst.multi, &still) != CURLM_OK)
			die("curl_multi_perform");
		take_ended(&burst);
		begin_what_may(&burst);
	}
	curl_slist_free_all(burst.adding);
	curl_slist_free_all(burst.patching);
	curl_multi_cleanup(burst.multi);
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void chain(unsigned pods, unsigned interfaces)
{
	double *took = calloc(pods ? pods : 1, sizeof *took);

	if (!took)
		die("no memory");
	struct curl_slist *headers = json_headers(NULL), *patching = patch_headers();
	CURL *ufm = new_easy(), *kube = new_easy();

	for (unsigned pod = 0; pod < pods; pod++) {
		char *body = add_body(pod * interfaces, interfaces), *patch = patch_body(pod, interfaces);
		double begin_ms = now_ms();

		set_add(ufm, headers, body);
		check(ufm, curl_easy_perform(ufm));
		curl_easy_setopt(ufm, CURLOPT_HTTPGET, 1L);
		set_list(ufm);
		check(ufm, curl_easy_perform(ufm));
		set_patch(kube, patching, patch, pod);
		check(kube, curl_easy_perform(kube));
		took[pod] = now_ms() - begin_ms;
		free(body);
		free(patch);
	}
	qsort(took, pods, sizeof *took, compare);
	median_ms = took[pods / 2];
	fast_ms = took[pods / 10];
	free(took);
	curl_easy_cleanup(ufm);
	curl_easy_cleanup(kube);
	curl_slist_free_all(headers);
	curl_slist_free_all(patching);
}

struct page {
	char token[4096]; /* the value of "continue" */
};

/* Keeps only the token of the next page; it never stands across two calls of a page of these servers. */
static size_t keep_token(char *data, size_t size, size_t n, void *aux)
{
	struct page *page = aux;
	size_t len = size * n;

	bytes += len;
	for (size_t i = 0; i + 12 < len && page->token[0] == '\0'; i++)
		if (memcmp(data + i, "\"continue\":\"", 12) == 0) {
			const char *end = memchr(data + i + 12, '"', len - i - 12);
			size_t m = end ? (size_t)(end - (data + i + 12)) : 0;
			if (end && m < sizeof page->token)
				memcpy(page->token, data + i + 12, m);
		}
	return len;
}

static void list(const char *path, unsigned size)
{
	CURL *easy = new_easy();
	struct curl_slist *headers = curl_slist_append(NULL, kube_header);
	struct page page;
	char url[8192];

	snprintf(url, sizeof url, "%s%s?limit=%u", kube_url, path, size);
	do {
		memset(&page, 0, sizeof page);
		curl_easy_setopt(easy, CURLOPT_URL, url);
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep_token);
		curl_easy_setopt(easy, CURLOPT_WRITEDATA, &page);
		check(easy, curl_easy_perform(easy));
		snprintf(url, sizeof url, "%s%s?limit=%u&continue=%s", kube_url, path, size, page.token);
	} while (page.token[0] != '\0');
	curl_slist_free_all(headers);
	curl_easy_cleanup(easy);
}

int main(int argc, char **argv)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
	double begin;

	if (argc == 6 && strcmp(argv[1], "list") == 0) {
		kube_url = argv[2];
		read_line(kube_header, "Authorization: Bearer ", argv[3]);
		begin = now_ms();
		list(argv[4], (unsigned)strtoul(argv[5], NULL, 10));
	} else if (argc == 12 && (strcmp(argv[1], "burst") == 0 || strcmp(argv[1], "chain") == 0)) {
		unsigned n[4];
		ufm_url = argv[2];
		read_line(ufm_login, "", argv[3]);
		kube_url = argv[4];
		read_line(kube_header, "Authorization: Bearer ", argv[5]);
		namespace = argv[6];
		pkey = argv[7];
		for (int i = 0; i < 4; i++)
			n[i] = (unsigned)strtoul(argv[8 + i], NULL, 10);
		begin = now_ms();
		if (argv[1][0] == 'b')
			burst(n[0], n[1], n[2], n[3]);
		else
			chain(n[2], n[3]);
	} else {
		fprintf(stderr, "see the head of tests/bench/bench_floor.c\n");
		return 2;
	}
	printf("{\"ms\": %.3f, \"median_ms\": %.3f, \"fast_ms\": %.3f, \"requests\": %" PRIu64 ", \"bytes\": %" PRIu64
	       "}\n",
	       now_ms() - begin, median_ms, fast_ms, requests, bytes);
	curl_global_cleanup();
	return 0;
}
