#pragma once

/* How a request to another system ended, as metrics tell it: a fixed set, whatever the other side says.  What a caller
 * does next is decided by struct error's kind, not by this. */
enum call_outcome {
	CALL_OK,
	CALL_NOT_FOUND,    /* what was named does not exist: often an answer like any other */
	CALL_CONFLICT,     /* the other side has moved on */
	CALL_REFUSED,      /* this request will not be accepted as it is */
	CALL_UNAUTHORIZED, /* it does not know us */
	CALL_FORBIDDEN,    /* it knows us, and does not allow it */
	CALL_UNTRUSTED,    /* a certificate was not accepted, theirs or ours */
	CALL_THROTTLED,    /* it asks to come later */
	CALL_TIMEOUT,
	CALL_UNAVAILABLE, /* unreachable, cut off, or not able to answer */
	CALL_UNREADABLE,  /* the answer is none, or is too large */
	CALL_OUTCOMES
};

const char *call_outcome_name(enum call_outcome outcome); /* "ok", "not_found", ...: stable */
/* Of an HTTP answer that came whole. */
enum call_outcome call_outcome_of_status(int status);
