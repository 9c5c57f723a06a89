#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/* In what UFM releases differ, and the moods of one: every switch of the mock, with the defaults of a plain 6.19.
 * They are set by `--switch name=value` and by POST /control/switches, through the same table. */

enum ufm_missing_pkey { UFM_MISSING_EMPTY, UFM_MISSING_404 };
enum ufm_ignored { UFM_IGNORED, UFM_HONOURED };
enum ufm_list_both { UFM_BOTH_GUIDS_MISSING, UFM_BOTH_QOS_MISSING, UFM_BOTH_FINE };
enum ufm_date_format { UFM_DATE_DMY, UFM_DATE_ASCTIME, UFM_DATE_NULL };
enum ufm_unknown_guid { UFM_UNKNOWN_ACCEPT, UFM_UNKNOWN_REJECT };
enum ufm_management { UFM_MANAGEMENT_LIMITED, UFM_MANAGEMENT_FULL, UFM_MANAGEMENT_ABSENT };
enum ufm_version_body { UFM_VERSION_LONG, UFM_VERSION_SHORT };
enum ufm_remove_routes { UFM_REMOVE_BOTH, UFM_REMOVE_DELETE, UFM_REMOVE_ACTION };
enum ufm_error_format { UFM_ERROR_TEXT, UFM_ERROR_JSON };
enum ufm_hosts_answer { UFM_HOSTS_DIRECT, UFM_HOSTS_JOB };

enum { UFM_SWITCH_TEXT_MAX = 256 };

struct ufm_switches {
	int missing_pkey, memberships_on_post, list_both_flags, last_updated_format, unknown_guid,
		management_membership, version_body, remove_routes, error_format, hosts;
	int vports, vports_unknown_members, parse_error_on_overlap, no_partition_enforcement; /* 0 or 1 */
	int last_updated_zone_min, post_status, vports_lag_ms, fabric_delay_ms, write_ms, read_ms;
	char post_body[UFM_SWITCH_TEXT_MAX], version[UFM_SWITCH_TEXT_MAX];
};

void ufm_switches_init(struct ufm_switches *switches);
/* An object of switches; all or, with an error naming the bad one and what it takes, none. */
int ufm_switches_set(struct ufm_switches *switches, const json_t *values, struct error *err);
int ufm_switches_set_text(struct ufm_switches *switches, const char *name_is_value, struct error *err);
void ufm_switches_print(const struct ufm_switches *switches, struct buf *json);
void ufm_switches_help(struct buf *text); /* name, values, default and meaning, a line each */
