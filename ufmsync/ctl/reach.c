#include "ufmsync/ctl/reach.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "ufmsync/ctl/reach_private.h"

enum {
	/* The API server's proxy takes one of the replicas by chance each time: of two, twenty times the wrong one is one in a
	 * million. */
	ATTEMPTS = 20,
	PAUSE_MS = 100,
	PROGRESS_MS = 1000,
	TEXT_MAX = 1024,
	PATH_MAX_BYTES = 16 << 10,
	PAGE_ITEMS = 5000, /* the most that the service gives */
};

void reach_answer_free(struct reach_answer *answer)
{
	json_decref(answer->object);
	free(answer->text);
	*answer = (struct reach_answer){ 0 };
}

/* --- waiting ---------------------------------------------------------------------------------------------------- */

static void on_pause_over(struct loop_timer *timer)
{
	loop_stop(timer->loop);
}

static void on_progress(struct loop_timer *timer)
{
	struct reach *reach = container_of(timer, struct reach, progress);

	fprintf(stderr, "\r\033[K%s ... %lld s", reach->doing, (long long)(loop_now_ms() - reach->began_ms) / 1000);
	fflush(stderr);
	reach->line_shown = true;
	loop_timer_at(timer, loop_now_ms() + PROGRESS_MS);
}

static void hide_line(struct reach *reach)
{
	loop_timer_stop(&reach->progress);
	if (reach->line_shown)
		fputs("\r\033[K", stderr);
	reach->line_shown = false;
}

void reach_pause(struct reach *reach, int64_t ms)
{
	loop_timer_at(&reach->pause, loop_now_ms() + ms);
	while (loop_timer_is_set(&reach->pause))
		loop_run(reach->loop);
}

int64_t reach_left_ms(const struct reach *reach)
{
	int64_t left = reach->deadline_ms - loop_now_ms();

	return left > 0 ? left : 1;
}

static void begin_call(struct reach *reach)
{
	int64_t timeout = reach->options->timeout_ms > 0 ? reach->options->timeout_ms : REACH_TIMEOUT_MS;

	reach->began_ms = loop_now_ms();
	reach->deadline_ms = reach->began_ms + timeout;
}

void reach_wait(struct reach_exchange *exchange, const char *doing)
{
	struct reach *reach = exchange->reach;

	reach->doing = doing;
	if (!reach->options->quiet && isatty(STDERR_FILENO))
		loop_timer_at(&reach->progress, reach->began_ms + PROGRESS_MS);
	while (!exchange->done)
		loop_run(reach->loop);
	hide_line(reach);
}

