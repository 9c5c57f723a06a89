#include "ufmsync/record.h"

#include <assert.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"

enum { KEYS_MAX = 8, KEY_LEAST = 32, KEY_MOST = 1024, MAC_SIZE = 32, ATTACHMENTS_MAX = 128, NAME_MAX_LEN = 512 };

struct record_key {
	unsigned char *bytes;
	size_t len;
};

struct record_keys {
	struct record_key keys[KEYS_MAX];
	size_t n;
	bool unverified;
};

/* --- base64 --- */

static const char alphabet_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t encode(char *out, const unsigned char *in, size_t n)
{
	char *start = out;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16;
		if (i + 1 < n)
			v |= (uint32_t)in[i + 1] << 8;
		if (i + 2 < n)
			v |= in[i + 2];
		*out++ = alphabet_url[v >> 18 & 63];
		*out++ = alphabet_url[v >> 12 & 63];
		if (i + 1 < n)
			*out++ = alphabet_url[v >> 6 & 63];
		if (i + 2 < n)
			*out++ = alphabet_url[v & 63];
	}
	return (size_t)(out - start);
}

static size_t encoded_size(size_t n)
{
	return (n * 4 + 2) / 3;
}

/* Without padding; strict: every bit that is not part of a byte is zero.  `out` holds len * 3 / 4 bytes. */
static bool decode(unsigned char *out, size_t *n, const char *alphabet, const char *text, size_t len)
{
	uint32_t v = 0;
	unsigned bits = 0;
	*n = 0;
	if (len % 4 == 1)
		return false;
	for (size_t i = 0; i < len; i++) {
		const char *at = text[i] ? strchr(alphabet, text[i]) : NULL;
		if (!at)
			return false;
		v = v << 6 | (uint32_t)(at - alphabet);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[(*n)++] = (unsigned char)(v >> bits);
			v &= (1u << bits) - 1;
		}
	}
	return v == 0;
}

/* --- keys --- */

static int key_parse(struct record_key *key, const char *text, size_t len, size_t position, struct error *err)
{
	for (int padding = len % 4 ? 0 : 2; padding && len && text[len - 1] == '='; padding--)
		len--;
	if (len > (size_t)KEY_MOST * 4 / 3)
		return error_set(err, ERROR_INVALID, "key %zu has more than %d bytes", position, KEY_MOST);
	key->bytes = mem_alloc(len * 3 / 4 + 1);
	if (!decode(key->bytes, &key->len, alphabet_std, text, len))
		return error_set(err, ERROR_INVALID, "key %zu is not base64", position);
	if (key->len < KEY_LEAST)
		return error_set(err, ERROR_INVALID, "key %zu has %zu bytes, at least %d are needed", position,
				 key->len, KEY_LEAST);
	return 0;
}

int record_keys_parse(struct record_keys **ret, const char *text, struct error *err)
{
	struct record_keys *keys = mem_alloc(sizeof *keys);
	for (;;) {
		size_t len = strcspn(text, ",");
		const char *start = text + strspn(text, " \t\r\n");
		size_t left = start < text + len ? (size_t)(text + len - start) : 0;
		while (left && strchr(" \t\r\n", start[left - 1]))
			left--;
		if (keys->n == KEYS_MAX) {
			error_set(err, ERROR_INVALID, "more than %d keys", KEYS_MAX);
			break;
		}
		keys->n++;
		if (key_parse(&keys->keys[keys->n - 1], start, left, keys->n, err) < 0)
			break;
		if (text[len] == '\0') {
			*ret = keys;
			return 0;
		}
		text += len + 1;
	}
	record_keys_free(keys);
	return -1;
}

struct record_keys *record_keys_unverified(void)
{
	struct record_keys *keys = mem_alloc(sizeof *keys);

	keys->unverified = true;
	return keys;
}

