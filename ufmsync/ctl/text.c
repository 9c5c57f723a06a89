#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "pkey/pkey.h"
#include "ufmsync/ctl/commands.h"
#include "ufmsync/ctl/print.h"

const char *ctl_pkey(char out[CTL_PKEY_MAX], const char *wire)
{
	char text[PKEY_TEXT_MAX];
	struct pkey pkey;

	if (!wire)
		return "-";
	if (pkey_parse(&pkey, wire))
		snprintf(out, CTL_PKEY_MAX, "%s", pkey_format(text, pkey));
	else
		snprintf(out, CTL_PKEY_MAX, "%s", wire);
	return out;
}

/* Without what pkey_parse() takes for the sake of network definitions alone: nothing so far. */
bool ctl_pkey_parse(struct pkey *pkey, const char *text)
{
	return pkey_parse(pkey, text);
}

char *ctl_network(const json_t *attachment, const char *namespace)
{
	const char *network = json_str(attachment, "network", NULL),
		   *interface = json_str(attachment, "interface", NULL);
	size_t n = namespace ? strlen(namespace) : 0;

	if (!network)
		return NULL;
	if (n > 0 && strncmp(network, namespace, n) == 0 && network[n] == '/')
		network += n + 1;
	return mem_printf("%s%s%s", network, interface && *interface ? "@" : "", interface ? interface : "");
}

const char *ctl_age(char out[CTL_AGE_MAX], const char *time, int64_t now_ms)
{
	int64_t at_ms;

	if (!time || !json_time_ms(&at_ms, time))
		return "-";
	long long seconds = now_ms > at_ms ? (now_ms - at_ms) / 1000 : 0;
	long long minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
	if (seconds < 120)
		snprintf(out, CTL_AGE_MAX, "%llds", seconds);
	else if (minutes < 10 && seconds % 60 != 0)
		snprintf(out, CTL_AGE_MAX, "%lldm%llds", minutes, seconds % 60);
	else if (minutes < 180)
		snprintf(out, CTL_AGE_MAX, "%lldm", minutes);
	else if (hours < 8 && minutes % 60 != 0)
		snprintf(out, CTL_AGE_MAX, "%lldh%lldm", hours, minutes % 60);
	else if (hours < 48)
		snprintf(out, CTL_AGE_MAX, "%lldh", hours);
	else
		snprintf(out, CTL_AGE_MAX, "%lldd", days);
	return out;
}

enum table_colour ctl_state_colour(const char *state)
{
	if (strcmp(state, "published") == 0)
		return TABLE_GOOD;
	if (strcmp(state, "leaving") == 0 || strcmp(state, "resting") == 0)
		return TABLE_FAINT;
	return TABLE_WARNING;
}
