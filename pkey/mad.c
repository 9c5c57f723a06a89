#include "pkey/mad.h"

#include <string.h>

enum mad_class { CLASS_SUBNET = 0x01, CLASS_SA = 0x03, CLASS_SUBNET_DIRECTED = 0x81 };
enum mad_method {
	METHOD_GET = 0x01,
	METHOD_TRAP = 0x05,
	METHOD_TRAP_REPRESS = 0x07,
	METHOD_GET_TABLE = 0x12,
	METHOD_RESPONSE = 0x80,
};
enum mad_attribute {
	ATTRIBUTE_NOTICE = 0x02,
	ATTRIBUTE_NODE_INFO = 0x11,
	ATTRIBUTE_PORT_INFO = 0x15,
	ATTRIBUTE_PKEY_TABLE = 0x16,
	ATTRIBUTE_SM_INFO = 0x20,
	/* of the SA: */
	ATTRIBUTE_NODE_RECORD = 0x11,
	ATTRIBUTE_SM_INFO_RECORD = 0x18,
	ATTRIBUTE_PKEY_TABLE_RECORD = 0x33,
};
/* Where things stand in a datagram. */
enum {
	AT_CLASS = 1,
	AT_METHOD = 3,
	AT_STATUS = 4,
	AT_TID = 12, /* its low half: the high one is the kernel's */
	AT_ATTRIBUTE = 16,
	AT_MODIFIER = 20,
	AT_SMP_DATA = 64,
	AT_RMPP_VERSION = 24,
	AT_SM_KEY = 36,
	AT_RECORD_SIZE = 44, /* in units of 8 bytes */
	AT_COMPONENTS = 48,
	AT_RECORDS = 56,
};

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

static void put64(uint8_t *at, uint64_t value)
{
	put32(at, (uint32_t)(value >> 32));
	put32(at + 4, (uint32_t)value);
}

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static struct guid get_guid(const uint8_t *at)
{
	return (struct guid){ (uint64_t)get32(at) << 32 | get32(at + 4) };
}

/* --- requests --- */

static void begin(struct mad *mad, enum mad_class class, enum mad_method method, enum mad_attribute attribute,
		  uint32_t modifier, uint32_t tid)
{
	memset(mad, 0, sizeof *mad);
	mad->bytes[0] = 1; /* of the format */
	mad->bytes[AT_CLASS] = (uint8_t) class;
	mad->bytes[2] = class == CLASS_SA ? 2 : 1; /* of the class */
	mad->bytes[AT_METHOD] = (uint8_t)method;
	put32(mad->bytes + AT_TID, tid);
	put16(mad->bytes + AT_ATTRIBUTE, (unsigned)attribute);
	put32(mad->bytes + AT_MODIFIER, modifier);
}

void mad_get_sm_info(struct mad *mad, uint32_t tid)
{
	begin(mad, CLASS_SUBNET, METHOD_GET, ATTRIBUTE_SM_INFO, 0, tid);
}

void mad_get_node_info(struct mad *mad, uint32_t tid)
{
	begin(mad, CLASS_SUBNET, METHOD_GET, ATTRIBUTE_NODE_INFO, 0, tid);
}

void mad_get_port_info(struct mad *mad, uint32_t tid, unsigned port)
{
	begin(mad, CLASS_SUBNET, METHOD_GET, ATTRIBUTE_PORT_INFO, port, tid);
}

void mad_get_pkey_table(struct mad *mad, uint32_t tid, unsigned switch_port, unsigned block)
{
	begin(mad, CLASS_SUBNET, METHOD_GET, ATTRIBUTE_PKEY_TABLE, (uint32_t)switch_port << 16 | (block & 0xffff), tid);
}

