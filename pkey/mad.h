#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "guid/guid.h"

/* InfiniBand management datagrams (256 bytes), built and read.  Pure; the wire's byte order is known here only.  Sources:
 * InfiniBand Architecture Specification 1.x, chapters 13 (common header), 14 (subnet management), 15 (subnet
 * administration).  What is read comes from the fabric: hostile until parsed. */

enum { MAD_SIZE = 256, MAD_PKEYS_PER_BLOCK = 32 };

struct mad {
	uint8_t bytes[MAD_SIZE];
};

/* --- requests; `tid`: the low 32 bits of the transaction id --- */
void mad_get_sm_info(struct mad *mad, uint32_t tid);
void mad_get_node_info(struct mad *mad, uint32_t tid);
void mad_get_port_info(struct mad *mad, uint32_t tid, unsigned port);
void mad_get_pkey_table(struct mad *mad, uint32_t tid, unsigned switch_port, unsigned block); /* 0: no switch */
/* Asks the SM to sweep: Trap 128 (a link changed state).  `count` differs each time: OpenSM drops equal ones. */
void mad_trap_sweep(struct mad *mad, uint32_t tid, uint16_t lid, uint16_t count);
/* Makes one of the requests above go one hop by directed route, out of our own port `port`: to the switch in front of it,
 * whatever LIDs are worth. */
void mad_direct(struct mad *mad, unsigned port);
/* SubnAdmGet, or GetTable, of NodeRecord by PortGUID. */
void mad_query_node(struct mad *mad, uint32_t tid, uint64_t sm_key, struct guid port, bool table);
/* SubnAdmGet of PKeyTableRecord: only with the right SM_Key. */
void mad_query_pkeys(struct mad *mad, uint32_t tid, uint64_t sm_key, uint16_t lid, unsigned block, unsigned port);
/* SubnAdmGetTable of SMInfoRecord: all subnet managers. */
void mad_query_managers(struct mad *mad, uint32_t tid, uint64_t sm_key);

/* --- answers --- */

/* Whether `mad` is the answer to `request`: class, attribute, transaction, response bit. */
bool mad_answers(const struct mad *mad, const struct mad *request);
/* Its status; 0 is good.  mad_status_text(): what it means, for people, a text for ever. */
unsigned mad_status(const struct mad *mad);
const char *mad_status_text(const struct mad *mad);

enum mad_sm_state { MAD_SM_INACTIVE, MAD_SM_DISCOVERING, MAD_SM_STANDBY, MAD_SM_MASTER };
struct mad_sm_info {
	struct guid guid;
	unsigned priority, state;
	uint32_t activity;
};
enum mad_node_type { MAD_NODE_CA = 1, MAD_NODE_SWITCH, MAD_NODE_ROUTER };
struct mad_node_info {
	unsigned type;         /* enum mad_node_type */
	unsigned local_port;   /* by which the question came in */
	unsigned ports, pkeys; /* size of the P_Key table */
	struct guid node, port;
	uint32_t vendor, device;
};
enum { MAD_PORT_DOWN = 1, MAD_PORT_ACTIVE = 4 };
struct mad_port_info {
	uint16_t lid, sm_lid;
	unsigned state; /* MAD_PORT_ACTIVE ... */
	bool enforces_inbound, enforces_outbound;
};
void mad_read_sm_info(const struct mad *mad, struct mad_sm_info *info);
void mad_read_node_info(const struct mad *mad, struct mad_node_info *info);
void mad_read_port_info(const struct mad *mad, struct mad_port_info *info);
void mad_read_pkey_block(const struct mad *mad, uint16_t pkeys[MAD_PKEYS_PER_BLOCK]);

/* An answer of the SA in any number of records: `bytes` begins with the MAD's header, records follow from byte 56 on,
 * `len` is what was received (RMPP put together by the kernel).  Calls back for each whole record; ERROR_INVALID when
 * header and length do not fit. */
int mad_each_record(const uint8_t *bytes, size_t len, size_t record_min,
		    void (*each)(void *aux, const uint8_t *record, size_t len), void *aux, struct error *err);
struct mad_node_record {
	uint16_t lid;
	struct mad_node_info info;
};
struct mad_sm_record {
	uint16_t lid;
	struct mad_sm_info info;
};
enum { MAD_NODE_RECORD_MIN = 44, MAD_SM_RECORD_MIN = 25, MAD_PKEY_RECORD_MIN = 72 };
void mad_read_node_record(const uint8_t *record, struct mad_node_record *node);
void mad_read_sm_record(const uint8_t *record, struct mad_sm_record *sm);
void mad_read_pkey_record(const uint8_t *record, uint16_t pkeys[MAD_PKEYS_PER_BLOCK]);
