/* The parsers of guid/guid.h: what they take is what formatting gives back, but for the letters' case. */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "guid/guid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_dup_n((const char *)data, size), back[GUID_TEXT_MAX];
	struct guid pairs, hex, any;
	bool is_pairs = guid_parse(&pairs, text), is_hex = guid_parse_hex(&hex, text);

	if (is_pairs)
		assert(strcasecmp(guid_format(back, pairs), text) == 0);
	if (is_hex)
		assert(strcasecmp(guid_format_hex(back, hex), text + (strlen(text) == 18 ? 2 : 0)) == 0);
	assert(!(is_pairs && is_hex));
	assert(guid_parse_any(&any, text) == (is_pairs || is_hex));
	if (is_pairs || is_hex)
		assert(any.v == (is_pairs ? pairs.v : hex.v));
	free(text);
	return 0;
}