void reach_on_reply(void *aux, const struct http_reply *reply)
{
	struct reach_exchange *exchange = aux;
	struct reach_answer *answer = exchange->answer;
	struct error err = { 0 };

	answer->status = reply->status;
	if (reply->error)
		answer->error = *reply->error;
	else if (reply->body_len > 0)
		answer->object = json_parse(reply->body, reply->body_len, &err);
	if (!reply->error && !answer->object)
		answer->text = mem_dup_n(reply->body, reply->body_len < TEXT_MAX ? reply->body_len : TEXT_MAX);
	exchange->done = true;
	loop_stop(exchange->reach->loop);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static const struct reach_class *class_of(enum reach_way way)
{
	return way == REACH_DIRECT ? &reach_direct : way == REACH_SERVER ? &reach_server : &reach_proxy;
}

int reach_open(struct reach **ret, const struct reach_options *options, struct error *err)
{
	struct reach *reach = mem_alloc(sizeof *reach);

	reach->options = options;
	reach->class = class_of(options->way);
	if (loop_new(&reach->loop, err) < 0) {
		free(reach);
		return -1;
	}
	loop_timer_init(&reach->pause, reach->loop, on_pause_over);
	loop_timer_init(&reach->progress, reach->loop, on_progress);
	*ret = reach;
	return 0;
}

static void close_token(struct reach_token *token)
{
	mem_wipe_free(token->text);
	token->text = NULL;
}

void reach_close(struct reach *reach)
{
	if (!reach)
		return;
	if (reach->opened)
		reach->class->close(reach);
	close_token(&reach->reader);
	close_token(&reach->operator);
	kube_free(reach->kube);
	kube_config_free(reach->config);
	free(reach->namespace);
	http_free(reach->http);
	loop_free(reach->loop);
	free(reach);
}

/* --- the API server --------------------------------------------------------------------------------------------- */

int reach_kube(struct reach *reach, const char *method, const char *path, const json_t *body, json_t **answer,
	       struct error *err)
{
	struct reach_answer got = { 0 };
	struct reach_exchange exchange = { .reach = reach, .answer = &got };
	__attribute__((cleanup(mem_freep))) char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	static const char *const headers[] = { "Content-Type: application/json", NULL };

	if (reach_open_kube(reach, err) < 0)
		return -1;
	begin_call(reach);
	kube_send_raw(reach->kube, &(struct http_request_options){ .method = method,
								   .url = path,
								   .headers = text ? headers : NULL,
								   .body = text,
								   .body_len = text ? strlen(text) : 0,
								   .timeout_ms = reach_left_ms(reach),
								   .body_max = REACH_ANSWER_MAX,
								   .done = reach_on_reply,
								   .aux = &exchange });
	reach_wait(&exchange, "asking the API server");
	if (got.error.kind == ERROR_NONE && got.status >= 200 && got.status < 300 && got.object) {
		*answer = got.object;
		return 0;
	}
	reach_explain_kube(method, path, &got, err);
	reach_answer_free(&got);
	return -1;
}

/* --- the service ------------------------------------------------------------------------------------------------ */

static struct reach_place place_of(const struct reach *reach, const char *method)
{
	const struct reach_options *options = reach->options;
	const char *account = strcmp(method, "GET") == 0 ? "ufmsync-reader" : "ufmsync-operator";

	return (struct reach_place){ .way = options->way,
				     .namespace =
					     options->service_namespace ? options->service_namespace : "kube-system",
				     .service = options->service_name ? options->service_name : "ufmsync",
				     .account = options->way == REACH_PROXY ? account : NULL,
				     .server = options->server };
}

static bool may_ask_again(const struct reach *reach, int attempt)
{
	return attempt + 1 < ATTEMPTS && reach->options->way != REACH_DIRECT && reach_left_ms(reach) > 2 * PAUSE_MS;
}

/* Better than nothing, and said to be less: what a replica knows that does not lead. */
static bool is_of_follower(const json_t *object)
{
	return json_is_false(json_object_get(object, "authoritative")) ||
	       (json_bool(object, 0, "leader", "held", NULL) && !json_bool(object, 1, "leader", "here", NULL));
}

static void say_follower(struct reach *reach)
{
	if (reach->said_follower || reach->options->quiet)
		return;
	reach->said_follower = true;
	fputs(reach->options->way == REACH_DIRECT
		      ? "note: without the service only what is written on pods and in the fabric is known\n"
		      : "note: no replica that leads answered; this one knows only what is written on pods\n",
	      stderr);
}

/* Not before it is needed: what is wrong with the arguments is said first. */
static int open_way(struct reach *reach, struct error *err)
{
	if (reach->opened)
		return 0;
	if (reach->class->open(reach, err) < 0)
		return -1;
	reach->opened = true;
	return 0;
}

/* One attempt: *answer is set when it was worth something. */
static enum reach_next attempt_call(struct reach *reach, const char *method, const char *path, const char *body,
				    json_t **answer, struct error *err)
{
	struct reach_place place = place_of(reach, method);
	struct reach_answer got = { 0 };

	if (reach->class->ask(reach, method, path, body, &got, err) < 0)
		return REACH_NEXT_FAIL;
	enum reach_next next = reach_judge(&place, method, path, &got, err);
	if (next == REACH_NEXT_DONE) {
		json_decref(*answer);
		*answer = json_incref(got.object);
		if (is_of_follower(*answer))
			next = REACH_NEXT_ELSEWHERE;
	}
	reach_answer_free(&got);
	return next;
}

int reach_call(struct reach *reach, const char *method, const char *path, const json_t *body, json_t **answer,
	       struct error *err)
{
	__attribute__((cleanup(mem_freep))) char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_t *best = NULL;
	enum reach_next next;

	if (open_way(reach, err) < 0)
		return -1;
	begin_call(reach);
	for (int attempt = 0;; attempt++) {
		next = attempt_call(reach, method, path, text, &best, err);
		if (next != REACH_NEXT_ELSEWHERE || !may_ask_again(reach, attempt))
			break;
		reach_pause(reach, best ? PAUSE_MS / 5 : PAUSE_MS);
	}
	if (!best)
		return -1;
	if (is_of_follower(best))
		say_follower(reach);
	*answer = best;
	return 0;
}

static int give_page(const json_t *page, const struct reach_list *list, struct error *err)
{
	const json_t *items = json_object_get(page, "items");

	if (!json_is_array(items))
		return error_set(err, ERROR_RETRY, "the service's answer is not a list");
	if (list->page && list->page(list->aux, page, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(items); i++)
		if (list->item(list->aux, json_array_get(items, i), err) < 0)
			return -1;
	return 0;
}

int reach_each(struct reach *reach, const char *path, const struct reach_list *list, struct error *err)
{
	__attribute__((cleanup(mem_freep))) char *next = NULL;
	int status;

	do {
		__attribute__((cleanup(json_freep))) json_t *page = NULL;
		__attribute__((cleanup(mem_freep))) char *limit = mem_printf("%d", PAGE_ITEMS);
		__attribute__((cleanup(mem_freep))) char *url =
			reach_path(path, "limit", limit, "continue", next, NULL);

		if (reach_call(reach, "GET", url, NULL, &page, err) < 0)
			return -1;
		status = give_page(page, list, err);
		const char *token = json_str(page, "continue", NULL);
		free(next);
		next = token && *token ? mem_dup(token) : NULL;
	} while (status == 0 && next);
	return status;
}

/* --- paths ------------------------------------------------------------------------------------------------------ */

char *reach_segment(const char *text)
{
	size_t size = strlen(text) * 3 + 1;
	char *out = mem_alloc(size);

	kube_escape(out, size, text);
	return out;
}

char *reach_path(const char *path, ...)
{
	struct buf buf;
	const char *key;
	char separator = strchr(path, '?') ? '&' : '?';
	va_list ap;

	buf_init(&buf, PATH_MAX_BYTES);
	buf_text(&buf, path);
	va_start(ap, path);
	while ((key = va_arg(ap, const char *)) != NULL) {
		const char *value = va_arg(ap, const char *);
		if (!value)
			continue;
		char *escaped = reach_segment(value);
		buf_printf(&buf, "%c%s=%s", separator, key, escaped);
		free(escaped);
		separator = '&';
	}
	va_end(ap);
	return buf_take(&buf);
}
