#include "base/call.h"

#include <assert.h>

const char *call_outcome_name(enum call_outcome outcome)
{
	static const char *const names[CALL_OUTCOMES] = {
		[CALL_OK] = "ok",
		[CALL_NOT_FOUND] = "not_found",
		[CALL_CONFLICT] = "conflict",
		[CALL_REFUSED] = "refused",
		[CALL_UNAUTHORIZED] = "unauthorized",
		[CALL_FORBIDDEN] = "forbidden",
		[CALL_UNTRUSTED] = "untrusted",
		[CALL_THROTTLED] = "throttled",
		[CALL_TIMEOUT] = "timeout",
		[CALL_UNAVAILABLE] = "unavailable",
		[CALL_UNREADABLE] = "unreadable",
	};

	assert(outcome < CALL_OUTCOMES);
	return names[outcome];
}

enum call_outcome call_outcome_of_status(int status)
{
	switch (status) {
	case 401:
		return CALL_UNAUTHORIZED;
	case 403:
		return CALL_FORBIDDEN;
	case 404:
	case 410:
		return CALL_NOT_FOUND;
	case 409:
		return CALL_CONFLICT;
	case 408:
	case 423:
	case 425:
	case 429:
		return CALL_THROTTLED;
	default:
		break;
	}
	if (status / 100 == 2)
		return CALL_OK;
	if (status / 100 == 4)
		return CALL_REFUSED;
	return status / 100 == 3 ? CALL_UNREADABLE : CALL_UNAVAILABLE;
}
