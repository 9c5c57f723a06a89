#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pkey/mad.h"

/* Any datagram, and any answer of the SA in many: the first byte says which records are looked for, the rest is what the
 * fabric sent.  Records are whole, stand behind each other within it, and reading them stays inside. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	enum { NODES, MANAGERS, PKEYS, KINDS } kind;
	const uint8_t *bytes, *next;
	size_t len, n;
};

static const size_t least[KINDS] = { MAD_NODE_RECORD_MIN, MAD_SM_RECORD_MIN, MAD_PKEY_RECORD_MIN };

static void read_record(void *aux, const uint8_t *record, size_t len)
{
	struct seen *seen = aux;
	struct mad_node_record node;
	struct mad_sm_record sm;
	uint16_t pkeys[MAD_PKEYS_PER_BLOCK];

	assert(len >= least[seen->kind] && record >= seen->next);
	assert(record + len <= seen->bytes + seen->len);
	seen->next = record + len;
	seen->n++;
	switch (seen->kind) {
	case NODES:
		mad_read_node_record(record, &node);
		assert(node.info.vendor <= 0xffffff);
		break;
	case MANAGERS:
		mad_read_sm_record(record, &sm);
		assert(sm.info.priority < 16 && sm.info.state < 16);
		break;
	default:
		mad_read_pkey_record(record, pkeys);
	}
}

static void read_answer(unsigned kind, const uint8_t *bytes, size_t len)
{
	struct seen seen = { .kind = kind, .bytes = bytes, .next = bytes, .len = len };
	struct error err;

	if (mad_each_record(bytes, len, least[kind], read_record, &seen, &err) < 0)
		assert(seen.n == 0 && err.kind == ERROR_INVALID && *err.text);
	else
		assert(seen.n * least[kind] <= len);
}

static void read_datagram(const uint8_t *bytes, size_t len)
{
	struct mad mad = { 0 }, question;
	struct mad_sm_info sm;
	struct mad_node_info node;
	struct mad_port_info port;
	uint16_t pkeys[MAD_PKEYS_PER_BLOCK];

	memcpy(&mad, bytes, len < sizeof mad ? len : sizeof mad);
	assert(mad_status(&mad) < 0x8000 && *mad_status_text(&mad));
	assert(mad.bytes[3] & 0x80 || !mad_answers(&mad, &mad)); /* a question that comes back is no answer to itself */
	mad_query_node(&question, 7, 1, (struct guid){ 2 }, true);
	if (mad_answers(&mad, &question))
		assert(mad.bytes[3] == 0x92);
	mad_read_sm_info(&mad, &sm);
	mad_read_node_info(&mad, &node);
	mad_read_port_info(&mad, &port);
	mad_read_pkey_block(&mad, pkeys);
	assert(port.state < 16 && sm.state < 16);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	uint8_t *bytes = mem_alloc(size > 1 ? size - 1 : 1); /* exactly: what reads behind its end is seen */
	memcpy(bytes, data + 1, size - 1);
	read_answer(data[0] % KINDS, bytes, size - 1);
	read_datagram(bytes, size - 1);
	free(bytes);
	return 0;
}
