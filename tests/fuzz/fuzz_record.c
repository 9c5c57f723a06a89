#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ufmsync/record.h"

/* The first byte says whether the rest is an annotation's text, or a payload that is signed here first: else nothing but
 * the signature would ever be looked at. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char key[] = "01234567890123456789012345678901";

static char *base64url(const unsigned char *bytes, size_t n)
{
	char *text = mem_alloc(n / 3 * 4 + 8);
	int len = EVP_EncodeBlock((unsigned char *)text, bytes, (int)n);
	for (int i = 0; i < len; i++)
		text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i] == '=' ? '\0' : text[i];
	return text;
}

static char *sign(const uint8_t *payload, size_t n)
{
	unsigned char mac[32];
	unsigned int size = sizeof mac;
	char *encoded = base64url(payload, n), *text = mem_printf("1.%s", encoded);
	HMAC(EVP_sha256(), key, sizeof key - 1, (const unsigned char *)text, strlen(text), mac, &size);
	char *signature = base64url(mac, sizeof mac), *whole = mem_printf("%s.%s", text, signature);
	free(encoded);
	free(text);
	free(signature);
	return whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record_keys *keys;
	struct record *record;
	struct error err;
	if (!size || record_keys_parse(&keys, "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", &err) < 0)
		return 0;
	char *text = data[0] & 1 ? sign(data + 1, size - 1) : mem_dup_n((const char *)data + 1, size - 1);
	if (record_open(&record, keys, text, "uid-1", &err) == 0) {
		char *again = record_sign(keys, record);
		record_free(record);
		if (record_open(&record, keys, again, "uid-1", &err) < 0)
			abort(); /* what was understood must be understood again */
		record_free(record);
		free(again);
	}
	free(text);
	record_keys_free(keys);
	return 0;
}
