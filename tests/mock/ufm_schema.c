#include "tests/mock/ufm_schema.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum field_bit {
	F_PKEY = 1 << 0,
	F_GUIDS = 1 << 1,
	F_INDEX0 = 1 << 2,
	F_IP_OVER_IB = 1 << 3,
	F_MEMBERSHIP = 1 << 4,
	F_MEMBERSHIPS = 1 << 5,
	F_NAME = 1 << 6,
	F_MTU = 1 << 7,
	F_LEVEL = 1 << 8,
	F_RATE = 1 << 9,
	F_HOSTS = 1 << 10,
	F_ACTION = 1 << 11,
	F_QOS = F_MTU | F_LEVEL | F_RATE,
};

/* What the fields of one body say before they are put together. */
struct body {
	bool index0, limited;
	const json_t *guids, *memberships;
	const char *text; /* partition name, hosts, action */
};

typedef bool field_fn(struct ufm_call *call, struct body *body, const json_t *value);

static bool read_pkey(struct ufm_call *call, struct body *body, const json_t *value)
{
	unsigned pkey;

	(void)body;
	if (!json_is_string(value) || !ufm_pkey_parse(&pkey, json_string_value(value)))
		return false;
	if (pkey == 0 || pkey == UFM_PKEY_MANAGEMENT)
		return false;
	call->pkey = pkey;
	return true;
}

static bool read_guids(struct ufm_call *call, struct body *body, const json_t *value)
{
	(void)call;
	body->guids = value;
	return json_is_array(value) && json_array_size(value) > 0;
}

static bool read_index0(struct ufm_call *call, struct body *body, const json_t *value)
{
	(void)call;
	body->index0 = json_is_true(value);
	return json_is_boolean(value);
}

static bool read_ip_over_ib(struct ufm_call *call, struct body *body, const json_t *value)
{
	(void)body;
	call->ip_over_ib = json_is_true(value);
	return json_is_boolean(value);
}

static bool membership_parse(bool *limited, const json_t *value)
{
	const char *text = json_string_value(value);

	if (!text || (strcmp(text, "full") != 0 && strcmp(text, "limited") != 0))
		return false;
	*limited = strcmp(text, "limited") == 0;
	return true;
}

static bool read_membership(struct ufm_call *call, struct body *body, const json_t *value)
{
	(void)call;
	return membership_parse(&body->limited, value);
}

static bool read_memberships(struct ufm_call *call, struct body *body, const json_t *value)
{
	size_t i;
	json_t *each;
	bool limited;

	(void)call;
	body->memberships = value;
	if (!json_is_array(value))
		return false;
	json_array_foreach(value, i, each) if (!membership_parse(&limited, each)) return false;
	return true;
}

static bool read_text(struct ufm_call *call, struct body *body, const json_t *value)
{
	(void)call;
	body->text = json_string_value(value);
	return body->text && body->text[0] != '\0' && strlen(body->text) < UFM_NAME_MAX;
}

static bool read_hosts(struct ufm_call *call, struct body *body, const json_t *value)
{
	(void)call;
	body->text = json_string_value(value); /* a comma string; an array is refused */
	return body->text && body->text[0] != '\0';
}

static bool read_action(struct ufm_call *call, struct body *body, const json_t *value)
{
	return read_text(call, body, value) &&
	       (strcmp(body->text, "enable") == 0 || strcmp(body->text, "disable") == 0);
}

static bool read_mtu(struct ufm_call *call, struct body *body, const json_t *value)
{
	(void)body;
	call->has_mtu = true;
	call->qos.mtu_limit = (unsigned)json_integer_value(value);
	return json_is_integer(value) && (json_integer_value(value) == 2 || json_integer_value(value) == 4);
}

static bool read_level(struct ufm_call *call, struct body *body, const json_t *value)
{
	(void)body;
	call->has_level = true;
	call->qos.service_level = (unsigned)json_integer_value(value);
	return json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) <= 15;
}

static bool read_rate(struct ufm_call *call, struct body *body, const json_t *value)
{
	static const unsigned tenths[] = { 25,  50,  100,  140,  200,  250,  300,  400, 560,
					   600, 800, 1000, 1120, 1200, 1680, 2000, 3000 };

	(void)body;
	call->has_rate = true;
	for (size_t i = 0; json_is_number(value) && i < array_length(tenths); i++) {
		if (fabs(json_number_value(value) * 10 - tenths[i]) < 0.001) {
			call->qos.rate_tenths = tenths[i];
			return true;
		}
	}
	return false;
}

