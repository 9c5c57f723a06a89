#include "cni/installer/install.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "cni/installer/node.h"
#include "cni/installer/node_text.h"
#include "cni/installer/resolve.h"
#include "cni/installer/source.h"
#include "cni/installer/turn.h"

enum step { STEP_TOKEN, STEP_CA, STEP_RESOLVE, STEP_CONF, STEP_PLUGIN, STEP_COUNT };

struct installer {
	const struct options *options;
	char *address; /* of the service; NULL: not known yet */
	bool resolved;
	int64_t resolved_ms; /* when that was last answered */
	/* The plugin as it was last found, or put, right: it is read again only when one of the two shows a change. */
	bool plugin_right;
	struct host_stamp plugin_here, plugin_there;
	struct turn *turn;
	bool stands_back;
	bool left_out; /* a step of this pass was not ours to do */
	bool all_right;
	struct log_limit limits[STEP_COUNT];
};

struct installer *installer_new(const struct options *options)
{
	struct installer *installer = mem_alloc(sizeof *installer);

	installer->options = options;
	installer->turn = turn_new();
	return installer;
}

void installer_free(struct installer *installer)
{
	if (!installer)
		return;
	turn_free(installer->turn);
	free(installer->address);
	free(installer);
}

/* --- putting ---------------------------------------------------------------------------------------------------- */

static int put_file(const struct host_folder *folder, const struct host_file *file, const char *id, struct error *err)
{
	bool written;

	if (host_file_put(folder, file, &written, err) < 0)
		return -1;
	if (written)
		log_say(LOG_INFO, id, LOG_FIELDS({ "file", file->name }), "%s is new on the node", file->name);
	return 0;
}

static void note_turn(struct installer *installer, bool ours)
{
	if (!ours && !installer->stands_back)
		log_say(LOG_INFO, "STANDING_BACK", NULL, "an installer that was started later is at work on this node");
	installer->stands_back = !ours;
	installer->left_out |= !ours;
}

/* Our folder, locked: whoever takes the turn has to wait until it is closed.  *folder is NULL when it is not our turn: a
 * newer one is at work, nothing is ours to do, and nothing is wrong with that. */
static int begin(struct installer *installer, struct host_folder **folder, struct error *err)
{
	bool ours = false;

	if (node_open_ours(folder, installer->options, true, err) < 0)
		return -1;
	int outcome = turn_take(installer->turn, *folder, &ours, err);
	if (outcome == 0)
		note_turn(installer, ours);
	if (!ours) {
		host_folder_close(*folder);
		*folder = NULL;
	}
	return outcome;
}

static int put_in_ours(struct installer *installer, const struct host_file *file, const char *id, struct error *err)
{
	struct host_folder *folder;

	if (begin(installer, &folder, err) < 0)
		return -1;
	int outcome = folder ? put_file(folder, file, id, err) : 0;
	host_folder_close(folder);
	return outcome;
}

static int put_token(struct installer *installer, struct error *err)
{
	struct source token;

	if (source_token(&token, installer->options->text[OPTION_TOKEN], err) < 0)
		return -1;
	int outcome = put_in_ours(installer,
				  &(struct host_file){ NODE_TEXT_TOKEN, NODE_PRIVATE_MODE, token.bytes, token.len },
				  "NODE_TOKEN", err);
	source_forget(&token);
	return outcome;
}

static int put_ca(struct installer *installer, struct error *err)
{
	struct source ca;

	if (source_ca(&ca, installer->options->text[OPTION_CA], err) < 0)
		return -1;
	int outcome = put_in_ours(installer, &(struct host_file){ NODE_TEXT_CA, NODE_PRIVATE_MODE, ca.bytes, ca.len },
				  "NODE_CA", err);
	source_forget(&ca);
	return outcome;
}

static int put_conf(struct installer *installer, struct error *err)
{
	__attribute__((cleanup(mem_freep))) char *text = node_conf_text(installer->options, installer->address);

	return put_in_ours(installer, &(struct host_file){ NODE_CONF, NODE_PRIVATE_MODE, text, strlen(text) },
			   "NODE_FILE", err);
}

static bool plugin_seen(const struct installer *installer, const struct host_folder *bin, const struct host_stamp *here)
{
	struct host_stamp there;

	return installer->plugin_right && host_stamp_equal(here, &installer->plugin_here) &&
	       host_file_stamp(bin, NODE_PLUGIN, &there) && host_stamp_equal(&there, &installer->plugin_there);
}

static int put_plugin_in(struct installer *installer, const struct host_folder *bin, struct error *err)
{
	const char *path = installer->options->text[OPTION_PLUGIN];
	struct host_stamp here;
	struct source plugin;

	if (source_stamp(&here, path, err) < 0)
		return -1;
	if (plugin_seen(installer, bin, &here))
		return 0;
	installer->plugin_right = false;
	if (source_plugin(&plugin, path, err) < 0)
		return -1;
	int outcome = put_file(bin, &(struct host_file){ NODE_PLUGIN, NODE_PLUGIN_MODE, plugin.bytes, plugin.len },
			       "PLUGIN_INSTALLED", err);
	source_forget(&plugin);
	installer->plugin_here = here;
	installer->plugin_right = outcome == 0 && host_file_stamp(bin, NODE_PLUGIN, &installer->plugin_there);
	return outcome;
}

static int put_plugin(struct installer *installer, struct error *err)
{
	struct host_folder *ours = NULL, *bin;

	/* Where it cannot be told whose turn it is, that was said before, and the plugin is still worth having. */
	if (begin(installer, &ours, err) == 0 && !ours)
		return 0;
	int outcome = node_open_bin(&bin, installer->options, true, err);
	if (outcome == 0) {
		outcome = put_plugin_in(installer, bin, err);
		host_folder_close(bin);
	}
	host_folder_close(ours);
	return outcome;
}

