/* A kubeconfig; none of the files that it may name is there. */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "ufmsync/kube/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kube_config *config = NULL;
	struct error err;

	if (memchr(data, '\0', size))
		return 0;
	if (kubeconfig_parse(&config, (const char *)data, size, "/proc/none/config", NULL, &err) < 0) {
		assert(!config && err.kind != ERROR_NONE && *err.text);
		return 0;
	}
	assert(strncmp(config->server, "http", 4) == 0 && strcmp(config->origin, "") != 0);
	assert(!config->cert == !config->key);
	kube_config_free(config);
	return 0;
}
