#include "ufmsync/kube/watch_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

enum {
	PAGE = 500,
	LIST_MS = 5 * 60 * 1000, /* a page */
	LIST_IDLE_MS = 60 * 1000,
	WATCH_LEAST_S = 240,
	WATCH_SPREAD_S = 61,
	WATCH_MARGIN_MS = 30 * 1000,
	SHORT_MS = 1000,       /* a watch that ends sooner and brought nothing is a failure */
	PROVEN_MS = 10 * 1000, /* one that lasted so long was none */
};

/* How a stream ended, once it is over. */
enum outcome {
	OUTCOME_ENDED,    /* cleanly: a watch's time is over */
	OUTCOME_FAILED,   /* goes on from where it was */
	OUTCOME_CONFUSED, /* what came makes no sense, or the server makes none of what was asked: a list is needed */
	OUTCOME_EXPIRED,  /* our version, or the list's token, is too old */
	OUTCOME_BAD_SELECTOR, /* the server does not know a field of it */
};

/* --- life --- */

static void destroy(struct kube_watch *watch)
{
	scan_free(watch->scan);
	free((char *)watch->options.path);
	free((char *)watch->options.field_selector);
	free(watch->version);
	free(watch->page_token);
	free(watch);
}

static void stop(struct kube_watch *watch)
{
	watch->counts.connected = false;
	loop_timer_stop(&watch->again);
	if (watch->request)
		http_cancel(watch->request);
	watch->request = NULL;
}

static void list_anew(struct kube_watch *watch)
{
	free(watch->version);
	free(watch->page_token);
	watch->version = watch->page_token = NULL;
	watch->begun = false;
}

static void enter(struct kube_watch *watch)
{
	watch->busy++;
}

/* False: the watch is no more, or begins anew; the caller touches it no further. */
static bool leave(struct kube_watch *watch)
{
	if (--watch->busy > 0)
		return !watch->freed && !watch->restart;
	if (watch->freed) {
		destroy(watch);
		return false;
	}
	if (!watch->restart)
		return true;
	watch->restart = false;
	stop(watch);
	list_anew(watch);
	loop_timer_at(&watch->again, 0);
	return false;
}

void kube_watch_free(struct kube_watch *watch)
{
	if (!watch || watch->freed)
		return;
	stop(watch);
	if (watch->busy == 0)
		destroy(watch);
	else
		watch->freed = true;
}

void kube_watch_restart(struct kube_watch *watch)
{
	watch->synced = false;
	watch->restart = true;
	enter(watch);
	leave(watch);
}

void kube_watch_hurry(struct kube_watch *watch)
{
	if (!watch->waits)
		return;
	watch->waits = false;
	watch->backoff.failures = 0;
	loop_timer_at(&watch->again, watch->not_before_ms);
}

void kube_watch_count(const struct kube_watch *watch, struct kube_watch_counts *counts)
{
	*counts = watch->counts;
}

bool kube_watch_is_synced(const struct kube_watch *watch)
{
	return watch->synced;
}

/* --- trouble and what follows --- */

static void tell_trouble(struct kube_watch *watch, const struct error *err)
{
	if (!err && !watch->troubled)
		return;
	watch->troubled = err != NULL;
	if (watch->options.trouble)
		watch->options.trouble(watch->options.aux, err);
}

static void failed(struct kube_watch *watch, const struct error *why, int64_t retry_after_ms)
{
	struct error err = *why;
	int64_t now = loop_now_ms(), wait = backoff_next(&watch->backoff, retry_after_ms);

	error_wrap(&err, "%s %s", watch->listing ? "list" : "watch", watch->options.path);
	watch->waits = why->kind == ERROR_RETRY;
	watch->not_before_ms = now + (retry_after_ms <= 0 ? 0 : retry_after_ms < wait ? retry_after_ms : wait);
	loop_timer_at(&watch->again, now + wait);
	tell_trouble(watch, &err);
}

/* --- a request --- */

