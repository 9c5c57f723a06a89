#pragma once

#include "tests/mock/ufm_call.h"

/* Bodies of REST requests, field by field as UFM's JSON schemas have them: what is not listed is refused. */

/* By call->operation; an operation without a body takes any. */
void ufm_schema_read(struct ufm_call *call, const char *body, size_t len);
/* httpd_username=U&httpd_password=P */
void ufm_schema_read_login(struct ufm_call *call, const char *body, size_t len);