void mad_trap_sweep(struct mad *mad, uint32_t tid, uint16_t lid, uint16_t count)
{
	enum { GENERIC_URGENT = 0x81, PRODUCER_SWITCH = 2, LINK_STATE_CHANGED = 128 };
	uint8_t *notice = mad->bytes + AT_SMP_DATA;

	begin(mad, CLASS_SUBNET, METHOD_TRAP, ATTRIBUTE_NOTICE, 0, tid);
	notice[0] = GENERIC_URGENT;
	notice[3] = PRODUCER_SWITCH;
	put16(notice + 4, LINK_STATE_CHANGED);
	put16(notice + 6, lid);
	put16(notice + 8, count & 0x7fffu); /* the top bit says "toggle" */
	put16(notice + 10, lid);
}

void mad_direct(struct mad *mad, unsigned port)
{
	enum { AT_HOP_COUNT = 7, AT_SOURCE = 32, AT_DESTINATION = 34, AT_PATH = 128, PERMISSIVE_LID = 0xffff };

	mad->bytes[AT_CLASS] = CLASS_SUBNET_DIRECTED;
	mad->bytes[AT_HOP_COUNT] = 1;
	put16(mad->bytes + AT_SOURCE, PERMISSIVE_LID);
	put16(mad->bytes + AT_DESTINATION, PERMISSIVE_LID);
	mad->bytes[AT_PATH + 1] = (uint8_t)port;
}

static uint8_t *begin_query(struct mad *mad, uint32_t tid, bool table, enum mad_attribute attribute, uint64_t sm_key,
			    uint64_t components)
{
	begin(mad, CLASS_SA, table ? METHOD_GET_TABLE : METHOD_GET, attribute, 0, tid);
	mad->bytes[AT_RMPP_VERSION] = 1;
	put64(mad->bytes + AT_SM_KEY, sm_key);
	put64(mad->bytes + AT_COMPONENTS, components);
	return mad->bytes + AT_RECORDS;
}

void mad_query_node(struct mad *mad, uint32_t tid, uint64_t sm_key, struct guid port, bool table)
{
	enum { BY_PORT_GUID = 1 << 8 };

	put64(begin_query(mad, tid, table, ATTRIBUTE_NODE_RECORD, sm_key, BY_PORT_GUID) + 24, port.v);
}

void mad_query_pkeys(struct mad *mad, uint32_t tid, uint64_t sm_key, uint16_t lid, unsigned block, unsigned port)
{
	enum { BY_LID = 1, BY_BLOCK = 2, BY_PORT = 4 };
	uint8_t *record =
		begin_query(mad, tid, false, ATTRIBUTE_PKEY_TABLE_RECORD, sm_key, BY_LID | BY_BLOCK | BY_PORT);

	put16(record, lid);
	put16(record + 2, block);
	record[4] = (uint8_t)port;
}

void mad_query_managers(struct mad *mad, uint32_t tid, uint64_t sm_key)
{
	begin_query(mad, tid, true, ATTRIBUTE_SM_INFO_RECORD, sm_key, 0);
}

/* --- answers --- */

bool mad_answers(const struct mad *mad, const struct mad *request)
{
	const uint8_t *a = mad->bytes, *q = request->bytes;
	unsigned wanted = q[AT_METHOD] == METHOD_TRAP ? METHOD_TRAP_REPRESS : q[AT_METHOD] | METHOD_RESPONSE;

	return a[AT_CLASS] == q[AT_CLASS] && a[AT_METHOD] == wanted && get32(a + AT_TID) == get32(q + AT_TID) &&
	       get16(a + AT_ATTRIBUTE) == get16(q + AT_ATTRIBUTE);
}

unsigned mad_status(const struct mad *mad)
{
	return get16(mad->bytes + AT_STATUS) & 0x7fff; /* the top bit is the direction of a directed route */
}