void record_keys_free(struct record_keys *keys)
{
	if (!keys)
		return;
	for (size_t i = 0; i < keys->n; i++) {
		if (keys->keys[i].bytes)
			OPENSSL_cleanse(keys->keys[i].bytes, keys->keys[i].len);
		free(keys->keys[i].bytes);
	}
	OPENSSL_cleanse(keys, sizeof *keys);
	free(keys);
}

static void mac_of(unsigned char mac[MAC_SIZE], const struct record_key *key, const char *text, size_t len)
{
	unsigned int size = 0;
	if (!HMAC(EVP_sha256(), key->bytes, (int)key->len, (const unsigned char *)text, len, mac, &size) ||
	    size != MAC_SIZE)
		abort(); /* only without memory */
}

/* --- signing --- */

static void payload_attachment(struct buf *buf, const struct record_attachment *a)
{
	char guid[GUID_TEXT_MAX], pkey[PKEY_TEXT_MAX];
	buf_text(buf, "{\"network\":");
	buf_json_string(buf, a->network);
	buf_printf(buf, ",\"index\":%d,\"interface\":", a->index);
	buf_json_string(buf, a->interface);
	buf_printf(buf, ",\"guid\":\"%s\",\"memberships\":[", guid_format(guid, a->guid));
	for (unsigned i = 0; i < a->n_memberships; i++) {
		const struct pkey_class *class = &a->memberships[i];
		buf_printf(buf, "%s{\"pkey\":\"%s\",\"membership\":\"%s\",\"index0\":%s}", i ? "," : "",
			   pkey_format_wire(pkey, class->pkey), membership_name(class->membership),
			   class->index0 ? "true" : "false");
	}
	buf_text(buf, "]}");
}

char *record_sign(const struct record_keys *keys, const struct record *record)
{
	assert(!keys->unverified);
	struct buf buf;
	buf_init(&buf, (size_t)RECORD_TEXT_MAX * 2);
	buf_text(&buf, "{\"uid\":");
	buf_json_string(&buf, record->uid);
	buf_printf(&buf, ",\"since\":%lld,\"attachments\":[", (long long)record->since_ms);
	for (size_t i = 0; i < record->n_attachments; i++) {
		if (i)
			buf_text(&buf, ",");
		payload_attachment(&buf, &record->attachments[i]);
	}
	buf_text(&buf, "]}");

	unsigned char mac[MAC_SIZE];
	char *text = mem_alloc(2 + encoded_size(buf.len) + 1 + encoded_size(MAC_SIZE) + 1);
	memcpy(text, "1.", 2);
	size_t len = 2 + encode(text + 2, (const unsigned char *)buf.data, buf.len);
	buf_free(&buf);
	mac_of(mac, &keys->keys[0], text, len);
	text[len++] = '.';
	len += encode(text + len, mac, MAC_SIZE);
	text[len] = '\0';
	return text;
}

/* --- opening --- */

static int membership_read(struct pkey_class *class, const json_t *value, struct error *err)
{
	const char *pkey = json_str(value, "pkey", NULL), *membership = json_str(value, "membership", NULL);
	const json_t *index0 = json_at(value, "index0", NULL);
	if (!pkey || !pkey_parse(&class->pkey, pkey) || !membership ||
	    !membership_parse(&class->membership, membership) || !json_is_boolean(index0))
		return error_set(err, ERROR_INVALID, "a membership of the record is not understood");
	class->index0 = json_is_true(index0);
	return 0;
}

