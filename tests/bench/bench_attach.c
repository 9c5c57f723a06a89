/* Clients of POST /v1/attach, enough of them that the service is what is measured: one thread, epoll, OpenSSL.  Prints one
 * line of JSON.
 *
 *	bench_attach rate ADDRESS PORT CA-FILE TOKEN-FILE BODIES-FILE CONNECTIONS RATE SECONDS
 *		sends RATE requests a second over CONNECTIONS kept-alive ones; 0: a new TLS connection each.  A request's time
 *		counts from when it was due, so that one that has to wait for its turn is not counted as fast
 *	bench_attach floor ... (same words): the same requests to a path that is none, which is all that TLS, HTTP and this
 *		machine cost without an attach
 *	bench_attach wait ADDRESS PORT CA-FILE TOKEN-FILE BODIES-FILE CONNECTIONS
 *		one request on each, all of which wait; says "waiting" once all are sent, then how many were answered well and
 *		when the last one was (CLOCK_MONOTONIC)
 *
 * BODIES-FILE: one request body a line, taken in turn. */

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	ANSWER_MAX = 4096,
	TEXT_MAX = 20 * 1024,
	OPENING_MAX = 64, /* handshakes under way at a time in `wait` */
	SOURCES = 16,     /* addresses 127.0.0.2 on: a short connection's port is not used again for a minute */
	FRESH_MAX = 4096, /* new connections under way at a time in `rate` */
};

enum step { CLOSED, HANDSHAKE, SENDING, READING, IDLE };

struct client {
	int fd;
	SSL *ssl;
	enum step step;
	int64_t due_ns;
	size_t sent, got, request; /* which body */
	char answer[ANSWER_MAX];
};

static struct sockaddr_in server;
static SSL_CTX *tls;
static int epoll_fd;
static char **requests;
static size_t n_requests, next_request;
static bool is_floor;     /* any answer will do */
static bool fresh, waits; /* a new connection each; each sends one request only */
static unsigned opening, opened, answered, good, bad, broken;
static int64_t *times_ns, last_ns;
static size_t n_times, times_max;
static char first_bad[256];