const char *mad_status_text(const struct mad *mad)
{
	unsigned status = mad_status(mad);

	if (status == 0)
		return "good";
	if (mad->bytes[AT_CLASS] == CLASS_SA)
		switch (status >> 8) {
		case 1:
			return "the subnet administrator is out of resources";
		case 2:
			return "the subnet administrator calls the request invalid (is OPENSM_SM_KEY right?)";
		case 3:
			return "no such record";
		case 4:
			return "more than one record";
		case 6:
			return "too little was said of what is wanted";
		case 7:
			return "denied";
		}
	switch (status & 0x1f) {
	case 1:
		return "busy";
	case 2:
		return "redirected";
	case 1 << 2:
		return "the class or its version is not supported";
	case 2 << 2:
		return "the method is not supported";
	case 3 << 2:
		return "the method is not supported for this attribute";
	case 7 << 2:
		return "a value is invalid";
	default:
		return "refused";
	}
}

static void read_sm_info(const uint8_t *data, struct mad_sm_info *info)
{
	info->guid = get_guid(data);
	info->activity = get32(data + 16);
	info->priority = data[20] >> 4;
	info->state = data[20] & 15;
}

static void read_node_info(const uint8_t *data, struct mad_node_info *info)
{
	info->type = data[2];
	info->ports = data[3];
	info->node = get_guid(data + 12);
	info->port = get_guid(data + 20);
	info->pkeys = get16(data + 28);
	info->device = get16(data + 30);
	info->local_port = data[36];
	info->vendor = get32(data + 36) & 0xffffff;
}

static void read_pkeys(const uint8_t *data, uint16_t pkeys[MAD_PKEYS_PER_BLOCK])
{
	for (size_t i = 0; i < MAD_PKEYS_PER_BLOCK; i++)
		pkeys[i] = get16(data + 2 * i);
}

void mad_read_sm_info(const struct mad *mad, struct mad_sm_info *info)
{
	read_sm_info(mad->bytes + AT_SMP_DATA, info);
}

void mad_read_node_info(const struct mad *mad, struct mad_node_info *info)
{
	read_node_info(mad->bytes + AT_SMP_DATA, info);
}

void mad_read_port_info(const struct mad *mad, struct mad_port_info *info)
{
	const uint8_t *data = mad->bytes + AT_SMP_DATA;

	info->lid = get16(data + 16);
	info->sm_lid = get16(data + 18);
	info->state = data[32] & 15;
	info->enforces_inbound = data[43] & 8;
	info->enforces_outbound = data[43] & 4;
}

void mad_read_pkey_block(const struct mad *mad, uint16_t pkeys[MAD_PKEYS_PER_BLOCK])
{
	read_pkeys(mad->bytes + AT_SMP_DATA, pkeys);
}

int mad_each_record(const uint8_t *bytes, size_t len, size_t record_min,
		    void (*each)(void *aux, const uint8_t *record, size_t len), void *aux, struct error *err)
{
	if (len < AT_RECORDS)
		return error_set(err, ERROR_INVALID, "the subnet administrator's answer has only %zu bytes", len);
	bool table = bytes[AT_METHOD] == (METHOD_GET_TABLE | METHOD_RESPONSE);
	size_t size = 8u * get16(bytes + AT_RECORD_SIZE), left = len - AT_RECORDS;
	if (!table) { /* one record, whatever is said of its size */
		if (left < record_min)
			return error_set(err, ERROR_INVALID,
					 "the subnet administrator's answer ends within its record");
		each(aux, bytes + AT_RECORDS, left);
		return 0;
	}
	if (size == 0) /* none */
		return 0;
	if (size < record_min)
		return error_set(err, ERROR_INVALID, "the subnet administrator's records have %zu bytes instead of %zu",
				 size, record_min);
	for (const uint8_t *record = bytes + AT_RECORDS; left >= size; record += size, left -= size)
		each(aux, record, size);
	return 0;
}

void mad_read_node_record(const uint8_t *record, struct mad_node_record *node)
{
	node->lid = get16(record);
	read_node_info(record + 4, &node->info);
}

void mad_read_sm_record(const uint8_t *record, struct mad_sm_record *sm)
{
	sm->lid = get16(record);
	read_sm_info(record + 4, &sm->info);
}

void mad_read_pkey_record(const uint8_t *record, uint16_t pkeys[MAD_PKEYS_PER_BLOCK])
{
	read_pkeys(record + 8, pkeys);
}