static int attachment_read(struct record_attachment *a, const json_t *value, struct error *err)
{
	const char *network = json_str(value, "network", NULL), *interface = json_str(value, "interface", NULL);
	const char *guid = json_str(value, "guid", NULL);
	const json_t *memberships = json_at(value, "memberships", NULL);
	int64_t index = json_int(value, -2, "index", NULL);
	if (!network || strlen(network) > NAME_MAX_LEN || !interface || strlen(interface) > NAME_MAX_LEN ||
	    index < -1 || index > 10000 || !guid || !guid_parse(&a->guid, guid) || !guid_usable(a->guid) ||
	    !json_is_array(memberships) || json_array_size(memberships) > RECORD_MEMBERSHIPS_MAX)
		return error_set(err, ERROR_INVALID, "an attachment of the record is not understood");
	a->network = mem_dup(network);
	a->interface = mem_dup(interface);
	a->index = (int)index;
	for (size_t i = 0; i < json_array_size(memberships); i++) {
		if (membership_read(&a->memberships[i], json_array_get(memberships, i), err) < 0)
			return -1;
		if (i && a->memberships[i].pkey.v == a->memberships[0].pkey.v)
			return error_set(err, ERROR_INVALID, "an attachment of the record names a PKey twice");
		a->n_memberships++;
	}
	return 0;
}

static int payload_read(struct record **ret, const char *payload, size_t len, const char *uid, struct error *err)
{
	json_t *json = json_parse(payload, len, err);
	if (!json)
		return -1;
	struct record *record = mem_alloc(sizeof *record);
	const char *its_uid = json_str(json, "uid", NULL);
	const json_t *list = json_at(json, "attachments", NULL);
	size_t n = json_array_size(list);
	int status = 0;
	record->since_ms = json_int(json, -1, "since", NULL);
	if (!its_uid || record->since_ms < 0 || !json_is_array(list) || n > ATTACHMENTS_MAX)
		status = error_set(err, ERROR_INVALID, "the record is not understood");
	else if (strcmp(its_uid, uid) != 0)
		status = error_set(err, ERROR_INVALID, "the record is of another pod");
	if (!status) {
		record->uid = mem_dup(its_uid);
		record->attachments = mem_array(n ? n : 1, sizeof *record->attachments);
	}
	for (size_t i = 0; !status && i < n; i++) {
		record->n_attachments++;
		status = attachment_read(&record->attachments[i], json_array_get(list, i), err);
	}
	json_decref(json);
	if (status < 0)
		record_free(record);
	else
		*ret = record;
	return status;
}

static bool is_signed(const struct record_keys *keys, const char *text, size_t len, const unsigned char *mac)
{
	unsigned char own[MAC_SIZE];
	bool same = keys->unverified;
	for (size_t i = 0; i < keys->n; i++) {
		mac_of(own, &keys->keys[i], text, len);
		same |= CRYPTO_memcmp(own, mac, MAC_SIZE) == 0;
	}
	OPENSSL_cleanse(own, sizeof own);
	return same;
}

int record_open(struct record **ret, const struct record_keys *keys, const char *text, const char *uid,
		struct error *err)
{
	size_t len = strnlen(text, RECORD_TEXT_MAX + 1), n;
	const char *dot = len > 2 && len <= RECORD_TEXT_MAX && !memcmp(text, "1.", 2) ? strchr(text + 2, '.') : NULL;
	unsigned char mac[(MAC_SIZE + 3) / 3 * 3];
	if (!dot || strlen(dot + 1) != encoded_size(MAC_SIZE) ||
	    !decode(mac, &n, alphabet_url, dot + 1, encoded_size(MAC_SIZE)) || n != MAC_SIZE ||
	    !is_signed(keys, text, (size_t)(dot - text), mac))
		return error_set(err, ERROR_AUTH, "the record is not signed by any key of ours");

	size_t payload_len = (size_t)(dot - text) - 2;
	unsigned char *payload = mem_alloc(payload_len * 3 / 4 + 1);
	int status;
	if (decode(payload, &n, alphabet_url, text + 2, payload_len))
		status = payload_read(ret, (const char *)payload, n, uid, err);
	else
		status = error_set(err, ERROR_INVALID, "the record's payload is not base64url");
	free(payload);
	return status;
}

void record_free(struct record *record)
{
	if (!record)
		return;
	for (size_t i = 0; i < record->n_attachments; i++) {
		free(record->attachments[i].network);
		free(record->attachments[i].interface);
	}
	free(record->attachments);
	free(record->uid);
	free(record);
}
