#include "host/prepare.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/cert.h"
#include "host/fs.h"
#include "lucid/str.h"

/* Where the daemons see their key; the same files by their own path when there is no namespace. */
#define NS_CERT "/etc/xrdp/cert.pem"
#define NS_KEY "/etc/xrdp/key.pem"

void prepare_ini_in(struct host *h, const struct instance *i, const json_t *spec, struct ini_in *ret)
{
	*ret = (struct ini_in){ .spec = spec,
				.sesman_port = i->sesman_port,
				.display_first = i->display_first,
				.cert = NS_CERT,
				.key = NS_KEY,
				.log = i->log,
				.program = h->set.program,
				.hook_socket = h->hook_socket,
				.common_auth = access("/etc/pam.d/common-auth", R_OK) == 0,
				.shared = i->shared };
}

/* First fault wins; `what` is the path it was about. */
struct fault {
	int err;
	char what[300];
};
static bool note(struct fault *f, int r, const char *what)
{
	if (r < 0 && f->err == 0) {
		f->err = -r;
		snprintf(f->what, sizeof f->what, "%s", what);
	}
	return f->err == 0;
}

static bool put(struct fault *f, const char *dir, const char *name, char *consume_text, mode_t mode, gid_t gid)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/%s", dir, name), *text = consume_text;
	return note(f, fs_write(path, text, mode, gid), path);
}

/* Key maps and the like: linked from a copy in our own tree, copied once from the host's configuration. */
static bool share(struct fault *f, struct host *h, const char *etc)
{
	_cleanup_(xfreep) char *common = xasprintf("%s/xrdp/common", h->set.data_dir);
	if (!note(f, fs_mkdirs(common, 0755), common))
		return false;
	DIR *d = opendir(h->set.xrdp_config);
	struct dirent *e;
	while (d && f->err == 0 && (e = readdir(d))) {
		if (!(str_starts(e->d_name, "km-") && str_ends(e->d_name, ".ini")) &&
		    !str_eq(e->d_name, "xrdp_keyboard.ini") && !str_eq(e->d_name, "reconnectwm.sh"))
			continue;
		_cleanup_(xfreep) char *from = xasprintf("%s/%s", h->set.xrdp_config, e->d_name);
		_cleanup_(xfreep) char *mid = xasprintf("%s/%s", common, e->d_name);
		_cleanup_(xfreep) char *to = xasprintf("%s/%s", etc, e->d_name);
		struct stat a, b;
		if (stat(from, &a) < 0)
			continue;
		bool stale = stat(mid, &b) < 0 || b.st_size != a.st_size || b.st_mtime < a.st_mtime;
		if (stale && !note(f, fs_copy(from, mid, str_ends(mid, ".sh") ? 0755 : 0644, 0), mid))
			break;
		if (stale)
			unlink(to);
		if (link(mid, to) < 0 && errno != EEXIST)
			note(f, -errno, to);
	}
	if (d)
		closedir(d);
	_cleanup_(xfreep) char *pulse = xasprintf("%s/pulse", etc), *to = xasprintf("%s/pulse/default.pa", etc);
	_cleanup_(xfreep) char *from = xasprintf("%s/pulse/default.pa", h->set.xrdp_config);
	if (access(from, R_OK) == 0 && note(f, fs_mkdirs(pulse, 0755), pulse))
		note(f, fs_copy(from, to, 0644, 0), to);
	return f->err == 0;
}

static int keygen(const char *to)
{
	pid_t pid = fork();
	if (pid == 0) {
		execlp("xrdp-keygen", "xrdp-keygen", "xrdp", to, (char *)NULL);
		_exit(127);
	}
	int status = 0;
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ENOENT;
}

