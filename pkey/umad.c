#include "pkey/umad.h"

#include <errno.h>
#include <infiniband/ibnetdisc.h>
#include <infiniband/umad.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/net/loop.h"
#include "pkey/umad_verbs.h"

enum {
	TRIES = 2, /* of a question, each with the whole timeout */
	TIMEOUT_MS = 1000,
	MAD_LEAST = 56, /* the header of the longest class */
	ANSWER_FIRST = 4096,
	ANSWER_MAX = 4 << 20,
	QP_SUBNET = 0,
	QP_SA = 1,
	PERMISSIVE_LID = 0xffff,
};
static const int qkey_sa = (int)0x80010000;

struct fabric {
	struct fabric_options options;
	char device[UMAD_CA_NAME_LEN];
	unsigned port;
	int fd;
	int by_lid, directed, sa; /* agents */
	uint32_t tid;
	uint16_t traps;
	uint8_t *answer;  /* umad_size() bytes of the kernel's, then the datagram */
	size_t size, len; /* of the datagram: room, and bytes received */
};

/* --- opening --- */

static int no_such(const struct fabric_options *options, struct error *err)
{
	if (options->device)
		return error_set(err, ERROR_GONE,
				 "no InfiniBand device %s with a port %u; OPENSM_DEVICE and OPENSM_PORT",
				 options->device, options->port ? options->port : 1);
	return error_set(
		err, ERROR_GONE,
		"no InfiniBand device; the pod needs /dev/infiniband and /sys/class/infiniband_mad of a node with "
		"a port");
}

/* Without verbs (a port of which only the management device is there): by what the kernel lists.  Ethernet ports (RoCE)
 * have no subnet manager. */
static bool pick_by_umad(struct fabric *fabric)
{
	char names[UMAD_MAX_DEVICES][UMAD_CA_NAME_LEN];
	const char *wanted = fabric->options.device;
	int n = umad_get_cas_names(names, UMAD_MAX_DEVICES);
	bool found = false;

	for (int i = 0; i < n; i++) {
		umad_port_t port;
		if ((wanted && strcmp(names[i], wanted) != 0) ||
		    umad_get_port(names[i], (int)fabric->options.port, &port) < 0)
			continue;
		bool fits = strcmp(port.link_layer, "Ethernet") != 0;
		bool active = fits && port.state == MAD_PORT_ACTIVE;
		if (active || (fits && !found)) {
			memcpy(fabric->device, names[i], sizeof fabric->device);
			fabric->port = (unsigned)port.portnum;
			found = true;
		}
		umad_release_port(&port);
		if (active)
			break;
	}
	return found;
}

static bool pick(struct fabric *fabric)
{
	return verbs_pick(fabric->options.device, fabric->options.port, fabric->device, sizeof fabric->device,
			  &fabric->port) ||
	       pick_by_umad(fabric);
}

static int open_port(struct fabric *fabric, struct error *err)
{
	fabric->fd = umad_open_port(fabric->device, (int)fabric->port);
	if (fabric->fd < 0) {
		errno = -fabric->fd;
		return error_set_errno(err,
				       "%s port %u cannot be opened for management (/dev/infiniband/umad*; rights?)",
				       fabric->device, fabric->port);
	}
	fabric->by_lid = umad_register(fabric->fd, 0x01, 1, 0, NULL);
	fabric->directed = umad_register(fabric->fd, 0x81, 1, 0, NULL);
	fabric->sa = umad_register(fabric->fd, 0x03, 2, 1, NULL);
	if (fabric->by_lid < 0 || fabric->directed < 0 || fabric->sa < 0) {
		umad_close_port(fabric->fd);
		fabric->fd = -1;
		return error_set(err, ERROR_OS, "%s port %u takes no management agent", fabric->device, fabric->port);
	}
	return 0;
}

int fabric_open(struct fabric **ret, const struct fabric_options *options, struct error *err)
{
	struct fabric *fabric = mem_alloc(sizeof *fabric);

	fabric->options = *options;
	fabric->options.device = mem_dup(options->device);
	fabric->fd = -1;
	if (!fabric->options.timeout_ms)
		fabric->options.timeout_ms = TIMEOUT_MS;
	umad_init();
	int result = pick(fabric) ? open_port(fabric, err) : no_such(options, err);
	if (result < 0) {
		fabric_close(fabric);
		return -1;
	}
	/* Two that ask from one port: their questions differ. */
	fabric->tid = (uint32_t)loop_now_ms() << 8;
	fabric->size = ANSWER_FIRST;
	fabric->answer = mem_alloc(umad_size() + fabric->size); /* its size is known only now */
	*ret = fabric;
	return 0;
}