static const struct field {
	const char *name;
	enum field_bit bit;
	field_fn *read;
	const char *takes;
} fields[] = {
	{ "pkey", F_PKEY, read_pkey, "a hexadecimal string between 0x1 and 0x7ffe" },
	{ "guids", F_GUIDS, read_guids, "a non-empty list of GUIDs" },
	{ "index0", F_INDEX0, read_index0, "a boolean" },
	{ "ip_over_ib", F_IP_OVER_IB, read_ip_over_ib, "a boolean" },
	{ "membership", F_MEMBERSHIP, read_membership, "one of full, limited" },
	{ "memberships", F_MEMBERSHIPS, read_memberships, "a list of full, limited" },
	{ "partition_name", F_NAME, read_text, "a non-empty string" },
	{ "mtu_limit", F_MTU, read_mtu, "2 or 4" },
	{ "service_level", F_LEVEL, read_level, "an integer between 0 and 15" },
	{ "rate_limit", F_RATE, read_rate, "one of 2.5 5 10 14 20 25 30 40 56 60 80 100 112 120 168 200 300" },
	{ "hosts_names", F_HOSTS, read_hosts, "a comma separated string" },
	{ "action", F_ACTION, read_action, "one of enable, disable" },
};

struct schema {
	int required, allowed;
};

static struct schema schema_of(const struct ufm_call *call)
{
	enum { ADD = F_PKEY | F_GUIDS | F_INDEX0 | F_IP_OVER_IB | F_MEMBERSHIP | F_MEMBERSHIPS | F_NAME };

	switch (call->operation) {
	case UFM_OP_CREATE:
		return (struct schema){ F_PKEY, F_PKEY | F_NAME | F_INDEX0 | F_IP_OVER_IB | F_QOS };
	case UFM_OP_ADD:
		return (struct schema){ F_PKEY | F_GUIDS, ADD };
	case UFM_OP_SET:
		return (struct schema){ F_PKEY | F_GUIDS, ADD | F_QOS };
	case UFM_OP_REMOVE:
		return call->by_action ? (struct schema){ F_PKEY | F_GUIDS, F_PKEY | F_GUIDS }
				       : (struct schema){ 0, 0 };
	case UFM_OP_QOS:
		return (struct schema){ F_PKEY, F_PKEY | F_QOS };
	case UFM_OP_HOSTS_ADD:
		return (struct schema){ F_PKEY | F_HOSTS, F_PKEY | F_HOSTS | F_INDEX0 | F_IP_OVER_IB | F_MEMBERSHIP };
	case UFM_OP_SHARP:
		return (struct schema){ F_ACTION, F_ACTION };
	default:
		return (struct schema){ 0, 0 };
	}
}

/* The bits of the fields that are there; refuses the first that may not be or is wrong. */
static int read_fields(struct ufm_call *call, struct body *body, const json_t *root, int allowed)
{
	const char *key;
	json_t *value;
	int seen = 0;

	json_object_foreach((json_t *)root, key, value)
	{
		const struct field *field = fields;
		while (field < fields + array_length(fields) && strcmp(field->name, key) != 0)
			field++;
		if (field == fields + array_length(fields) || !(field->bit & allowed)) {
			ufm_call_refuse(
				call, 400,
				"data must not contain {'%.64s'} properties (schema violation: additionalProperties)",
				key);
			return seen;
		}
		if (!field->read(call, body, value)) {
			ufm_call_refuse(call, 400, "data.%s must be %s", field->name, field->takes);
			return seen;
		}
		seen |= (int)field->bit;
	}
	return seen;
}

static void read_members(struct ufm_call *call, const struct body *body)
{
	size_t i;
	json_t *each;

	call->members = mem_array(json_array_size(body->guids), sizeof(*call->members));
	json_array_foreach(body->guids, i, each)
	{
		struct ufm_member *member = &call->members[call->n_members++];
		if (!json_is_string(each) ||
		    !ufm_guid_parse(&member->guid, json_string_value(each), json_string_length(each))) {
			ufm_call_refuse(call, 400,
					"data.guids[%zu] must be a hexadecimal string of 16 to 20 characters", i);
			return;
		}
		member->index0 = body->index0;
		member->limited = body->limited;
		if (body->memberships)
			membership_parse(&member->limited, json_array_get(body->memberships, i));
	}
}

