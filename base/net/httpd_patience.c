/* A client that goes on sending, a byte at a time, is never idle: so a request must also be there in time. */
#include "base/mem.h"
#include "base/net/httpd_private.h"

static void on_late(struct loop_timer *timer)
{
	struct httpd *httpd = container_of(timer, struct httpd, patience);
	struct httpd_connection *connection;
	int64_t now_ms = loop_now_ms();

	while ((connection = TAILQ_FIRST(&httpd->awaited)) && connection->due_ms <= now_ms) {
		httpd_awaits_no_more(httpd, connection);
		httpd_connection_drop(httpd, connection);
	}
	if (connection)
		loop_timer_at(timer, connection->due_ms);
}

void httpd_patience_init(struct httpd *httpd, int64_t request_timeout_ms)
{
	httpd->request_timeout_ms = request_timeout_ms;
	TAILQ_INIT(&httpd->awaited);
	loop_timer_init(&httpd->patience, httpd->loop, on_late);
}

void httpd_awaits(struct httpd *httpd, struct httpd_connection *connection)
{
	httpd_awaits_no_more(httpd, connection);
	if (httpd->request_timeout_ms == 0)
		return;
	connection->due_ms = loop_now_ms() + httpd->request_timeout_ms;
	connection->awaited = true;
	TAILQ_INSERT_TAIL(&httpd->awaited, connection, link); /* all have the same patience: the first is due first */
	if (!loop_timer_is_set(&httpd->patience))
		loop_timer_at(&httpd->patience, connection->due_ms);
}

void httpd_awaits_no_more(struct httpd *httpd, struct httpd_connection *connection)
{
	if (connection->awaited)
		TAILQ_REMOVE(&httpd->awaited, connection, link);
	connection->awaited = false;
}
