#pragma once

#include "base/net/http.h"
#include "tests/unit/base/net/raw_server.h"

/* One request of a test and all that was heard of it. */
struct exchange {
	struct http_request *request;
	int heads, head_status;
	size_t data_bytes, data_largest; /* through `data`, in all and at once */
	unsigned data_sum;
	int done;
	int status;
	bool sent, failed;
	enum call_outcome outcome;
	struct error error;
	int64_t retry_after_ms;
	char content_type[100], location[100];
	char *body;
	size_t body_len;
	void (*on_head)(struct exchange *exchange);
	void (*on_data)(struct exchange *exchange); /* may set `error` to fail the exchange */
	void (*on_done)(struct exchange *exchange);
	struct exchange *other; /* for these */
};

/* A loop and a client for each test, and a server that teardown stops if the test started it: cmocka's setup and
 * teardown. */
extern struct loop *exchange_loop;
extern struct http *exchange_http;
extern struct raw_server exchange_server;
int exchange_setup(void **state);
int exchange_teardown(void **state);
void exchange_renew_http(const struct http_options *options);

void exchange_serve(void (*serve)(struct raw_peer *peer)); /* starts it, without TLS */

/* Callbacks and aux of `options` are set here; NULL fields get a default (GET, 64 KiB, a minute). */
void exchange_send(struct exchange *exchange, const struct http_request_options *options);
void exchange_get(struct exchange *exchange, const char *base, const char *path);
void exchange_stream(struct exchange *exchange, const char *base, const char *path); /* through `data` */
void exchange_forget(struct exchange *exchange);                                     /* cancelled: is not waited for */
void exchange_wait(void);                                                            /* until all are done */
void exchange_free(struct exchange *exchange);
void exchange_turns(int n); /* lets the loop turn so often */

/* Fail the test with what was got instead. */
void exchange_assert_answered(const struct exchange *exchange, int status, const char *body); /* NULL: any */
void exchange_assert_failed(const struct exchange *exchange, enum error_kind kind, const char *words);