void fabric_close(struct fabric *fabric)
{
	if (!fabric)
		return;
	if (fabric->fd >= 0)
		umad_close_port(fabric->fd);
	free((char *)(uintptr_t)fabric->options.device);
	free(fabric->answer);
	free(fabric);
}

void fabric_set_sm_key(struct fabric *fabric, uint64_t sm_key)
{
	fabric->options.sm_key = sm_key;
}

int fabric_port(struct fabric *fabric, struct fabric_port *port, struct error *err)
{
	umad_port_t now;

	if (umad_get_port(fabric->device, (int)fabric->port, &now) < 0)
		return error_set(err, ERROR_GONE, "%s port %u is gone", fabric->device, fabric->port);
	memset(port, 0, sizeof *port);
	strncpy(port->device, fabric->device, sizeof port->device - 1);
	port->port = fabric->port;
	port->guid.v = be64toh(now.port_guid);
	port->lid = (uint16_t)now.base_lid;
	port->sm_lid = (uint16_t)now.sm_lid;
	port->state = now.state;
	umad_release_port(&now);
	return 0;
}

/* --- asking --- */

struct question {
	struct mad mad;
	uint16_t lid;
	int agent;
};

static int send_question(struct fabric *fabric, const struct question *question, struct error *err)
{
	bool sa = question->agent == fabric->sa;
	uint8_t *umad = fabric->answer;

	memset(umad, 0, umad_size());
	memcpy(umad_get_mad(umad), &question->mad, sizeof question->mad);
	umad_set_addr(umad, question->lid, sa ? QP_SA : QP_SUBNET, 0, sa ? qkey_sa : 0);
	int result =
		umad_send(fabric->fd, question->agent, umad, sizeof question->mad, (int)fabric->options.timeout_ms, 0);
	if (result < 0) {
		errno = -result;
		return error_set_errno(err, "%s port %u: send", fabric->device, fabric->port);
	}
	return 0;
}

/* One datagram, whatever it is: 1, 0 none in time, -1 with err. */
static int receive(struct fabric *fabric, int64_t wait_ms, struct error *err)
{
	int len = (int)fabric->size;
	memset(umad_get_mad(fabric->answer), 0, MAD_SIZE); /* what a short one does not bring is zero */
	int result = umad_recv(fabric->fd, fabric->answer, &len, (int)wait_ms);

	if (result == -ENOSPC && len > 0 && (size_t)len <= ANSWER_MAX) { /* it waits until there is room */
		fabric->size = (size_t)len;
		fabric->answer = mem_resize(fabric->answer, umad_size() + fabric->size, 1);
		len = (int)fabric->size;
		result = umad_recv(fabric->fd, fabric->answer, &len, (int)wait_ms);
	}
	if (result >= 0) {
		fabric->len = len > 0 ? (size_t)len : 0;
		return 1;
	}
	if (result == -ETIMEDOUT || result == -EAGAIN || result == -EINTR)
		return 0;
	errno = -result;
	return error_set_errno(err, "%s port %u: receive", fabric->device, fabric->port);
}

static bool is_answer(struct fabric *fabric, const struct question *question)
{
	return fabric->len >= MAD_LEAST && umad_status(fabric->answer) == 0 &&
	       mad_answers(umad_get_mad(fabric->answer), &question->mad);
}

/* The answer, at fabric->answer; its own status is the caller's. */
static int ask(struct fabric *fabric, const struct question *question, struct error *err)
{
	for (int i = 0; i < TRIES; i++) {
		int64_t deadline = loop_now_ms() + fabric->options.timeout_ms, left;
		if (send_question(fabric, question, err) < 0)
			return -1;
		/* Late answers to earlier questions, and our own one coming back unanswered, are passed over. */
		while ((left = deadline - loop_now_ms()) > 0) {
			int result = receive(fabric, left, err);
			if (result < 0)
				return -1;
			if (result > 0 && is_answer(fabric, question))
				return 0;
		}
	}
	return error_set(err, ERROR_RETRY, "LID %u does not answer", question->lid);
}

static const struct mad *answer(const struct fabric *fabric)
{
	return umad_get_mad(fabric->answer);
}

static int ask_node(struct fabric *fabric, const struct question *question, const char *what, struct error *err)
{
	if (ask(fabric, question, err) < 0)
		return error_wrap(err, "%s", what);
	if (mad_status(answer(fabric)) != 0)
		return error_set(err, ERROR_RETRY, "%s: LID %u: %s", what, question->lid,
				 mad_status_text(answer(fabric)));
	return 0;
}

