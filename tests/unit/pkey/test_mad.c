#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "pkey/mad.h"

/* Offsets and values are those of the InfiniBand Architecture Specification, and of datagrams as OpenSM 3.3 answered. */

static void test_a_question_has_the_wire_form_of_its_class(void **state)
{
	static const uint8_t smp[24] = { 1,    1,    1,    1,    0, 0,    0, 0, 0, 0, 0, 0,
					 0xaa, 0xbb, 0xcc, 0xdd, 0, 0x16, 0, 0, 0, 7, 0, 1 };
	static const uint8_t sa[24] = { 1, 3, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0x11, 0, 0, 0, 0, 0, 0 };
	static const uint8_t guid[8] = { 0x02, 0, 0, 0, 0, 0, 0, 0x1a };
	static const uint8_t key[8] = { 0, 0, 0, 0, 0, 0, 0x12, 0x34 };
	static const uint8_t by_port_guid[8] = { 0, 0, 0, 0, 0, 0, 1, 0 };
	struct mad mad;

	(void)state;
	mad_get_pkey_table(&mad, 0xaabbccdd, 7, 1);
	assert_memory_equal(mad.bytes, smp, sizeof smp);
	mad_query_node(&mad, 9, 0x1234, (struct guid){ 0x020000000000001a }, false);
	assert_memory_equal(mad.bytes, sa, sizeof sa);
	assert_int_equal(mad.bytes[24], 1);
	assert_memory_equal(mad.bytes + 36, key, 8);
	assert_memory_equal(mad.bytes + 48, by_port_guid, 8);
	assert_memory_equal(mad.bytes + 56 + 24, guid, 8);
}

static void test_one_hop_is_a_directed_route(void **state)
{
	struct mad mad;

	(void)state;
	mad_get_port_info(&mad, 1, 17);
	mad_direct(&mad, 2);
	assert_int_equal(mad.bytes[1], 0x81);
	assert_int_equal(mad.bytes[7], 1);
	assert_memory_equal(mad.bytes + 32, "\xff\xff\xff\xff", 4);
	assert_int_equal(mad.bytes[128], 0);
	assert_int_equal(mad.bytes[129], 2);
	assert_int_equal(mad.bytes[23], 17);
}

static void test_traps_differ_from_one_to_the_next(void **state)
{
	struct mad a, b;

	(void)state;
	mad_trap_sweep(&a, 1, 5, 1);
	mad_trap_sweep(&b, 1, 5, 2);
	assert_int_equal(a.bytes[3], 5);
	assert_int_equal(a.bytes[64 + 5], 128);
	assert_memory_not_equal(a.bytes + 64, b.bytes + 64, 64);
}

static void test_only_its_own_answer_answers_a_question(void **state)
{
	struct mad question, answer;

	(void)state;
	mad_get_sm_info(&question, 77);
	answer = question;
	assert_false(mad_answers(&answer, &question)); /* itself, back unanswered */
	answer.bytes[3] = 0x81;
	assert_true(mad_answers(&answer, &question));
	answer.bytes[8] = 0x99; /* the kernel's half of the transaction */
	assert_true(mad_answers(&answer, &question));
	answer.bytes[15]++;
	assert_false(mad_answers(&answer, &question));
	answer.bytes[15]--;
	answer.bytes[17]++;
	assert_false(mad_answers(&answer, &question));
	answer.bytes[17]--;
	answer.bytes[1] = 3;
	assert_false(mad_answers(&answer, &question));
	mad_query_managers(&question, 5, 0);
	answer = question;
	answer.bytes[3] = 0x92;
	assert_true(mad_answers(&answer, &question));
}

static void test_a_status_is_said_for_people(void **state)
{
	struct mad mad;

	(void)state;
	mad_get_sm_info(&mad, 1);
	mad.bytes[4] = 0x80; /* the direction of a directed route */
	assert_int_equal(mad_status(&mad), 0);
	assert_string_equal(mad_status_text(&mad), "good");
	mad.bytes[5] = 12;
	assert_non_null(strstr(mad_status_text(&mad), "not supported"));
	mad_query_managers(&mad, 1, 0);
	mad.bytes[4] = 2;
	assert_non_null(strstr(mad_status_text(&mad), "OPENSM_SM_KEY"));
	for (unsigned status = 0; status < 0x8000; status++) {
		mad.bytes[4] = (uint8_t)(status >> 8);
		mad.bytes[5] = (uint8_t)status;
		assert_non_null(mad_status_text(&mad));
	}
}