static void read_object(struct ufm_call *call, const json_t *root, struct schema schema)
{
	struct body body = { 0 };
	int seen = read_fields(call, &body, root, schema.allowed);

	if (call->refused)
		return;
	for (size_t i = 0; i < array_length(fields); i++)
		if (schema.required & (int)fields[i].bit & ~seen)
			ufm_call_refuse(call, 400, "data must contain ['%s'] properties", fields[i].name);
	if ((seen & F_MEMBERSHIP) && (seen & F_MEMBERSHIPS))
		ufm_call_refuse(call, 400, "membership and memberships exclude each other");
	if (body.memberships && json_array_size(body.memberships) != json_array_size(body.guids))
		ufm_call_refuse(call, 400, "memberships and guids must have the same length");
	if (call->refused)
		return;
	call->name = mem_dup(body.text);
	call->by_list = body.memberships != NULL;
	if (body.guids) {
		read_members(call, &body);
	} else if (call->operation == UFM_OP_HOSTS_ADD) {
		/* A pattern for the members that the hosts' ports will be. */
		call->members = mem_array(1, sizeof(*call->members));
		call->members[0] = (struct ufm_member){ .limited = body.limited, .index0 = body.index0 };
	}
}

/* The value of the part `token` of a multipart/form-data body. */
static void read_token(struct ufm_call *call, const char *body, size_t len)
{
	static const char part[] = "name=\"token\"";
	const char *at = memmem(body, len, part, strlen(part));
	const char *value = at ? memmem(at, len - (size_t)(at - body), "\r\n\r\n", 4) : NULL;
	const char *end = value ? memmem(value + 4, len - (size_t)(value + 4 - body), "\r\n", 2) : NULL;

	if (end)
		call->name = mem_dup_n(value + 4, (size_t)(end - value - 4));
	else
		ufm_call_refuse(call, 400, "no token in the form");
}

void ufm_schema_read(struct ufm_call *call, const char *body, size_t len)
{
	struct schema schema = schema_of(call);
	json_error_t why;
	json_t *root;

	if (call->operation == UFM_OP_TOKEN_REVOKE)
		read_token(call, body, len);
	if (schema.allowed == 0)
		return;
	root = json_loadb(body, len, JSON_REJECT_DUPLICATES, &why);
	if (json_is_object(root))
		read_object(call, root, schema);
	else
		ufm_call_refuse(call, 400, "data must be a JSON object: %.100s", root ? "it is not" : why.text);
	json_decref(root);
}

static int nibble(char c)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	if (!at)
		return -1;
	return at - digits < 16 ? (int)(at - digits) : (int)(at - digits) - 6;
}

/* Of an application/x-www-form-urlencoded body; owned; NULL: absent. */
static char *form_value(const char *body, size_t len, const char *key)
{
	__attribute__((cleanup(mem_freep))) char *copy = mem_dup_n(body, len);
	size_t key_len = strlen(key);
	char *save = NULL;

	for (char *field = strtok_r(copy, "&\r\n", &save); field; field = strtok_r(NULL, "&\r\n", &save)) {
		char *value = field + key_len + 1, *out = value;
		if (strncmp(field, key, key_len) != 0 || field[key_len] != '=')
			continue;
		for (char *in = value; *in; in++) {
			bool escaped = in[0] == '%' && nibble(in[1]) >= 0 && nibble(in[2]) >= 0;
			*out++ = escaped ? (char)(nibble(in[1]) << 4 | nibble(in[2])) : (char)(*in == '+' ? ' ' : *in);
			in += escaped ? 2 : 0;
		}
		*out = '\0';
		return mem_dup(value);
	}
	return NULL;
}

void ufm_schema_read_login(struct ufm_call *call, const char *body, size_t len)
{
	call->name = form_value(body, len, "httpd_username");
	call->password = form_value(body, len, "httpd_password");
	if (!call->name || !call->password)
		ufm_call_refuse(call, 401, "Unauthorized");
}