static int sm_lid(struct fabric *fabric, uint16_t *lid, struct error *err)
{
	struct fabric_port port;

	if (fabric_port(fabric, &port, err) < 0)
		return -1;
	*lid = port.sm_lid;
	if (port.sm_lid == 0)
		return error_set(err, ERROR_GONE, "%s port %u knows no subnet manager (no SM LID); is OpenSM running?",
				 fabric->device, fabric->port);
	return 0;
}

int fabric_master(struct fabric *fabric, struct mad_sm_info *info, struct error *err)
{
	struct question question = { .agent = fabric->by_lid };

	if (sm_lid(fabric, &question.lid, err) < 0)
		return -1;
	mad_get_sm_info(&question.mad, ++fabric->tid);
	if (ask_node(fabric, &question, "SMInfo", err) < 0)
		return -1;
	mad_read_sm_info(answer(fabric), info);
	return 0;
}

int fabric_pkeys(struct fabric *fabric, uint16_t lid, struct fabric_pkeys *table, struct error *err)
{
	struct question question = { .agent = fabric->by_lid, .lid = lid };
	struct fabric_port port;

	if (lid == 0 && fabric_port(fabric, &port, err) < 0)
		return -1;
	if (lid == 0)
		question.lid = port.lid;
	mad_get_node_info(&question.mad, ++fabric->tid);
	if (ask_node(fabric, &question, "NodeInfo", err) < 0)
		return -1;
	mad_read_node_info(answer(fabric), &table->node);
	if (lid == 0 && table->node.port.v != port.guid.v) /* OpenSM gives LIDs anew now and then */
		return error_set(err, ERROR_RETRY, "LID %u is another port's by now", question.lid);
	table->n = 0;
	table->size = table->node.pkeys < FABRIC_PKEYS_MAX ? table->node.pkeys : FABRIC_PKEYS_MAX;
	for (unsigned block = 0; block * MAD_PKEYS_PER_BLOCK < table->size; block++) {
		uint16_t pkeys[MAD_PKEYS_PER_BLOCK];
		mad_get_pkey_table(&question.mad, ++fabric->tid, 0, block);
		if (ask_node(fabric, &question, "PKeyTable", err) < 0)
			return -1;
		mad_read_pkey_block(answer(fabric), pkeys);
		for (unsigned i = 0; i < MAD_PKEYS_PER_BLOCK && table->n < FABRIC_PKEYS_MAX; i++)
			if (pkeys[i] & 0x7fff)
				table->pkeys[table->n++] = pkeys[i];
	}
	return 0;
}

int fabric_enforces(struct fabric *fabric, bool *enforces, struct error *err)
{
	struct question question = { .agent = fabric->directed, .lid = PERMISSIVE_LID };
	struct mad_node_info node;
	struct mad_port_info port;

	*enforces = true;
	mad_get_node_info(&question.mad, ++fabric->tid);
	mad_direct(&question.mad, fabric->port);
	if (ask_node(fabric, &question, "NodeInfo of the switch in front of our port", err) < 0)
		return -1;
	mad_read_node_info(answer(fabric), &node);
	if (node.type != MAD_NODE_SWITCH)
		return 0; /* back to back: nobody is in between */
	mad_get_port_info(&question.mad, ++fabric->tid, node.local_port);
	mad_direct(&question.mad, fabric->port);
	if (ask_node(fabric, &question, "PortInfo of the switch in front of our port", err) < 0)
		return -1;
	mad_read_port_info(answer(fabric), &port);
	*enforces = port.enforces_inbound && port.enforces_outbound;
	return 0;
}

int fabric_trap(struct fabric *fabric, struct error *err)
{
	struct question question = { .agent = fabric->by_lid };
	struct fabric_port port;

	if (fabric_port(fabric, &port, err) < 0 || sm_lid(fabric, &question.lid, err) < 0)
		return -1;
	mad_trap_sweep(&question.mad, ++fabric->tid, port.lid, ++fabric->traps);
	/* Nobody need answer: that a sweep came of it shows elsewhere. */
	return send_question(fabric, &question, err);
}

/* --- the subnet administrator --- */

static int ask_sa(struct fabric *fabric, struct question *question, struct error *err)
{
	question->agent = fabric->sa;
	if (sm_lid(fabric, &question->lid, err) < 0 || ask(fabric, question, err) < 0)
		return error_wrap(err, "subnet administrator");
	return 0;
}

