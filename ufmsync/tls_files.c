#include "ufmsync/tls_files.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "secrets/pem.h"
#include "ufmsync/kube/text_file.h"

enum { FILE_MAX = 256 * 1024 };

/* Which file it is and when it was changed; all zero: it cannot be looked at. */
struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec modified, changed;
};

struct state {
	struct stamp cert, key;
};

struct tls_files {
	char *cert_path, *key_path;
	struct state taken, bad; /* in use; cannot be used */
	bool has_bad, said;      /* the bad state was seen at a look before; and reported */
};

static struct stamp stamp(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return (struct stamp){ 0 };
	return (struct stamp){ st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim };
}

static bool is_same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && is_same_time(a->modified, b->modified) &&
	       is_same_time(a->changed, b->changed);
}

static struct state state_of(const struct tls_files *files)
{
	return (struct state){ stamp(files->cert_path), stamp(files->key_path) };
}

static bool is_same(const struct state *a, const struct state *b)
{
	return is_same_stamp(&a->cert, &b->cert) && is_same_stamp(&a->key, &b->key);
}

void tls_pair_free(struct tls_pair *pair)
{
	mem_wipe_free(pair->cert);
	mem_wipe_free(pair->key);
	*pair = (struct tls_pair){ 0 };
}

static int read_pair(struct tls_pair *pair, const struct tls_files *files, struct error *err)
{
	*pair = (struct tls_pair){ 0 };
	if (text_file_read(&pair->cert, files->cert_path, FILE_MAX, err) < 0 ||
	    text_file_read(&pair->key, files->key_path, FILE_MAX, err) < 0) {
		tls_pair_free(pair);
		return -1;
	}
	if (pem_check_pair(pair->cert, pair->key, err) < 0) {
		tls_pair_free(pair);
		return error_wrap(err, "%s, %s", files->cert_path, files->key_path);
	}
	pair->not_after_s = pem_not_after(pair->cert);
	return 0;
}

int tls_files_new(struct tls_files **ret, struct tls_pair *pair, const char *cert_path, const char *key_path,
		  struct error *err)
{
	struct tls_files *files = mem_alloc(sizeof *files);

	files->cert_path = mem_dup(cert_path);
	files->key_path = mem_dup(key_path);
	files->taken = state_of(files);
	if (read_pair(pair, files, err) < 0) {
		tls_files_free(files);
		return -1;
	}
	*ret = files;
	return 0;
}

void tls_files_free(struct tls_files *files)
{
	if (!files)
		return;
	free(files->cert_path);
	free(files->key_path);
	free(files);
}

static enum tls_look look_bad(struct tls_files *files, const struct state *now)
{
	bool again = files->has_bad && is_same(now, &files->bad);

	if (!again) {
		files->has_bad = true;
		files->said = false;
		files->bad = *now;
		return TLS_LOOK_SAME;
	}
	if (files->said)
		return TLS_LOOK_SAME;
	files->said = true;
	return TLS_LOOK_BAD;
}

enum tls_look tls_files_look(struct tls_files *files, struct tls_pair *pair, struct error *err)
{
	struct state before = state_of(files), after;

	if (is_same(&before, &files->taken)) {
		files->has_bad = false;
		return TLS_LOOK_SAME;
	}
	if (files->has_bad && files->said && is_same(&before, &files->bad))
		return TLS_LOOK_SAME;
	int result = read_pair(pair, files, err);
	after = state_of(files);
	if (!is_same(&before, &after)) { /* replaced under way: perhaps one of each */
		tls_pair_free(pair);
		return TLS_LOOK_SAME;
	}
	if (result < 0)
		return look_bad(files, &before);
	files->taken = before;
	files->has_bad = false;
	return TLS_LOOK_FRESH;
}