static void die(const char *what)
{
	fprintf(stderr, "bench_attach: %s\n", what);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *must(void *p)
{
	if (!p)
		die("no memory");
	return p;
}

static void read_requests(const char *token_path, const char *path)
{
	static char token[TEXT_MAX], line[TEXT_MAX], text[3 * TEXT_MAX];
	FILE *f = fopen(token_path, "r");

	if (!f || !fgets(token, sizeof token, f))
		die(token_path);
	fclose(f);
	token[strcspn(token, "\n")] = '\0';
	f = fopen(path, "r");
	if (!f)
		die(path);
	while (fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		snprintf(text, sizeof text,
			 "POST %s HTTP/1.1\r\nHost: ufmsync\r\nAuthorization: Bearer %s\r\n"
			 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			 is_floor ? "/v1/none" : "/v1/attach", token, strlen(line), line);
		requests = must(realloc(requests, (n_requests + 1) * sizeof *requests));
		requests[n_requests++] = must(strdup(text));
	}
	fclose(f);
	if (n_requests == 0)
		die("no request");
}

static void start_tls(const char *ca)
{
	tls = must(SSL_CTX_new(TLS_client_method()));
	if (SSL_CTX_load_verify_locations(tls, ca, NULL) != 1)
		die(ca);
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
}

static void want(struct client *c, int op, uint32_t events)
{
	struct epoll_event event = { .events = events | EPOLLET, .data.ptr = c };

	if (epoll_ctl(epoll_fd, op, c->fd, &event) < 0)
		die("epoll_ctl");
}

static void client_close(struct client *c)
{
	if (c->step == HANDSHAKE)
		opening--;
	SSL_free(c->ssl);
	close(c->fd);
	c->ssl = NULL;
	c->step = CLOSED;
}

static void client_broke(struct client *c, const char *what)
{
	broken++;
	if (!first_bad[0])
		snprintf(first_bad, sizeof first_bad, "%s: %s", what, strerror(errno));
	client_close(c);
}

static void client_open(struct client *c)
{
	static uint32_t source;
	struct sockaddr_in from = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + source++ % SOURCES) };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
	if (bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0)
		die("bind");
	if (connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS)
		die("connect");
	c->ssl = must(SSL_new(tls));
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_connect_state(c->ssl);
	c->step = HANDSHAKE;
	opening++;
	opened++;
	want(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

static void client_ask(struct client *c, int64_t due_ns)
{
	c->due_ns = due_ns;
	c->request = next_request++ % n_requests;
	c->sent = c->got = 0;
	if (c->step == CLOSED)
		client_open(c);
	else
		c->step = SENDING;
}

/* Whether the answer is whole; its body then begins at *body. */
static bool is_whole(const struct client *c, const char **body)
{
	const char *end = strstr(c->answer, "\r\n\r\n"), *length = strcasestr(c->answer, "\r\nContent-Length:");

	if (!end || !length || length > end)
		return false;
	*body = end + 4;
	return c->got >= (size_t)(*body - c->answer) + strtoul(length + 17, NULL, 10);
}

static void client_answered(struct client *c, const char *body)
{
	last_ns = now_ns();
	answered++;
	if (is_floor || (strncmp(c->answer, "HTTP/1.1 200", 12) == 0 && strstr(body, "\"guid\""))) {
		good++;
	} else {
		bad++;
		if (!first_bad[0])
			snprintf(first_bad, sizeof first_bad, "%.12s %.200s", c->answer, body);
	}
	if (n_times < times_max)
		times_ns[n_times++] = last_ns - c->due_ns;
	if (fresh || waits)
		client_close(c);
	else
		c->step = IDLE;
}

/* 1: goes on, 0: must wait, -1: over. */
static int tls_result(struct client *c, int result, const char *what)
{
	if (result > 0)
		return 1;
	int error = SSL_get_error(c->ssl, result);
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return 0;
	client_broke(c, what);
	ERR_clear_error();
	return -1;
}

static int client_step(struct client *c)
{
	const char *text = requests[c->request], *body;
	int n, result;

	switch (c->step) {
	case HANDSHAKE:
		result = tls_result(c, SSL_do_handshake(c->ssl), "handshake");
		if (result > 0) {
			opening--;
			c->step = SENDING;
		}
		return result;
	case SENDING:
		n = SSL_write(c->ssl, text + c->sent, (int)(strlen(text) - c->sent));
		result = tls_result(c, n, "write");
		if (result > 0 && (c->sent += (size_t)n) == strlen(text))
			c->step = READING;
		return result;
	case READING:
		n = SSL_read(c->ssl, c->answer + c->got, (int)(sizeof c->answer - 1 - c->got));
		result = tls_result(c, n, "read");
		if (result > 0) {
			c->answer[c->got += (size_t)n] = '\0';
			if (is_whole(c, &body))
				client_answered(c, body);
		}
		return result;
	case IDLE:
	case CLOSED:
		break;
	}
	return 0;
}

static void client_run(struct client *c)
{
	while (client_step(c) > 0)
		;
}

static void turn(int64_t wait_ns)
{
	struct epoll_event events[256];
	struct timespec wait = { .tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000 };
	int n = epoll_pwait2(epoll_fd, events, 256, wait_ns < 0 ? NULL : &wait, NULL);

	for (int i = 0; i < n; i++)
		client_run(events[i].data.ptr);
}

static int compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double at_ms(double part)
{
	size_t i = (size_t)((double)n_times * part);

	return n_times == 0 ? 0 : (double)times_ns[i < n_times ? i : n_times - 1] / 1e6;
}

static void report(double seconds)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	qsort(times_ns, n_times, sizeof *times_ns, compare);
	printf("{\"answered\":%u,\"good\":%u,\"bad\":%u,\"broken\":%u,\"opened\":%u,\"seconds\":%.3f,\"p50_ms\":%.3f,"
	       "\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"own_cpu_ms\":%.0f,\"last_ns\":%" PRId64
	       ",\"first_bad\":\"",
	       answered, good, bad, broken, opened, seconds, at_ms(.5), at_ms(.9), at_ms(.99), at_ms(1),
	       (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3 +
		       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e3,
	       last_ns);
	for (const char *p = first_bad; *p; p++)
		putchar(*p == '"' || *p == '\\' || (unsigned char)*p < ' ' ? '\'' : *p);
	puts("\"}");
}

static struct client *free_client(struct client *clients, size_t n, enum step step)
{
	static size_t last;

	for (size_t i = 0; i < n; i++) {
		last = (last + 1) % n;
		if (clients[last].step == step)
			return &clients[last];
	}
	return NULL;
}

/* Connections are open before the clock runs, where they are kept. */
static void warm_up(struct client *clients, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		client_ask(&clients[i], now_ns());
		while (clients[i].step != IDLE) {
			turn(-1);
			if (broken + bad > 0)
				die(first_bad);
		}
	}
	answered = good = opened = 0;
	n_times = 0;
}

