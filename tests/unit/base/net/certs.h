#pragma once

#include <stdbool.h>

/* Certificates for tests as PEM texts, wrong ones too. */
struct cert {
	char cert[4096], key[1024];
};

struct cert_spec {
	const char *common_name;
	const char *names;         /* "DNS:a.example,IP:127.0.0.1", or NULL: only the common name */
	const struct cert *issuer; /* NULL: signed by itself */
	const struct cert *key_of; /* takes this one's key instead of a new one */
	bool is_ca;
	int from_days, to_days; /* relative to now; 0, 0: yesterday until tomorrow */
};

void cert_make(struct cert *cert, const struct cert_spec *spec);
