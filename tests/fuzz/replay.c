/* Runs a fuzzer's entry point over the files of the folders named as arguments: the corpus as a regression test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	static uint8_t data[1 << 20];

	if (!f) {
		perror(path);
		exit(1);
	}
	size_t n = fread(data, 1, sizeof data, f);
	fclose(f);
	uint8_t *exact = malloc(n > 0 ? n : 1); /* so that the sanitizer sees a read behind the end */
	if (!exact)
		exit(1);
	for (size_t i = 0; i < n; i++)
		exact[i] = data[i];
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
}

int main(int argc, char **argv)
{
	unsigned files = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		if (!dir) {
			perror(argv[i]);
			return 1;
		}
		for (struct dirent *entry; (entry = readdir(dir));) {
			char path[4096];
			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
			replay(path);
			files++;
		}
		closedir(dir);
	}
	printf("%u inputs\n", files);
	return files > 0 ? 0 : 1;
}
