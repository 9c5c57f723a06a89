#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cni/installer/install.h"
#include "cni/installer/node.h"
#include "cni/installer/node_text.h"
#include "cni/installer/source.h"

/* --check: reads what a pass would write, and compares. */

static bool complain(FILE *out, const char *text)
{
	fprintf(out, "%s\n", text);
	return false;
}

static bool same(FILE *out, const struct host_folder *folder, const struct host_file *file)
{
	if (folder && host_file_same(folder, file))
		return true;
	fprintf(out, "%s on the node is missing or not as it should be\n", file->name);
	return false;
}

static bool check_source(FILE *out, const struct host_folder *folder, const char *name, mode_t mode,
			 int (*read)(struct source *, const char *, struct error *), const char *path)
{
	struct source source;
	struct error err;

	if (read(&source, path, &err) < 0)
		return complain(out, err.text);
	bool right = same(out, folder, &(struct host_file){ name, mode, source.bytes, source.len });
	source_forget(&source);
	return right;
}

/* Whatever address was last found is right: a name server that is away makes no node unready. */
static bool check_conf(FILE *out, const struct host_folder *ours, const struct options *options)
{
	__attribute__((cleanup(mem_freep))) char *address = ours ? node_present_address(ours, options) : NULL;
	__attribute__((cleanup(mem_freep))) char *text = address ? node_conf_text(options, address) : NULL;

	if (!text)
		return complain(out, NODE_CONF " on the node is missing or does not name the service");
	return same(out, ours, &(struct host_file){ NODE_CONF, NODE_PRIVATE_MODE, text, strlen(text) });
}

static bool check_ours(FILE *out, const struct options *options)
{
	struct host_folder *ours;
	struct error err;

	if (node_open_ours(&ours, options, false, &err) < 0)
		return complain(out, err.text);
	bool right =
		check_source(out, ours, NODE_TEXT_TOKEN, NODE_PRIVATE_MODE, source_token, options->text[OPTION_TOKEN]);
	right &= check_source(out, ours, NODE_TEXT_CA, NODE_PRIVATE_MODE, source_ca, options->text[OPTION_CA]);
	right &= check_conf(out, ours, options);
	host_folder_close(ours);
	return right;
}

static bool check_plugin(FILE *out, const struct options *options)
{
	struct host_folder *bin;
	struct error err;

	if (node_open_bin(&bin, options, false, &err) < 0)
		return complain(out, err.text);
	bool right = check_source(out, bin, NODE_PLUGIN, NODE_PLUGIN_MODE, source_plugin, options->text[OPTION_PLUGIN]);
	host_folder_close(bin);
	return right;
}

static bool check_removed(FILE *out, const struct options *options)
{
	struct host_folder *conf = NULL, *bin = NULL;
	struct error err;
	bool right = true;

	if (node_open_conf(&conf, options, &err) < 0 || node_open_bin(&bin, options, false, &err) < 0)
		right = complain(out, err.text);
	if (conf && host_exists(conf, NODE_FOLDER))
		right = complain(out, NODE_FOLDER " is still on the node");
	if (bin && host_exists(bin, NODE_PLUGIN))
		right = complain(out, NODE_PLUGIN " is still on the node");
	host_folder_close(bin);
	host_folder_close(conf);
	return right;
}

bool installer_check(const struct options *options, FILE *out)
{
	if (options->remove)
		return check_removed(out, options);
	bool right = check_ours(out, options);
	right &= check_plugin(out, options);
	return right;
}
