#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/net/httpd.h"
#include "base/net/loop.h"
#include "tests/mock/ufm_api.h"
#include "tests/mock/ufm_faults.h"
#include "tests/mock/ufm_log.h"

/* The server that plays UFM: takes requests, lets them take their time and go wrong as told, answers. */

struct ufm_exchange;

/* What the server starts with.  Borrowed for its life. */
struct ufm_baseline {
	struct ufm_switches switches;
	const char *username, *password, *token; /* token NULL: none */
};

struct ufm_server {
	struct loop *loop;
	struct httpd *httpd;
	struct ufm_baseline baseline;
	struct ufm_api api;
	struct ufm_faults faults;
	struct ufm_log *log;
	struct loop_timer settle;       /* the fabric's next sweep */
	struct ufm_exchange *exchanges; /* all that are not over */
	unsigned writes_open;           /* being worked on */
	unsigned writes_hung;           /* kept unanswered by a fault, their clients still there */
	unsigned late;                  /* writes that will take effect after their answer */
	int64_t down_until_ms;
	int down_status;   /* 0: connections are closed */
	uint64_t revision; /* of the model and the fabric */
	/* After each change of state and each request; may be NULL. */
	void (*changed)(void *aux);
	void *aux;
};

/* `server` is zeroed but for its baseline; `options`: where and with which certificates to listen; the rest is filled in. */
int ufm_server_start(struct ufm_server *server, struct loop *loop, struct httpd_options *options, struct error *err);
void ufm_server_stop(struct ufm_server *server); /* also after a failed start */

/* For whoever changes the model from behind. */
void ufm_server_touched(struct ufm_server *server);
/* After a change that has been settled. */
void ufm_server_changed(struct ufm_server *server);
void ufm_server_notify(struct ufm_server *server);
/* The other node takes over: sessions and last_updated are gone, tokens stay; nobody answers for a while. */
void ufm_server_fail_over(struct ufm_server *server, int64_t down_ms, int status);
/* As at the start but for the seed; what still waits for an answer is closed, what would take effect late is forgotten. */
void ufm_server_reset(struct ufm_server *server);
struct ufm_clock ufm_server_clock(void);