/* rsakeys.ini for the classic RDP layer: kept from the last start, else one made ahead, else made now, else the host's. */
static bool rsa_keys(struct fault *f, struct host *h, const struct instance *i)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/rsakeys.ini", i->etc),
			       *spare = xasprintf("%s/rsakeys.spare", i->dir);
	if (access(path, F_OK) != 0 && rename(spare, path) < 0 && keygen(path) < 0) {
		_cleanup_(xfreep) char *hosts = xasprintf("%s/rsakeys.ini", h->set.xrdp_config);
		if (!note(f, fs_copy(hosts, path, 0640, h->xrdp_gid), hosts))
			return false;
	}
	if (h->is_root && chown(path, 0, h->xrdp_gid) < 0)
		return note(f, -errno, path);
	return note(f, chmod(path, 0640) < 0 ? -errno : 0, path);
}

static bool certificate(struct fault *f, struct host *h, const struct instance *i, char fingerprint[65])
{
	_cleanup_(xfreep) char *cert = xasprintf("%s/cert.pem", i->etc), *key = xasprintf("%s/key.pem", i->etc);
	_cleanup_(xfreep) char *own_cert = xasprintf("%s/xrdp/tls/cert.pem", h->set.data_dir);
	_cleanup_(xfreep) char *own_key = xasprintf("%s/xrdp/tls/key.pem", h->set.data_dir);
	_cleanup_(xfreep) char *dir = xasprintf("%s/xrdp/tls", h->set.data_dir);
	const char *from_cert = h->set.cert_file, *from_key = h->set.key_file;
	if (!from_cert || !*from_cert) {
		from_cert = own_cert;
		from_key = own_key;
		if (!note(f, fs_mkdirs(dir, 0700), dir) ||
		    !note(f, cert_ensure(own_cert, own_key, h->set.node, 0), own_key))
			return false;
	}
	if (!cert_fingerprint(from_cert, fingerprint))
		return note(f, -EINVAL, from_cert);
	return note(f, fs_copy(from_cert, cert, 0644, 0), from_cert) &&
	       note(f, fs_copy(from_key, key, 0640, h->xrdp_gid), from_key);
}

/* What all instances have in common is made by the first that needs it; others that start at that moment wait. Freed with the
 * descriptor, so by the end of a job too. */
static bool common_parts(struct fault *f, struct host *h, const struct instance *i, char fingerprint[65])
{
	_cleanup_(xfreep) char *dir = xasprintf("%s/xrdp", h->set.data_dir);
	_cleanup_(closep) int lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return note(f, -errno, dir);
	return share(f, h, i->etc) && certificate(f, h, i, fingerprint);
}

/* The daemons append to these; xrdp runs as its own user. */
static bool log_files(struct fault *f, struct host *h, const struct instance *i)
{
	static const char *const names[] = { "xrdp.log", "sesman.log", "xrdp.out", "xrdp-sesman.out" };
	for (size_t n = 0; n < ARRAY_LEN(names); n++) {
		_cleanup_(xfreep) char *path = xasprintf("%s/%s", i->log, names[n]);
		_cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
		if (fd < 0 || (h->is_root && n == 0 && fchown(fd, h->xrdp_uid, h->xrdp_gid) < 0))
			return note(f, -errno, path);
	}
	return true;
}

/* The sockets of a desktop belong to its user and, by the directory's set-gid bit, to the group of xrdp: else xrdp, which
 * is not root, may not connect to them, and its client looks at a black screen. */
static bool socket_directory(struct fault *f, const struct host *h, const char *path)
{
	if (!note(f, fs_mkdirs(path, 01777), path) || !h->is_root)
		return !f->err;
	return note(f, lchown(path, 0, h->xrdp_gid) < 0 || chmod(path, 03777) < 0 ? -errno : 0, path);
}

static bool directories(struct fault *f, const struct host *h, const struct instance *i)
{
	_cleanup_(xfreep) char *sock = xasprintf("%s/sockdir", i->run), *user = xasprintf("%s/user", i->run);
	return note(f, fs_mkdirs(i->dir, 0755), i->dir) && note(f, fs_mkdirs(i->etc, 0755), i->etc) &&
	       note(f, fs_mkdirs(i->run, 0755), i->run) && socket_directory(f, h, sock) &&
	       note(f, fs_mkdirs(user, 01777), user) && note(f, fs_mkdirs(i->log, 0755), i->log);
}

