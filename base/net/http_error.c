#include "base/net/http_error.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "base/net/http.h"

/* TLS alerts by which a server refuses who we are, in OpenSSL's words.  They may come late: with TLS 1.3 as the answer
 * to the request, with a renegotiation in the middle of it. */
static bool is_about_our_certificate(const char *detail)
{
	static const char *const words[] = {
		"alert bad certificate",     "alert certificate required", "alert certificate expired",
		"alert certificate revoked", "alert certificate unknown",  "alert unsupported certificate",
		"alert unknown ca",          "alert access denied",        "alert no certificate",
	};

	for (size_t i = 0; i < array_length(words); i++)
		if (strstr(detail, words[i]))
			return true;
	return false;
}

static void explain_tls(struct error *err, const struct http_failure *failure)
{
	if (strstr(failure->detail, "wrong version number") || strstr(failure->detail, "packet length too long") ||
	    strstr(failure->detail, "http request"))
		error_set(err, ERROR_RETRY, "%s: does not speak TLS there: is the port right, or is it http?",
			  failure->peer);
	else if (strstr(failure->detail, "handshake failure"))
		error_set(err, ERROR_AUTH,
			  "%s: the server broke off the TLS handshake: it may require a client certificate%s, or share "
			  "no "
			  "cipher with us",
			  failure->peer, failure->client_certificate ? " other than ours" : "");
	else
		error_set(err, ERROR_RETRY, "%s: TLS handshake failed: %s", failure->peer, failure->detail);
}

static void explain_connect(struct error *err, const struct http_failure *failure)
{
	if (failure->os_errno != 0)
		error_set(err, ERROR_RETRY, "%s: cannot connect: %s", failure->peer, strerror(failure->os_errno));
	else
		error_set(err, ERROR_RETRY, "%s: cannot connect: %s", failure->peer, failure->detail);
}

static void explain(struct error *err, const struct http_failure *failure)
{
	const char *peer = failure->peer;

	switch (failure->code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		error_set(err, ERROR_RETRY, "%s: the name does not resolve", peer);
		break;
	case CURLE_COULDNT_CONNECT:
		explain_connect(err, failure);
		break;
	case CURLE_OPERATION_TIMEDOUT:
		error_set(err, ERROR_RETRY, "%s: no connection in time", peer);
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
		error_set(err, ERROR_AUTH, "%s: %s", peer, failure->refusal ? failure->refusal : failure->detail);
		break;
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CLIENTCERT:
		error_set(err, ERROR_AUTH, "%s: client certificate: %s", peer, failure->detail);
		break;
	case CURLE_SSL_CONNECT_ERROR:
		explain_tls(err, failure);
		break;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		error_set(err, ERROR_RETRY, "%s: what answers there does not speak HTTP: %s", peer, failure->detail);
		break;
	case CURLE_URL_MALFORMAT:
		error_set(err, ERROR_INVALID, "%s: %s", peer, failure->detail);
		break;
	case CURLE_GOT_NOTHING:
		error_set(err, ERROR_RETRY, "%s: closed the connection without an answer", peer);
		break;
	case CURLE_OUT_OF_MEMORY: /* in truth a line longer than libcurl allows: without memory we would not be here */
		error_set(err, ERROR_LIMIT, "%s: a header of the answer is too long", peer);
		break;
	case CURLE_PARTIAL_FILE:
		error_set(err, ERROR_RETRY, "%s: the answer was cut: %s", peer, failure->detail);
		break;
	default:
		error_set(err, ERROR_RETRY, "%s: connection lost %s: %s", peer,
			  failure->sent ? "during the exchange" : "before the request was sent", failure->detail);
	}
}

void http_explain(struct error *err, const struct http_failure *failure)
{
	struct http_failure known = *failure;

	if (!known.detail || !*known.detail)
		known.detail = curl_easy_strerror(failure->code);
	if (failure->code != CURLE_PEER_FAILED_VERIFICATION && is_about_our_certificate(known.detail))
		error_set(err, ERROR_AUTH, "%s: the server %s: %s", known.peer,
			  known.client_certificate ? "refused our client certificate" : "wants a client certificate",
			  known.detail);
	else
		explain(err, &known);
	/* Certificates and servers choose some of these words; what reads errors expects UTF-8. */
	for (char *p = err->text; *p; p++)
		if ((unsigned char)*p >= 0x7f)
			*p = '?';
}

enum call_outcome http_outcome(const struct http_reply *reply)
{
	if (!reply->error)
		return call_outcome_of_status(reply->status);
	if (reply->timed_out)
		return CALL_TIMEOUT;
	switch (reply->error->kind) {
	case ERROR_AUTH:
		return CALL_UNTRUSTED;
	case ERROR_RETRY:
		return CALL_UNAVAILABLE;
	default:
		return CALL_UNREADABLE;
	}
}