static void on_head(void *aux, int status)
{
	struct kube_watch *watch = aux;

	if (status < 200 || status > 299)
		return;
	enter(watch);
	if (!watch->listing) {
		watch->counts.connected = true;
		tell_trouble(watch, NULL);
	} else if (!watch->begun) {
		watch->begun = true;
		watch->counts.lists++;
		watch->options.begin(watch->options.aux);
	}
	leave(watch);
}

static int on_data(void *aux, const char *bytes, size_t n, struct error *err)
{
	struct kube_watch *watch = aux;

	enter(watch);
	int status = scan_feed(watch->scan, bytes, n, err);
	if (leave(watch))
		return status;
	return error_set(err, ERROR_RETRY, "given up");
}

static enum outcome judge_status(const struct kube_watch *watch, int status, const struct error *err)
{
	if (status == 410)
		return OUTCOME_EXPIRED;
	if (status == 400 && watch->selective)
		return OUTCOME_BAD_SELECTOR;
	return err->kind == ERROR_INVALID || err->kind == ERROR_GONE ? OUTCOME_CONFUSED : OUTCOME_FAILED;
}

/* *err is set for every outcome but ENDED. */
static enum outcome judge(struct kube_watch *watch, const struct http_reply *reply, struct error *err)
{
	if (watch->event.kind != ERROR_NONE) {
		*err = watch->event;
		return err->kind == ERROR_GONE ? OUTCOME_EXPIRED : OUTCOME_CONFUSED;
	}
	if (reply->error) {
		*err = *reply->error;
		return err->kind == ERROR_INVALID || err->kind == ERROR_LIMIT ? OUTCOME_CONFUSED : OUTCOME_FAILED;
	}
	if (reply->status < 200 || reply->status > 299) {
		kube_status_error(err, reply->status, reply->body, reply->body_len, NULL);
		return judge_status(watch, reply->status, err);
	}
	return scan_end(watch->scan, err) < 0 ? OUTCOME_FAILED : OUTCOME_ENDED;
}

static void list_ended(struct kube_watch *watch)
{
	struct error err;

	if (watch->page_token) {
		loop_timer_at(&watch->again, 0);
		return;
	}
	if (!watch->version) {
		error_set(&err, ERROR_INVALID, "not a list: it has no resourceVersion");
		failed(watch, &err, -1);
		return;
	}
	watch->begun = false;
	watch->synced = true;
	loop_timer_at(&watch->again, 0);
	watch->options.end(watch->options.aux);
}

static int64_t lasted_ms(const struct kube_watch *watch)
{
	return loop_now_ms() - watch->started_ms;
}

static void watch_ended(struct kube_watch *watch)
{
	struct error err;

	if (!watch->heard && lasted_ms(watch) < SHORT_MS) {
		error_set(&err, ERROR_RETRY, "it ended as soon as it had begun");
		failed(watch, &err, -1);
		return;
	}
	if (!watch->heard)
		list_anew(watch);
	loop_timer_at(&watch->again, 0);
}

/* The first time it is the world's way; again and again it is a failure that must not keep two processes busy. */
static void expired(struct kube_watch *watch, const struct error *why)
{
	watch->counts.expired++;
	watch->synced = false;
	list_anew(watch);
	if (watch->expirations++ > 0)
		failed(watch, why, -1);
	else
		loop_timer_at(&watch->again, 0);
}

static void conclude(struct kube_watch *watch, enum outcome outcome, const struct error *err, int64_t retry_after_ms)
{
	switch (outcome) {
	case OUTCOME_ENDED:
		if (watch->listing)
			list_ended(watch);
		else
			watch_ended(watch);
		return;
	case OUTCOME_EXPIRED:
		expired(watch, err);
		return;
	case OUTCOME_BAD_SELECTOR:
		watch->selective = false;
		break;
	case OUTCOME_CONFUSED:
		break;
	case OUTCOME_FAILED:
		if (watch->listing)
			list_anew(watch);
		failed(watch, err, retry_after_ms);
		return;
	}
	watch->synced = false;
	list_anew(watch);
	failed(watch, err, retry_after_ms);
}

