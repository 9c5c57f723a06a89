#include "ufmsync/setup/base64.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

char *base64_of(const void *bytes, size_t len)
{
	char *out = mem_alloc((len + 2) / 3 * 4 + 1);

	EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);
	return out;
}

/* Whole groups of its alphabet, padded at the end only. */
static bool is_base64(const char *text, size_t len)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t plain = strspn(text, alphabet);

	return len % 4 == 0 && len - plain <= 2 && strspn(text + plain, "=") == len - plain;
}

char *base64_text(const char *encoded)
{
	size_t len = strlen(encoded), padding = len - strcspn(encoded, "=");

	if (!is_base64(encoded, len))
		return NULL;
	char *out = mem_alloc(len / 4 * 3 + 1);
	/* The padding decodes to NULs. */
	int n = len > 0 ? EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)encoded, (int)len) : 0;
	if (n >= 0 && strlen(out) == (size_t)n - padding)
		return out;
	mem_wipe_free(out);
	return NULL;
}
