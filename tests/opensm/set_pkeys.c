/* Writes a port's P_Key table behind the subnet manager's back, as no program of ours ever does.
 *
 *	set_pkeys LID BLOCK PKEY...    up to 32 of them, from the block's first place on; the rest of the block becomes 0 */

#include <infiniband/umad.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pkey/mad.h"

enum { METHOD_AT = 3, SET = 0x02, DATA_AT = 64, TID = 4711, TIMEOUT_MS = 2000 };

int main(int argc, char **argv)
{
	struct mad request;
	umad_port_t local;
	int len = MAD_SIZE, fd, agent;

	if (argc < 4 || argc > 3 + MAD_PKEYS_PER_BLOCK)
		return 2;
	umad_init();
	if (umad_get_port(NULL, 0, &local) < 0 || (fd = umad_open_port(local.ca_name, local.portnum)) < 0 ||
	    (agent = umad_register(fd, 0x01, 1, 0, NULL)) < 0)
		return 3;
	mad_get_pkey_table(&request, TID, 0, (unsigned)strtoul(argv[2], NULL, 0));
	request.bytes[METHOD_AT] = SET;
	for (int i = 3; i < argc; i++) {
		unsigned long pkey = strtoul(argv[i], NULL, 16);
		request.bytes[DATA_AT + (i - 3) * 2] = (uint8_t)(pkey >> 8);
		request.bytes[DATA_AT + (i - 3) * 2 + 1] = (uint8_t)pkey;
	}
	uint8_t *umad = calloc(1, umad_size() + 2 * MAD_SIZE);
	if (!umad)
		return 3;
	memcpy(umad_get_mad(umad), request.bytes, MAD_SIZE);
	umad_set_addr(umad, (int)strtoul(argv[1], NULL, 0), 0, 0, 0);
	if (umad_send(fd, agent, umad, MAD_SIZE, TIMEOUT_MS, 0) < 0 || umad_recv(fd, umad, &len, TIMEOUT_MS) < 0 ||
	    umad_status(umad) != 0 || mad_status(umad_get_mad(umad)) != 0) {
		fprintf(stderr, "LID %s refuses or does not answer\n", argv[1]);
		return 1;
	}
	free(umad);
	umad_close_port(fd);
	return 0;
}
