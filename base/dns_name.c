#include "base/dns_name.h"

enum { NAME_LENGTH = 253, LABEL_LENGTH = 63 };

static bool is_of_label(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

bool dns_name_is_valid(const char *text, size_t n)
{
	size_t label = 0;

	if (n == 0 || n > NAME_LENGTH)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool edge = label == 0 || i + 1 == n || text[i + 1] == '.';
		if (text[i] != '.' && !is_of_label(text[i]))
			return false;
		if (edge && (text[i] == '.' || text[i] == '-'))
			return false;
		label = text[i] == '.' ? 0 : label + 1;
		if (label > LABEL_LENGTH)
			return false;
	}
	return true;
}
