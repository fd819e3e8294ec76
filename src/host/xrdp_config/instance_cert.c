#include "host/xrdp_config/instance_cert.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "host/xrdp_config/cert.h"
#include "host/kernel/fs.h"
#include "sys/files.h"

int instance_cert_lock(const struct host *h)
{
	_cleanup_(xfreep) char *dir = xasprintf("%s/xrdp", h->set.data_dir), *in_it = xasprintf("%s/tls", dir);
	int r = dir_make_parents(in_it); /* before the first start there is none */
	_cleanup_(closep) int fd = r < 0 ? -1 : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r < 0)
		return r;
	return fd < 0 || flock(fd, LOCK_EX) < 0 ? -errno : TAKE_FD(fd);
}

struct source {
	char *cert, *key;
};

static void source_done(struct source *s)
{
	free(s->cert);
	free(s->key);
}

static bool source_find(const struct host *h, struct source *ret, struct reason *ret_why)
{
	if (h->set.cert_file && *h->set.cert_file) {
		*ret = (struct source){ xstrdup(h->set.cert_file), xstrdup(h->set.key_file) };
		return true;
	}
	_cleanup_(xfreep) char *dir = xasprintf("%s/xrdp/tls", h->set.data_dir);
	*ret = (struct source){ xasprintf("%s/cert.pem", dir), xasprintf("%s/key.pem", dir) };
	int r = fs_mkdirs(dir, 0700);
	if (r == 0)
		r = cert_ensure(ret->cert, ret->key, h->set.node, 0);
	if (r < 0)
		reason_of_path(h, ret->key, -r, ret_why);
	return r == 0;
}

bool instance_cert_look(const struct host *h, struct cert_state *ret, struct reason *ret_why)
{
	_cleanup_(source_done) struct source s = { 0 };
	if (!source_find(h, &s, ret_why))
		return false;
	cert_check_files(s.cert, s.key, cert_now_ms(), ret);
	if (ret->fault)
		reason_of_certificate(h, s.cert, s.key, ret, ret_why);
	return !ret->fault;
}

bool instance_cert_stage(const struct host *h, const char *etc, gid_t gid, struct stage *stage, struct cert_state *ret,
			 struct reason *ret_why)
{
	_cleanup_(source_done) struct source s = { 0 };
	_cleanup_(xfreep) char *cert = xasprintf("%s/cert.pem", etc), *key = xasprintf("%s/key.pem", etc);
	if (!source_find(h, &s, ret_why))
		return false;
	cert_check_files(s.cert, s.key, cert_now_ms(), ret);
	int r = ret->fault ? 0 : stage_copy(stage, s.cert, cert, 0644, 0);
	if (r == 0 && !ret->fault)
		r = stage_copy(stage, s.key, key, 0640, gid);
	if (r < 0) {
		reason_of_path(h, etc, -r, ret_why);
		return false;
	}
	/* they may have been renewed between check and copy */
	if (!ret->fault)
		cert_check_files(stage_path(stage, cert), stage_path(stage, key), cert_now_ms(), ret);
	if (ret->fault)
		reason_of_certificate(h, s.cert, s.key, ret, ret_why);
	return !ret->fault;
}
