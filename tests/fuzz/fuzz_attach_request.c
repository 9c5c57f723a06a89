/* The body of an attach request: what is taken keeps within its bounds, and nothing in it means anything in a URL. */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cni/webhook/attach_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct attach_request *request)
{
	size_t interface = strlen(request->interface), network = strlen(request->network_name);

	assert(*request->namespace && strlen(request->namespace) <= 63 && !strpbrk(request->namespace, "/.%?#\\ "));
	assert(*request->name && strlen(request->name) <= 253 && !strpbrk(request->name, "/%?#\\ "));
	assert(!strstr(request->name, "..") && strcmp(request->name, ".") != 0);
	assert(*request->uid && strlen(request->uid) <= 64 && !strpbrk(request->uid, "/.%?#\\ "));
	assert(interface >= 1 && interface <= 15 && network >= 1 && network <= 253);
	assert(!request->has_hint || guid_usable(request->hint));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct attach_request *request = NULL;
	struct error err = { 0 };

	if (attach_request_parse(&request, (const char *)data, size, &err) < 0) {
		assert(!request && err.kind == ERROR_INVALID && *err.text);
		return 0;
	}
	check(request);
	free(request);
	return 0;
}
