#include "pkey/ufm_ports.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/scan.h"
#include "pkey/ufm_wire.h"

enum { PORT_MAX = 16 * 1024, ALL_MAX = 512 * 1024 * 1024, LID_NONE = 0xffff, NUMBER_MAX = 0xff };

struct ufm_ports {
	struct ufm_ports **slot;
	const struct pkey_backend *backend; /* that it is measured for */
	int64_t sent_ms;
	const struct ufm_access *access;
	struct pkey_ports_sink sink;
	struct scan *scan;
};

/* The text goes to terminals. */
static void read_text(char *out, size_t size, const json_t *object, const char *key)
{
	const char *text = json_str(object, key, NULL);
	size_t len = 0;

	for (; text && text[len] && len + 1 < size; len++)
		out[len] = text[len] >= 0x20 && text[len] < 0x7f ? text[len] : '?';
	out[len] = '\0';
}

static unsigned read_number(const json_t *object, const char *key, int64_t most)
{
	int64_t n = json_int(object, 0, key, NULL);

	return n > 0 && n <= most ? (unsigned)n : 0;
}

/* False: nothing that UFM has seen. */
static bool read_port(struct pkey_port *port, const json_t *object)
{
	const char *guid = json_str(object, "virtual_port_guid", NULL);

	if (!guid || !guid_parse_any(&port->guid, guid) || !guid_usable(port->guid))
		return false;
	read_text(port->state, sizeof port->state, object, "virtual_port_state");
	read_text(port->node, sizeof port->node, object, "system_name");
	read_text(port->device, sizeof port->device, object, "node_description");
	port->lid = read_number(object, "virtual_port_lid", LID_NONE - 1);
	port->number = read_number(object, "physical_port_number", NUMBER_MAX);
	return port->lid > 0 || (port->state[0] && strcasecmp(port->state, "Unknown") != 0);
}

static int on_value(void *aux, const struct scan_value *value, struct error *err)
{
	struct ufm_ports *ports = aux;
	__attribute__((cleanup(json_freep))) json_t *object = json_parse(value->json, value->len, err);
	struct pkey_port port = { .guid = { 0 } };

	if (!object)
		return -1;
	if (!json_is_object(object))
		return error_set(err, ERROR_RETRY, "a virtual port that is no object");
	if (read_port(&port, object))
		ports->sink.port(ports->sink.aux, &port);
	return 0;
}

static int on_begin(void *aux, unsigned depth, const char *key, char first, struct error *err)
{
	(void)aux;
	(void)key;
	return depth > 0 || first == '[' ? 0 : error_set(err, ERROR_RETRY, "no array");
}

/* What is no JSON now may be some later. */
static int failed(struct error *err)
{
	if (err->kind != ERROR_LIMIT)
		err->kind = ERROR_RETRY;
	return error_wrap(err, "not a whole list of virtual ports");
}

static int on_bytes(void *aux, const char *bytes, size_t n, struct error *err)
{
	struct ufm_ports *ports = aux;

	return scan_feed(ports->scan, bytes, n, err) < 0 ? failed(err) : 0;
}

static int judge(const struct ufm_ports *ports, const struct http_reply *reply, struct error *err)
{
	const struct ufm_answer answer = {
		.status = reply->status,
		.body = reply->body,
		.body_len = reply->body_len,
		.location = reply->location,
		.withhold = ufm_access_is_in(ports->access, reply->body) ||
			    ufm_access_is_in(ports->access, reply->location),
	};

	pkey_backend_ended(ports->backend, PKEY_LIST_PORTS, reply->error ? http_outcome(reply) : ufm_outcome(&answer),
			   loop_now_ms() - ports->sent_ms);
	if (reply->error) {
		*err = *reply->error;
		return -1;
	}
	if (ufm_judge_ports(&answer, err) != UFM_DONE)
		return -1;
	return scan_end(ports->scan, err) < 0 ? failed(err) : 0;
}

static void on_reply(void *aux, const struct http_reply *reply)
{
	struct ufm_ports *ports = aux;
	const struct pkey_ports_sink sink = ports->sink;
	struct error err;
	int result = judge(ports, reply, &err);

	if (result < 0)
		error_wrap(&err, "list the virtual ports");
	*ports->slot = NULL;
	ufm_ports_free(ports);
	sink.done(sink.aux, result < 0 ? &err : NULL);
}

void ufm_ports_ask(struct ufm_ports **slot, const struct pkey_backend *backend, struct http *http,
		   const struct ufm_access *access, int64_t timeout_ms, const struct pkey_ports_sink *sink)
{
	struct ufm_ports *ports = mem_alloc(sizeof *ports);
	__attribute__((cleanup(mem_freep))) char *url = mem_printf("%s/resources/vports", ufm_access_url(access));
	const char *headers[] = { "Accept: application/json", ufm_access_authorization(access), NULL };

	assert(!*slot);
	*slot = ports;
	ports->slot = slot;
	ports->backend = backend;
	ports->sent_ms = loop_now_ms();
	ports->access = access;
	ports->sink = *sink;
	ports->scan = scan_new(&(struct scan_options){ .patterns = { "*" },
						       .max_value = PORT_MAX,
						       .max_total = ALL_MAX,
						       .value = on_value,
						       .begin = on_begin,
						       .aux = ports });
	http_send(http, &(struct http_request_options){ .method = "GET",
							.url = url,
							.headers = headers,
							.timeout_ms = timeout_ms,
							.data = on_bytes,
							.done = on_reply,
							.aux = ports });
}

void ufm_ports_free(struct ufm_ports *ports)
{
	if (!ports)
		return;
	scan_free(ports->scan);
	free(ports);
}