/* --- where the service is --------------------------------------------------------------------------------------- */

/* After a restart the node file still knows. */
static void remember_address(struct installer *installer)
{
	struct host_folder *ours;
	struct error err;

	if (installer->address || node_open_ours(&ours, installer->options, false, &err) < 0 || !ours)
		return;
	installer->address = node_present_address(ours, installer->options);
	host_folder_close(ours);
}

static void take_address(struct installer *installer, const struct resolve *answers)
{
	const char *chosen = node_text_choose(installer->address, (const char *const *)answers->addresses, answers->n);

	if (installer->address && strcmp(installer->address, chosen) == 0)
		return;
	log_say(LOG_INFO, "SERVER_ADDRESS",
		LOG_FIELDS({ "server", installer->options->host }, { "address", chosen },
			   { "before", installer->address }),
		"the service is at %s", chosen);
	free(installer->address);
	installer->address = mem_dup(chosen);
}

/* An answer that cannot be had leaves the last address in use: services move rarely, name servers fail often. */
static void find_address(struct installer *installer, int64_t now_ms)
{
	struct resolve answers;
	struct error err;

	if (installer->resolved && now_ms - installer->resolved_ms < installer->options->resolve_ms)
		return;
	remember_address(installer);
	if (resolve(&answers, installer->options->host, &err) < 0) {
		log_limited(&installer->limits[STEP_RESOLVE], 1, installer->address ? LOG_WARN : LOG_ERROR,
			    "SERVER_UNRESOLVED", LOG_FIELDS({ "kept", installer->address }), "%s%s", err.text,
			    installer->address ? "" : ": no node file can be written");
		return;
	}
	take_address(installer, &answers);
	resolve_free(&answers);
	installer->resolved = true;
	installer->resolved_ms = now_ms;
}

/* --- taking everything away ------------------------------------------------------------------------------------- */

static int remove_file(const struct host_folder *folder, const char *name, struct error *err)
{
	bool removed;

	if (host_file_remove(folder, name, &removed, err) < 0)
		return -1;
	if (removed)
		log_say(LOG_INFO, "REMOVED", LOG_FIELDS({ "file", name }), "%s is no longer on the node", name);
	return 0;
}

static int remove_ours(const struct options *options, struct error *err)
{
	static const char *const names[] = { NODE_TEXT_TOKEN, NODE_TEXT_CA, NODE_CONF, TURN_FILE };
	struct host_folder *ours;
	int outcome = 0;

	if (node_open_ours(&ours, options, true, err) < 0)
		return -1;
	for (size_t i = 0; i < array_length(names) && outcome == 0; i++)
		outcome = remove_file(ours, names[i], err);
	host_folder_close(ours);
	return outcome;
}

static int remove_folder(const struct options *options, struct error *err)
{
	struct host_folder *conf;
	bool removed;

	if (node_open_conf(&conf, options, err) < 0)
		return -1;
	int outcome = host_exists(conf, NODE_FOLDER) ? remove_ours(options, err) : 0;
	if (outcome == 0)
		outcome = host_folder_remove(conf, NODE_FOLDER, &removed, err);
	if (outcome == 0 && host_exists(conf, NODE_FOLDER))
		outcome = error_set(err, ERROR_INVALID, "%s/%s holds files that are not ours, and stays",
				    options->text[OPTION_HOST_CONF], NODE_FOLDER);
	host_folder_close(conf);
	return outcome;
}

static int remove_plugin(const struct options *options, struct error *err)
{
	struct host_folder *bin;

	if (node_open_bin(&bin, options, true, err) < 0)
		return -1;
	int outcome = remove_file(bin, NODE_PLUGIN, err);
	host_folder_close(bin);
	return outcome;
}

/* --- a pass ----------------------------------------------------------------------------------------------------- */

static bool done(struct installer *installer, enum step step, int outcome, const struct error *err)
{
	if (outcome < 0)
		log_limited(&installer->limits[step], 1, LOG_ERROR, "INSTALL_FAILED", NULL, "%s", err->text);
	return outcome == 0;
}

static bool pass_put(struct installer *installer, int64_t now_ms)
{
	struct error err = { 0 };
	/* The token first: nothing here is as short-lived, and a name server may take its time. */
	bool well = done(installer, STEP_TOKEN, put_token(installer, &err), &err);

	well &= done(installer, STEP_CA, put_ca(installer, &err), &err);
	if (installer->left_out)
		return well;
	find_address(installer, now_ms);
	well &= installer->address && done(installer, STEP_CONF, put_conf(installer, &err), &err);
	/* The plugin last: with it the first pod may come. */
	well &= done(installer, STEP_PLUGIN, put_plugin(installer, &err), &err);
	return well;
}

static bool pass_remove(struct installer *installer)
{
	struct error err = { 0 };
	bool well = done(installer, STEP_CONF, remove_folder(installer->options, &err), &err);

	well &= done(installer, STEP_PLUGIN, remove_plugin(installer->options, &err), &err);
	return well;
}

bool installer_pass(struct installer *installer, int64_t now_ms)
{
	bool remove = installer->options->remove;

	installer->left_out = false;
	bool well = remove ? pass_remove(installer) : pass_put(installer, now_ms);
	bool all_right = well && !installer->left_out;

	if (all_right && !installer->all_right)
		log_say(LOG_INFO, "NODE_RIGHT", NULL, "%s",
			remove ? "nothing of ours is on the node" : "the node has everything that the plugin needs");
	installer->all_right = all_right;
	return well;
}