static void run_rate(size_t n, double rate, double seconds)
{
	size_t total = (size_t)(rate * seconds), asked = 0;

	fresh = n == 0;
	n = fresh ? FRESH_MAX : n;
	struct client *clients = must(calloc(n, sizeof *clients));
	times_max = total + n;
	times_ns = must(calloc(times_max, sizeof *times_ns));
	if (!fresh)
		warm_up(clients, n);
	int64_t begin = now_ns(), end = begin + (int64_t)((seconds + 10) * 1e9);
	while (answered + broken < total && now_ns() < end) {
		int64_t now = now_ns(), due;
		while ((due = begin + (int64_t)((double)asked * 1e9 / rate)) <= now && asked < total) {
			struct client *c = free_client(clients, n, fresh ? CLOSED : IDLE);
			if (!c)
				break; /* it stays due */
			asked++;
			client_ask(c, due);
			client_run(c);
		}
		turn(asked < total && due > now ? due - now : 1000000);
	}
	report((double)(now_ns() - begin) / 1e9);
}

static void run_wait(size_t n)
{
	struct client *clients = must(calloc(n, sizeof *clients));
	size_t asked = 0, sent = 0;

	waits = true;
	times_max = n;
	times_ns = must(calloc(n, sizeof *times_ns));
	int64_t begin = now_ns();
	while (sent < n) {
		while (asked < n && opening < OPENING_MAX) {
			client_ask(&clients[asked], now_ns());
			client_run(&clients[asked++]);
		}
		turn(10 * 1000000);
		sent = 0;
		for (size_t i = 0; i < asked; i++)
			sent += clients[i].step == READING || clients[i].step == CLOSED;
	}
	printf("waiting %.3f\n", (double)(now_ns() - begin) / 1e9);
	fflush(stdout);
	while (answered + broken < n)
		turn(-1);
	report((double)(now_ns() - begin) / 1e9);
}

static double number(const char *text)
{
	char *end;
	double n = strtod(text, &end);

	if (end == text || *end != '\0' || n < 0 || n > 1e6)
		die(text);
	return n;
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	is_floor = argc == 10 && strcmp(argv[1], "floor") == 0;
	bool rate = is_floor || (argc == 10 && strcmp(argv[1], "rate") == 0);

	if (!rate && (argc != 8 || strcmp(argv[1], "wait") != 0))
		die("see the head of bench_attach.c");
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)number(argv[3])) };
	if (inet_pton(AF_INET, argv[2], &server.sin_addr) != 1)
		die("no such address");
	start_tls(argv[4]);
	read_requests(argv[5], argv[6]);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (rate)
		run_rate((size_t)number(argv[7]), number(argv[8]), number(argv[9]));
	else
		run_wait((size_t)number(argv[7]));
	return 0;
}