static void take_lid(void *aux, const uint8_t *record, size_t len)
{
	struct mad_node_record node;

	(void)len;
	mad_read_node_record(record, &node);
	*(uint16_t *)aux = node.lid;
}

int fabric_find(struct fabric *fabric, struct guid port, uint16_t *lid, struct error *err)
{
	enum { NO_RECORDS = 0x0300 };
	struct question question;
	char text[GUID_TEXT_MAX];

	*lid = 0;
	mad_query_node(&question.mad, ++fabric->tid, 0, port, false);
	if (ask_sa(fabric, &question, err) < 0)
		return -1;
	unsigned status = mad_status(answer(fabric));
	if (status == 0 &&
	    mad_each_record((const uint8_t *)answer(fabric), fabric->len, MAD_NODE_RECORD_MIN, take_lid, lid, err) < 0)
		return -1;
	if (status == NO_RECORDS || (status == 0 && *lid == 0))
		return error_set(err, ERROR_GONE, "no port %s is known to the subnet manager", guid_format(text, port));
	if (status != 0)
		return error_set(err, ERROR_RETRY, "port %s: %s", guid_format(text, port),
				 mad_status_text(answer(fabric)));
	return 0;
}

static void count_manager(void *aux, const uint8_t *record, size_t len)
{
	struct mad_sm_record sm;
	unsigned *n = aux;

	(void)len;
	mad_read_sm_record(record, &sm);
	*n += sm.lid != 0 && (sm.info.state == MAD_SM_MASTER || sm.info.state == MAD_SM_STANDBY);
}

int fabric_count_managers(struct fabric *fabric, unsigned *n, struct error *err)
{
	struct question question;

	*n = 0;
	mad_query_managers(&question.mad, ++fabric->tid, 0);
	if (ask_sa(fabric, &question, err) < 0)
		return -1;
	if (mad_status(answer(fabric)) != 0)
		return error_set(err, ERROR_RETRY, "SMInfoRecord: %s", mad_status_text(answer(fabric)));
	return mad_each_record((const uint8_t *)answer(fabric), fabric->len, MAD_SM_RECORD_MIN, count_manager, n, err);
}

int fabric_check_sm_key(struct fabric *fabric, struct error *err)
{
	struct question question;
	struct fabric_port port;
	struct mad_sm_info master;

	if (fabric_port(fabric, &port, err) < 0)
		return -1;
	mad_query_pkeys(&question.mad, ++fabric->tid, fabric->options.sm_key, port.lid, 0, fabric->port);
	if (ask_sa(fabric, &question, err) < 0) {
		/* OpenSM answers nothing to a key that is neither 0 nor its own. */
		struct error silent;
		if (err->kind == ERROR_RETRY && fabric_master(fabric, &master, &silent) == 0)
			return error_set(err, ERROR_AUTH, "the subnet manager drops requests with this OPENSM_SM_KEY");
		return -1;
	}
	if (mad_status(answer(fabric)) != 0)
		return error_set(err, ERROR_AUTH, "with this OPENSM_SM_KEY: %s", mad_status_text(answer(fabric)));
	return 0;
}

/* --- the whole fabric --- */

struct scan {
	void (*each)(void *aux, struct guid port, uint16_t lid);
	void *aux;
};

static void scan_port(ibnd_port_t *port, void *aux)
{
	const struct scan *scan = aux;

	bool of_switch = port->node->type == IB_NODE_SWITCH;
	if (port->base_lid != 0 && (!of_switch || port->portnum == 0)) /* a switch has one LID for all its ports */
		scan->each(scan->aux, (struct guid){ port->guid }, port->base_lid);
}

int fabric_scan(struct fabric *fabric, void (*each)(void *aux, struct guid port, uint16_t lid), void *aux,
		struct error *err)
{
	struct scan scan = { each, aux };
	struct ibnd_config config = { .timeout_ms = (uint32_t)fabric->options.timeout_ms, .retries = TRIES };

	/* It opens the port itself; two agents of one class in a process would take each other's answers. */
	umad_close_port(fabric->fd);
	ibnd_fabric_t *all = ibnd_discover_fabric(fabric->device, (int)fabric->port, NULL, &config);
	if (all) {
		ibnd_iter_ports(all, scan_port, &scan);
		ibnd_destroy_fabric(all);
	}
	if (open_port(fabric, err) < 0)
		return -1;
	return all ? 0
		   : error_set(err, ERROR_RETRY, "the nodes of the fabric cannot be asked through %s port %u",
			       fabric->device, fabric->port);
}
