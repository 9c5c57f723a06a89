/* What the service says in a body, with any status: an answer that keeps the header's promises, or an error that says what
 * to do. */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cni/plugin/attach.h"
#include "guid/guid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct cni_error *err)
{
	assert(err->code == CNI_TRY_AGAIN || err->code == CNI_REFUSED || err->code == CNI_SERVICE_BROKEN ||
	       err->code == CNI_SERVICE_DENIED || err->code == CNI_STATUS_UNAVAILABLE);
	assert(*err->message && *err->details);
}

static void check_answer(const struct attach_answer *answer)
{
	char canonical[GUID_TEXT_MAX];
	struct guid guid;

	assert(guid_parse(&guid, answer->guid) && guid_usable(guid));
	assert(strcmp(guid_format(canonical, guid), answer->guid) == 0);
	assert((answer->pkey != NULL) == (answer->n_memberships > 0) &&
	       answer->n_memberships <= ATTACH_MEMBERSHIPS_MAX);
	assert(!answer->pkey || (*answer->pkey && strlen(answer->pkey) <= 64));
	for (unsigned i = 0; i < answer->n_memberships; i++)
		assert(answer->memberships[i].pkey >= 1 && answer->memberships[i].pkey <= 0x7ffe);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = { 204, 302, 400, 401, 403, 404, 413, 429, 500, 503 };
	char name[] = "ufmsync.svc", token_path[] = "/etc/u/token";
	const struct node_file node = { .server_name = name, .token_path = token_path };
	const char *text = (const char *)data;
	struct attach_answer answer;
	struct cni_error err;
	bool elsewhere;

	if (attach_answer_parse(&answer, &elsewhere, text, size, &err) == 0) {
		assert(!elsewhere);
		check_answer(&answer);
		attach_answer_free(&answer);
	} else {
		assert(!elsewhere || err.code == CNI_TRY_AGAIN);
		check_error(&err);
	}
	if (attach_probe_parse(text, size, &err) < 0)
		check_error(&err);
	for (size_t i = 0; i < array_length(statuses); i++) {
		assert(attach_status_error(&err, &node, statuses[i], text, size) == -1);
		check_error(&err);
	}
	return 0;
}
