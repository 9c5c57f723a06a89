#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pkey/opensm_desk.h"
#include "pkey/opensm_log.h"
#include "pkey/partitions_file.h"

/* What can be seen of a site from our own port and its files.  Each finding says what to do. */

enum {
	KEYS_SHOWN = 16,
	DEFAULT_PARTITION = 0x7fff,
	DEFAULT_FULL = 0xffff,
	FINDING_MAX = 1024,
};

/* --- findings --- */

void opensm_desk_find(struct opensm_desk *desk, enum opensm_finding_level level, const char *id, const char *format,
		      ...)
{
	char text[FINDING_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	desk->findings = mem_resize(desk->findings, desk->n_findings + 1, sizeof *desk->findings);
	desk->findings[desk->n_findings++] = (struct opensm_finding){ .level = level, .id = id, .text = mem_dup(text) };
}

void opensm_desk_forget_findings(struct opensm_desk *desk)
{
	for (size_t i = 0; i < desk->n_findings; i++)
		free((char *)(uintptr_t)desk->findings[i].text);
	free(desk->findings);
	desk->findings = NULL;
	desk->n_findings = 0;
}

static void unchecked(struct opensm_desk *desk, const char *what, const struct error *err)
{
	opensm_desk_find(desk, OPENSM_WARNING, "OPENSM_UNCHECKED", "%s: cannot be told: %s", what, err->text);
}

/* --- the file --- */

/* Somebody of whom the file says nothing. */
static bool is_everybody_full(const struct partitions *partitions)
{
	const struct partitions_port anybody = { .guid = { UINT64_MAX - 1 }, .kind = PARTITIONS_CA };
	enum membership membership;

	return partitions_member(partitions, DEFAULT_PARTITION, &anybody, &membership) && membership == MEMBERSHIP_FULL;
}

static void check_default(struct opensm_desk *desk, const struct buf *text)
{
	struct partitions *partitions;
	struct error err;

	if (partitions_parse(&partitions, text->data, text->len, NULL, &err) < 0)
		return;
	if (is_everybody_full(partitions))
		opensm_desk_find(
			desk, OPENSM_WARNING, "OPENSM_DEFAULT_FULL",
			"%s makes every port a full member of the default partition 0x7fff: pods of all tenants "
			"reach each other through it, whatever their PKeys; make it "
			"\"Default=0x7fff,ipoib : ALL=limited, SELF=full ;\" with =full for those that serve "
			"everybody, our own port among them",
			desk->options.file);
	partitions_free(partitions);
}

static void check_file(struct opensm_desk *desk)
{
	struct members *none = members_new();
	const struct partitions_ours ours[] = { { .pkey = desk->options.canaries[0], .members = none },
						{ .pkey = desk->options.canaries[1], .members = none } };
	struct buf text, result;
	struct error err;

	buf_init(&text, PARTITIONS_TEXT_MAX);
	buf_init(&result, PARTITIONS_TEXT_MAX);
	if (partitions_file_read(&text, desk->options.file, &err) < 0 ||
	    partitions_replace(&result, text.data, text.len, ours, 2, &err) < 0)
		opensm_desk_find(desk, OPENSM_FAILURE, "OPENSM_FILE", "%s: %s; nothing is written until it is mended",
				 desk->options.file, err.text);
	else
		check_default(desk, &text);
	buf_free(&text);
	buf_free(&result);
	members_free(none);
}

/* --- the port --- */

static const char *state_name(unsigned state)
{
	static const char *const names[] = { "unknown", "down", "initializing", "armed", "active" };

	return names[state < array_length(names) ? state : 0];
}

static bool holds(const struct fabric_pkeys *table, uint16_t value)
{
	for (unsigned i = 0; i < table->n; i++)
		if (table->pkeys[i] == value)
			return true;
	return false;
}

static void say_port(struct opensm_desk *desk, const struct fabric_port *port, const struct fabric_pkeys *table)
{
	char keys[KEYS_SHOWN * 8 + 8] = "", guid[GUID_TEXT_MAX];
	size_t len = 0;

	for (unsigned i = 0; i < table->n && i < KEYS_SHOWN; i++)
		len += (size_t)snprintf(keys + len, sizeof keys - len, "%s0x%04x", i ? ", " : "", table->pkeys[i]);
	opensm_desk_find(
		desk, OPENSM_FINE, "OPENSM_PORT",
		"our port is %s port %u, GUID %s, LID %u, managed from LID %u; its P_Key table holds %u of %u: "
		"%s%s",
		port->device, port->port, guid_format(guid, port->guid), port->lid, port->sm_lid, table->n, table->size,
		table->n ? keys : "nothing", table->n > KEYS_SHOWN ? ", ..." : "");
}

static void check_own_membership(struct opensm_desk *desk, const struct fabric_port *port,
				 const struct fabric_pkeys *table)
{
	if (holds(table, DEFAULT_FULL))
		return;
	opensm_desk_find(desk, OPENSM_WARNING, "OPENSM_LIMITED_PORT",
			 "our port is %s of the default partition, so OpenSM hides other ports from us and they are "
			 "looked for by asking every node; add \"0x%016llx=full\" to the definition of 0x7fff in %s",
			 holds(table, DEFAULT_PARTITION) ? "only a limited member" : "no member",
			 (unsigned long long)port->guid.v, desk->options.file);
}

static void check_managers(struct opensm_desk *desk)
{
	struct error err;
	unsigned n;

	if (fabric_count_managers(desk->fabric, &n, &err) < 0)
		unchecked(desk, "whether there are several subnet managers", &err);
	else if (n > 1)
		opensm_desk_find(
			desk, OPENSM_WARNING, "OPENSM_MANY_SMS",
			"%u subnet managers are on this fabric: when another takes over, it applies its own "
			"partition file; keep %s the same on all their hosts, and run ufmsyncd where the master is",
			n, desk->options.file);
}

static void check_key(struct opensm_desk *desk)
{
	struct error err;

	if (fabric_check_sm_key(desk->fabric, &err) == 0)
		return;
	if (err.kind == ERROR_AUTH)
		opensm_desk_find(desk, OPENSM_WARNING, "OPENSM_WRONG_SM_KEY",
				 "%s; set OPENSM_SM_KEY to what OpenSM's sa_key is", err.text);
	else
		unchecked(desk, "OPENSM_SM_KEY", &err);
}

static void check_enforcement(struct opensm_desk *desk)
{
	struct error err;
	bool enforces;

	if (fabric_enforces(desk->fabric, &enforces, &err) < 0)
		unchecked(desk, "whether switches enforce partitions", &err);
	else if (!enforces)
		opensm_desk_find(
			desk, OPENSM_WARNING, "OPENSM_NOT_ENFORCED",
			"the switch in front of our port does not enforce partitions: only the ports themselves "
			"keep pods apart; set \"part_enforce both\" in opensm.conf (it is the default), or use "
			"switches that can");
}

/* --- virtual functions --- */

/* Adapters whose virtual functions are ports of their own to the subnet manager: Connect-IB, ConnectX-4 and later,
 * BlueField. */
static bool has_virtual_ports(const struct mad_node_info *node)
{
	return (node->device >= 0x1011 && node->device <= 0x10ff) || (node->device >= 0xa2d0 && node->device <= 0xa2ff);
}

/* Nothing that a subnet manager answers says it; its own log names the version.  NVIDIA's are 4 and later, with MLNX. */
static void check_virtual_ports(struct opensm_desk *desk, const struct mad_node_info *node)
{
	char version[64] = "";
	bool known = opensm_log_version(desk->options.log, version, sizeof version);

	if (known && strncmp(version, "3.", 2) == 0 && !strstr(version, "MLNX"))
		opensm_desk_find(
			desk, OPENSM_WARNING, "OPENSM_NO_VPORTS",
			"OpenSM %s serves no virtual functions of ConnectX-4 and later, which need a port of their "
			"own: their links stay down; for those run NVIDIA's OpenSM (of UFM, MLNX_OFED or MLNX-OS, "
			"with virt_enabled 2)",
			version);
	else if (!known && has_virtual_ports(node))
		opensm_desk_find(
			desk, OPENSM_WARNING, "OPENSM_NO_VPORTS",
			"whether this OpenSM serves virtual functions of ConnectX-4 and later cannot be told without "
			"OPENSM_LOG: NVIDIA's does (of UFM, MLNX_OFED or MLNX-OS, with virt_enabled 2), the upstream "
			"one (3.x) does not, and leaves their links down");
}

/* --- all of it --- */

static void check_fabric(struct opensm_desk *desk, const struct fabric_port *port)
{
	struct fabric_pkeys *table = mem_alloc(sizeof *table);
	struct error err;

	if (fabric_pkeys(desk->fabric, 0, table, &err) < 0) {
		unchecked(desk, "our own port's P_Key table", &err);
	} else {
		say_port(desk, port, table);
		check_virtual_ports(desk, &table->node);
		check_own_membership(desk, port, table);
	}
	free(table);
	void (*const checks[])(struct opensm_desk * desk) = { check_key, check_managers, check_enforcement };
	for (size_t i = 0; i < array_length(checks) && !desk->stopping; i++)
		checks[i](desk); /* each may wait for an answer that does not come */
}

static void check_port(struct opensm_desk *desk, const struct fabric_port *port)
{
	struct mad_sm_info master;
	struct error err;

	if (port->state != MAD_PORT_ACTIVE)
		opensm_desk_find(
			desk, OPENSM_FAILURE, "OPENSM_PORT_DOWN",
			"%s port %u is %s: see that its cable is in, and that a subnet manager runs; or name another "
			"port with OPENSM_DEVICE and OPENSM_PORT",
			port->device, port->port, state_name(port->state));
	if (port->state == MAD_PORT_DOWN)
		return; /* nothing can be asked through it */
	if (port->sm_lid == 0) {
		opensm_desk_find(desk, OPENSM_FAILURE, "OPENSM_NO_SM",
				 "%s port %u knows no subnet manager: start OpenSM on this fabric", port->device,
				 port->port);
		return;
	}
	if (fabric_master(desk->fabric, &master, &err) < 0)
		opensm_desk_find(
			desk, OPENSM_FAILURE, "OPENSM_SM_SILENT",
			"the subnet manager at LID %u does not answer (%s): see that OpenSM runs, and that it is not "
			"stopped",
			port->sm_lid, err.text);
	else if (master.state != MAD_SM_MASTER)
		opensm_desk_find(desk, OPENSM_WARNING, "OPENSM_SM_SILENT",
				 "the subnet manager at LID %u is not the master: another takes over at the moment, or "
				 "should have",
				 port->sm_lid);
	else
		check_fabric(desk, port);
}

void opensm_desk_preflight(struct opensm_desk *desk)
{
	struct fabric_port port;
	struct error err;

	opensm_desk_forget_findings(desk);
	check_file(desk);
	if (opensm_reload_check(&desk->reload, &err) < 0)
		opensm_desk_find(desk, OPENSM_FAILURE, "OPENSM_CANNOT_RELOAD",
				 "OpenSM cannot be told to read its partitions: %s", err.text);
	if (!desk->options.verify && desk->reload.way != OPENSM_RELOAD_TRAP)
		return; /* no port is needed */
	if (opensm_desk_fabric(desk, &err) < 0 || fabric_port(desk->fabric, &port, &err) < 0)
		opensm_desk_find(
			desk, OPENSM_FAILURE, "OPENSM_NO_DEVICE",
			"%s; partitions are neither written nor listed until there is one (OPENSM_VERIFY=none does "
			"without)",
			err.text);
	else
		check_port(desk, &port);
}
