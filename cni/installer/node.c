#include "cni/installer/node.h"

#include <stdlib.h>

#include "cni/installer/node_text.h"

enum { CONF_MAX = 64 * 1024 };

int node_open_bin(struct host_folder **bin, const struct options *options, bool lock, struct error *err)
{
	if (host_folder_open(bin, options->text[OPTION_HOST_BIN], lock, err) == 0)
		return 0;
	return err->kind == ERROR_OS
		       ? error_wrap(err, "mount the node's folder of CNI plugins there, or name another by --host-bin")
		       : -1;
}

int node_open_conf(struct host_folder **conf, const struct options *options, struct error *err)
{
	if (host_folder_open(conf, options->text[OPTION_HOST_CONF], false, err) == 0)
		return 0;
	return error_wrap(err, "mount the node's /etc/cni/net.d there, or name another by --host-conf");
}

int node_open_ours(struct host_folder **ours, const struct options *options, bool lock, struct error *err)
{
	struct host_folder *conf;

	if (node_open_conf(&conf, options, err) < 0)
		return -1;
	int outcome = host_folder_open_in(ours, conf, NODE_FOLDER, lock, err);
	host_folder_close(conf);
	return outcome;
}

char *node_conf_text(const struct options *options, const char *address)
{
	return node_text(&(struct node_text){ .address = address,
					      .port = options->port,
					      .server_name = options->text[OPTION_SERVER_NAME],
					      .node = options->text[OPTION_NODE],
					      .log = options->text[OPTION_LOG],
					      .timeout = options->text[OPTION_TIMEOUT],
					      .connect_timeout = options->text[OPTION_CONNECT_TIMEOUT] });
}

char *node_present_address(const struct host_folder *ours, const struct options *options)
{
	char *text, *address;
	size_t len;
	struct error err;

	if (host_file_read(&text, &len, ours, NODE_CONF, CONF_MAX, &err) < 0)
		return NULL;
	address = node_text_address(text, len, options->text[OPTION_SERVER_NAME]);
	free(text);
	return address;
}
