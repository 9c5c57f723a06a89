#include "tests/sim/sim_mutants.h"

#include <assert.h>

#include "base/mem.h"
#include "ufmsync/engine_break.h"

static const char *const names[] = {
	[BREAK_NO_READ_BACK] = "an accepted join counts as a membership",
	[BREAK_OLD_LIST] = "a list sent before a write was answered is believed about it",
	[BREAK_FREE_WITHOUT_LEAVING] = "a released GUID rests without having left its PKeys",
	[BREAK_RELEASE_TERMINATING] = "a pod loses its memberships when its deletionTimestamp shows",
	[BREAK_IGNORE_RECORDS] = "records are not read at the start",
	[BREAK_BELIEVE_ANNOTATION] = "the annotation is believed as if it were a record",
	[BREAK_GIVE_BEFORE_LIST] = "GUIDs are given before the first complete list",
	[BREAK_REMOVE_UNSETTLED] = "orphans are removed though the brake holds",
	[BREAK_REMOVE_AT_FIRST_SIGHT] = "orphans are removed when seen once",
	[BREAK_IGNORE_HOLDER] = "a wished GUID is given though another attachment holds it",
	[BREAK_NO_REST] = "a GUID is free as soon as it has left",
	[BREAK_UNCERTAIN_IS_NO] = "a join whose outcome is unknown counts as not done",
	[BREAK_PUBLISH_EARLY] = "published before the fabric manager lists it",
	[BREAK_LEAVE_WRONG_PKEY] = "leaves the PKey that the network names now, not the one that was joined",
	[BREAK_NO_PUT_BACK] = "a membership that got lost is not put back",
	[BREAK_TWO_WRITES] = "a second write is sent while one is under way",
	[BREAK_NO_QUIET] = "a new leader writes at once",
	[BREAK_OUT_OF_RANGE] = "GUIDs outside the pool count as orphans",
	[BREAK_FOREIGN_PKEY] = "PKeys outside the set are touched",
	[BREAK_TWO_INDEX0] = "joins at index 0 though the GUID stands at index 0 of another PKey",
	[BREAK_REST_ENDS_EARLY] = "the rest ends though an uncertain join may still land",
	[BREAK_VANISHED_IS_SURE] = "a pod that left the watch is over without asking and without the long rest",
	[BREAK_LISTS_PILE_UP] = "a PKey is listed again while its list is under way",
	[BREAK_FOREIGN_AGAIN] = "what another writer put back is removed again",
	[BREAK_ATTACH_EARLY] = "a GUID may be put on a VF before the fabric manager lists it",
	[BREAK_FORGET_TO_TELL] = "somebody who waits is not told of a change",
	[BREAK_FOUND_IS_SURE] = "a pod that the watch never showed is not read again",
};
static_assert(array_length(names) == BREAK_COUNT, "every fault has a line");

const char *sim_mutant_name(int number)
{
	return names[number];
}
