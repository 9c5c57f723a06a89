/* PKeys and sets of them, as users write them in network definitions, settings and annotations. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pkey/pkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_dup_n((const char *)data, size);
	struct pkey pkey = { 0 };
	static struct pkey_set set;
	const char *bad = NULL;

	if (pkey_parse(&pkey, text)) {
		assert(pkey.v >= PKEY_FIRST && pkey.v <= PKEY_LAST);
		assert(pkey_set_parse(&set, text, NULL) && pkey_set_has(&set, pkey));
	}
	if (pkey_set_parse(&set, text, &bad))
		assert(!pkey_set_has(&set, (struct pkey){ 0 }) &&
		       !pkey_set_has(&set, (struct pkey){ PKEY_MANAGEMENT }));
	else
		assert(bad >= text && bad <= text + strlen(text));
	free(text);
	return 0;
}
