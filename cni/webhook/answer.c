#include "cni/webhook/answer.h"

static void put(struct buf *body, const char *before, const char *text)
{
	buf_text(body, before);
	if (text)
		buf_json_string(body, text);
	else
		buf_text(body, "null");
}

static void put_bool(struct buf *body, const char *before, bool value)
{
	buf_text(body, before);
	buf_text(body, value ? "true" : "false");
}

void answer_given(struct buf *body, const struct webhook_attachment *attachment)
{
	char text[GUID_TEXT_MAX];

	buf_clear(body);
	put(body, "{\"guid\":", guid_format(text, attachment->guid));
	put(body, ",\"pkey\":", attachment->pkey_text);
	buf_text(body, ",\"memberships\":[");
	for (unsigned i = 0; i < attachment->n_memberships; i++) {
		const struct pkey_class *class = &attachment->memberships[i];

		put(body, i > 0 ? ",{\"pkey\":" : "{\"pkey\":", pkey_format_wire(text, class->pkey));
		put(body, ",\"membership\":", membership_name(class->membership));
		put_bool(body, ",\"index0\":", class->index0);
		buf_text(body, "}");
	}
	buf_text(body, "]}");
}

void answer_decision(struct buf *body, const char *code, const char *message, bool retry)
{
	buf_clear(body);
	put(body, "{\"error\":{\"code\":", code);
	put(body, ",\"message\":", message);
	put_bool(body, ",\"retry\":", retry);
	buf_text(body, "}}");
}

void answer_refusal(struct buf *body, const char *code, const char *message)
{
	buf_clear(body);
	put(body, "{\"error\":{\"code\":", code);
	put(body, ",\"message\":", message);
	buf_text(body, "}}");
}

void answer_status(struct buf *body, bool ready, const char *leader, const char *message)
{
	buf_clear(body);
	put_bool(body, "{\"ready\":", ready);
	put(body, ",\"leader\":", leader);
	put(body, ",\"message\":", message);
	buf_text(body, "}");
}
