#pragma once

/* How a CA of ours is named: O, OU (the namespace), and CN, this and a number of its own.  Private to certificate*.c. */
#define CERTIFICATE_ORGANISATION "ufmsync"
#define CERTIFICATE_CA_NAME      "ufmsync CA "
