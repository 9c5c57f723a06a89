#pragma once

#include "base/buf.h"
#include "base/net/httpd.h"
#include "base/net/loop.h"
#include "ufmsync/kube/client.h"

/* An API server for tests, in the test's own loop: each request is handed to a function of the test. */

enum { API_REQUESTS_MAX = 2000 };

struct api_request {
	char *method, *path, *authorization, *content_type, *body;
	char *continue_token, *version, *selector, *limit, *watch, *bookmarks,
		*timeout_seconds; /* of the query; NULL: absent */
};

extern struct loop *api_loop;
extern struct httpd *api_httpd;
extern struct kube *api_kube;
extern struct buf api_log; /* what the test's callbacks heard */
extern struct api_request api_requests[API_REQUESTS_MAX];
extern unsigned api_n;

/* The n-th request, from 0, which is recorded. */
typedef void api_serve_fn(struct httpd_request *request, unsigned n);
void api_serve(api_serve_fn *serve);

/* cmocka's setup and teardown; api_connect() makes another client with this identity. */
int api_setup(void **state);
int api_teardown(void **state);
void api_connect(const struct kube_config *config);

void api_json(struct httpd_request *request, int status, const char *json);
void api_stream(struct httpd_request *request, const char *json); /* begins one */
/* Runs the loop until true; fails after ten seconds. */
void api_until(bool (*true_now)(void));
void api_until_log(const char *wanted); /* until the log is this */
void api_until_requests(unsigned n);