/* An ERROR event, at which we leave off, is the server's answer. */
static enum call_outcome how_it_ended(const struct kube_watch *watch, const struct http_reply *reply)
{
	if (watch->event.kind != ERROR_NONE)
		return watch->event.kind == ERROR_GONE ? CALL_NOT_FOUND : CALL_UNREADABLE;
	return http_outcome(reply);
}

static void on_done(void *aux, const struct http_reply *reply)
{
	struct kube_watch *watch = aux;
	struct error err = { 0 };

	watch->request = NULL;
	watch->counts.connected = false;
	kube_saw(watch->kube, watch->listing ? KUBE_LIST : KUBE_OTHER, reply, lasted_ms(watch));
	if (!watch->listing)
		watch->counts.ends[how_it_ended(watch, reply)]++;
	if (!watch->listing && reply->status == 200 && lasted_ms(watch) >= PROVEN_MS)
		watch->backoff.failures = watch->expirations = 0;
	enum outcome outcome = judge(watch, reply, &err);
	enter(watch);
	conclude(watch, outcome, &err, reply->retry_after_ms);
	leave(watch);
}

/* --- starting one --- */

static void put_query(struct buf *url, const char *key, const char *value)
{
	size_t size = 3 * strlen(value) + 1;
	__attribute__((cleanup(mem_freep))) char *escaped = mem_alloc(size);
	bool fits = kube_escape(escaped, size, value);

	assert(fits);
	buf_printf(url, "%s%s=%s", strchr(url->data, '?') ? "&" : "?", key, escaped);
}

static void send(struct kube_watch *watch, const char *url, int64_t timeout_ms, int64_t idle_ms)
{
	watch->request = kube_send_raw(watch->kube, &(struct http_request_options){
							    .method = "GET",
							    .url = url,
							    .timeout_ms = timeout_ms,
							    .idle_timeout_ms = idle_ms,
							    .head = on_head,
							    .data = on_data,
							    .done = on_done,
							    .aux = watch,
						    });
}

static void send_list(struct kube_watch *watch, struct buf *url)
{
	buf_printf(url, "%s?limit=%u", watch->options.path, watch->options.page);
	if (watch->selective)
		put_query(url, "fieldSelector", watch->options.field_selector);
	if (watch->page_token)
		put_query(url, "continue", watch->page_token);
	watch_scan_list(watch);
	send(watch, url->data, LIST_MS, LIST_IDLE_MS);
}

static void send_watch(struct kube_watch *watch, struct buf *url)
{
	unsigned seconds = WATCH_LEAST_S + (unsigned)(backoff_draw(&watch->backoff) % WATCH_SPREAD_S);

	buf_printf(url, "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%u", watch->options.path, seconds);
	put_query(url, "resourceVersion", watch->version);
	if (watch->selective)
		put_query(url, "fieldSelector", watch->options.field_selector);
	watch_scan_events(watch);
	send(watch, url->data, 0, (int64_t)seconds * 1000 + WATCH_MARGIN_MS);
}

static void start(struct kube_watch *watch)
{
	struct buf url;

	buf_init(&url, 1 << 20);
	watch->waits = false;
	watch->listing = watch->begun || !watch->version;
	watch->heard = false;
	watch->event = (struct error){ 0 };
	watch->started_ms = loop_now_ms();
	if (watch->listing)
		send_list(watch, &url);
	else
		send_watch(watch, &url);
	buf_free(&url);
}

static void on_again(struct loop_timer *timer)
{
	start(container_of(timer, struct kube_watch, again));
}

struct kube_watch *kube_watch_new(struct loop *loop, struct kube *kube, const struct kube_watch_options *options)
{
	struct kube_watch *watch = mem_alloc(sizeof *watch);

	watch->loop = loop;
	watch->kube = kube;
	watch->options = *options;
	watch->options.path = mem_dup(options->path);
	watch->options.field_selector = mem_dup(options->field_selector);
	if (watch->options.page == 0)
		watch->options.page = PAGE;
	watch->selective = options->field_selector != NULL;
	watch->backoff.random = options->random;
	loop_timer_init(&watch->again, loop, on_again);
	loop_timer_at(&watch->again, 0);
	return watch;
}