static void test_attributes_are_read_from_their_places(void **state)
{
	struct mad mad = { 0 };
	struct mad_sm_info sm;
	struct mad_node_info node;
	struct mad_port_info port;
	uint16_t pkeys[MAD_PKEYS_PER_BLOCK];
	uint8_t *data = mad.bytes + 64;

	(void)state;
	memcpy(data, "\x00\x02\xc9\x03\x00\x00\x00\x11", 8);
	data[19] = 196;
	data[20] = 0x53;
	mad_read_sm_info(&mad, &sm);
	assert_int_equal(sm.guid.v, 0x0002c90300000011);
	assert_int_equal(sm.activity, 196);
	assert_int_equal(sm.priority, 5);
	assert_int_equal(sm.state, MAD_SM_MASTER);
	memset(data, 0, 64);
	data[2] = MAD_NODE_SWITCH;
	data[3] = 36;
	data[27] = 0x21;
	data[29] = 64;
	data[36] = 7;
	data[38] = 0x02;
	data[39] = 0xc9;
	mad_read_node_info(&mad, &node);
	assert_int_equal(node.type, MAD_NODE_SWITCH);
	assert_int_equal(node.ports, 36);
	assert_int_equal(node.port.v, 0x21);
	assert_int_equal(node.pkeys, 64);
	assert_int_equal(node.local_port, 7);
	assert_int_equal(node.vendor, 0x02c9);
	memset(data, 0, 64);
	data[17] = 6;
	data[19] = 1;
	data[32] = 0x14;
	data[43] = 0x48;
	mad_read_port_info(&mad, &port);
	assert_int_equal(port.lid, 6);
	assert_int_equal(port.sm_lid, 1);
	assert_int_equal(port.state, MAD_PORT_ACTIVE);
	assert_true(port.enforces_inbound);
	assert_false(port.enforces_outbound);
	memcpy(data, "\x7f\xff\x92\x34", 4);
	mad_read_pkey_block(&mad, pkeys);
	assert_int_equal(pkeys[0], 0x7fff);
	assert_int_equal(pkeys[1], 0x9234);
}

/* --- many records --- */

static unsigned seen, lids;

static void count(void *aux, const uint8_t *record, size_t len)
{
	struct mad_node_record node;

	(void)aux;
	assert_true(len >= MAD_NODE_RECORD_MIN);
	mad_read_node_record(record, &node);
	seen++;
	lids += node.lid;
}

/* Exactly `len` bytes, so that the sanitizer sees who reads more. */
static int each(uint8_t method, unsigned units, size_t len, struct error *err)
{
	uint8_t *bytes = mem_alloc(len);

	seen = lids = 0;
	if (len > 45) {
		bytes[3] = method;
		bytes[44] = (uint8_t)(units >> 8);
		bytes[45] = (uint8_t)units;
	}
	for (size_t at = 56, i = 1; units && at + 1 < len; at += 8 * units, i++)
		bytes[at + 1] = (uint8_t)i;
	int result = mad_each_record(bytes, len, MAD_NODE_RECORD_MIN, count, NULL, err);
	free(bytes);
	return result;
}

static void test_each_whole_record_of_a_table_is_read(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(each(0x92, 14, 56 + 3 * 112, &err), 0);
	assert_int_equal(seen, 3);
	assert_int_equal(lids, 1 + 2 + 3);
	assert_int_equal(each(0x92, 14, 56 + 3 * 112 - 1, &err), 0); /* the last one is cut */
	assert_int_equal(seen, 2);
	assert_int_equal(each(0x92, 0, 56 + 200, &err), 0); /* an empty table */
	assert_int_equal(seen, 0);
	assert_int_equal(each(0x92, 14, 56, &err), 0);
	assert_int_equal(seen, 0);
	assert_int_equal(each(0x81, 0, 256, &err), 0); /* one record: its size is not said */
	assert_int_equal(seen, 1);
}

static void test_an_answer_whose_sizes_do_not_fit_is_refused(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(each(0x92, 1, 256, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_int_equal(each(0x92, 14, 55, &err), -1);
	assert_int_equal(each(0x81, 0, 60, &err), -1);
	assert_int_equal(each(0x92, 0xffff, 4096, &err), 0);
	assert_int_equal(seen, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_question_has_the_wire_form_of_its_class),
		cmocka_unit_test(test_one_hop_is_a_directed_route),
		cmocka_unit_test(test_traps_differ_from_one_to_the_next),
		cmocka_unit_test(test_only_its_own_answer_answers_a_question),
		cmocka_unit_test(test_a_status_is_said_for_people),
		cmocka_unit_test(test_attributes_are_read_from_their_places),
		cmocka_unit_test(test_each_whole_record_of_a_table_is_read),
		cmocka_unit_test(test_an_answer_whose_sizes_do_not_fit_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