static bool names_file(struct fault *f, const struct instance *i, const json_t *spec, const char *list,
		       const char *name, bool old)
{
	char *text = ini_names(spec, list);
	_cleanup_(xfreep) char *path = xasprintf("%s/%s", i->etc, name);
	if (text && !old)
		return put(f, i->etc, name, text, 0600, 0);
	if (!text && old)
		unlink(path);
	free(text);
	return true;
}

/* The rule names no list that is not there yet, and none goes that it still names. */
static bool access_files(struct fault *f, const struct instance *i, const json_t *spec)
{
	return names_file(f, i, spec, "security.allowed_users", "allowed_users", false) &&
	       names_file(f, i, spec, "security.allowed_groups", "allowed_groups", false) &&
	       put(f, i->etc, "pam-access", ini_pam_access(spec), 0644, 0) &&
	       names_file(f, i, spec, "security.allowed_users", "allowed_users", true) &&
	       names_file(f, i, spec, "security.allowed_groups", "allowed_groups", true);
}

static bool write_files(struct fault *f, const struct prepare_in *p, char fingerprint[65])
{
	struct host *h = p->host;
	struct instance *i = p->instance;
	struct ini_in in;
	prepare_ini_in(h, i, p->spec, &in);
	_cleanup_(xfreep) char *own_cert = xasprintf("%s/cert.pem", i->etc), *own_key = xasprintf("%s/key.pem", i->etc);
	if (i->shared) {
		in.cert = own_cert;
		in.key = own_key;
	}
	return directories(f, h, i) && common_parts(f, h, i, fingerprint) && log_files(f, h, i) &&
	       (i->shared || rsa_keys(f, h, i)) && put(f, i->etc, "xrdp.ini", ini_xrdp(&in), 0644, 0) &&
	       (i->shared || (put(f, i->etc, "sesman.ini", ini_sesman(&in), 0644, 0) &&
			      put(f, i->etc, "startwm.sh", ini_startwm(p->command), 0755, 0) &&
			      put(f, i->dir, "pam", ini_pam(&in), 0644, 0) &&
			      access_files(f, i, p->spec)));
}

int prepare_run(void *arg, int out)
{
	const struct prepare_in *p = arg;
	struct fault f = { 0 };
	char fingerprint[65] = "";
	child_tie(p->parent);
	umask(022);
	if (!write_files(&f, p, fingerprint)) {
		dprintf(out, "%s: %s", f.what, strerror(f.err));
		return PREPARE_FILES;
	}
	if (p->make_ns) {
		const struct ns_plan plan = { p->instance->etc, p->instance->run, p->instance->pam };
		int r = ns_make(&plan), fd = r < 0 ? r : ns_open(getpid());
		if (fd < 0 || !job_pass_fd(out, fd)) {
			dprintf(out, "mount namespace: %s", strerror(fd < 0 ? -fd : errno));
			return PREPARE_NAMESPACE;
		}
	}
	dprintf(out, "fingerprint %s", fingerprint);
	return PREPARE_OK;
}

int prepare_cleanup(void *arg, UNUSED int out)
{
	const struct cleanup_in *c = arg;
	const struct instance *i = c->instance;
	child_tie(c->parent);
	for (int n = 0; n < i->display_count; n++)
		display_clean(i, i->display_first + n);
	fs_remove_tree(i->run);
	fs_remove_tree(i->pam);
	if (!c->remove) {
		/* the key of the classic layer is slow to make: it stays for the next start */
		_cleanup_(xfreep) char *keys = xasprintf("%s/rsakeys.ini", i->etc),
				       *kept = xasprintf("%s/rsakeys.ini", i->dir);
		bool have = rename(keys, kept) == 0;
		fs_remove_tree(i->etc);
		if (have && fs_mkdirs(i->etc, 0755) == 0)
			have = rename(kept, keys) == 0;
	} else {
		fs_remove_tree(i->dir);
		fs_remove_tree(i->log);
	}
	_cleanup_(xfreep) char *record = xasprintf("%s/instance.json", i->dir);
	unlink(record);
	return 0;
}
