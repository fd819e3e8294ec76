#include "host/instance/prepare.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/instance/instance.h"
#include "host/instance/run.h"
#include "host/kernel/fs.h"
#include "host/xrdp_config/instance_cert.h"
#include "host/kernel/trash.h"
#include "host/observe/deleted_logs.h"
#include "host/xrdp_config/pam_file.h"
#include "host/xrdp_config/pam_session.h"
#include "host/xrdp_config/profiles.h"
#include "host/xrdp_config/programs.h"
#include "lucid/str.h"
#include "sys/child/job.h"
#include "sys/child/spawn.h"
#include "sys/files.h"

/* What the job reports of the certificate. */
struct prepared {
	struct cert_state cert;
	char was[65]; /* fingerprint of the previous one; "" if there was none */
};

/* Paths of certificate and key in the namespace; without one, the daemons get the real paths. */
#define NS_CERT "/etc/xrdp/cert.pem"
#define NS_KEY "/etc/xrdp/key.pem"

void prepare_ini_in(struct host *h, const struct instance *i, const json_t *spec, struct ini_in *ret)
{
	*ret = (struct ini_in){ .spec = spec,
				.sesman_port = i->sesman_port,
				.display_first = i->display_first,
				.xrdp_uid = i->uid,
				.cert = NS_CERT,
				.key = NS_KEY,
				.log = i->desks ? NS_LOG : i->log,
				.desks = i->desks,
				.program = h->set.program,
				.hook_socket = h->hook_socket,
				.common_auth = access("/etc/pam.d/common-auth", R_OK) == 0,
				.shared = i->shared };
}

void prepare_ns_plan(const struct instance *i, struct ns_plan *ret)
{
	*ret = (struct ns_plan){ .etc = i->etc,
				 .run = i->run,
				 .pam = i->pam,
				 .bin = i->bin,
				 .log = i->log,
				 .gid = i->gid,
				 .display_first = i->display_first,
				 .display_count = i->display_count };
}

/* The first fault; `what` is its path, unless the reason is known already. */
struct fault {
	int err;
	char what[300];
	struct reason why;
	struct stage stage; /* files of a running instance, replaced together */
};
static bool note(struct fault *f, int r, const char *what)
{
	if (r < 0 && f->err == 0) {
		f->err = -r;
		snprintf(f->what, sizeof f->what, "%s", what);
	}
	return f->err == 0;
}

static bool instance_file_write(struct fault *f, const char *dir, const char *name, char *consume_text, mode_t mode, gid_t gid)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/%s", dir, name), *text = consume_text;
	return note(f, stage_write(&f->stage, path, text, mode, gid), path);
}

/* Keyboard maps and the like: hard links to a copy in DATA_DIR, which is made once from the host's configuration. */
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

/* rsakeys.ini for classic RDP security: from the previous start, else one generated in advance, else generated now, else the host's. */
static bool rsa_keys(struct fault *f, struct host *h, const struct instance *i)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/rsakeys.ini", i->etc),
			       *spare = xasprintf("%s/rsakeys.spare", i->dir);
	if (access(path, F_OK) != 0 && rename(spare, path) < 0 && rsa_keys_make(path) < 0) {
		_cleanup_(xfreep) char *hosts = xasprintf("%s/rsakeys.ini", h->set.xrdp_config);
		if (!note(f, fs_copy(hosts, path, 0640, i->gid), hosts))
			return false;
	}
	if (h->is_root && chown(path, 0, i->gid) < 0)
		return note(f, -errno, path);
	return note(f, chmod(path, 0640) < 0 ? -errno : 0, path);
}

/* With the fingerprint that clients saw last, so that a change is published, also across a stop. */
static bool certificate(struct fault *f, struct host *h, const struct instance *i, struct prepared *ret)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/fingerprint", i->dir), *was = file_read(path, sizeof ret->was, NULL);
	if (!instance_cert_stage(h, i->etc, i->gid, &f->stage, &ret->cert, &f->why))
		return note(f, -EINVAL, "certificate");
	str_copy(ret->was, sizeof ret->was, was && strlen(was) == sizeof ret->was - 1 ? was : "");
	return note(f, stage_write(&f->stage, path, ret->cert.fingerprint, 0600, 0), path);
}

/* Files that all instances share are made by the first start that needs them, under a lock; concurrent starts wait. The lock goes with its
 * descriptor, so also when the job ends. */
static bool common_parts(struct fault *f, struct host *h, const struct instance *i, struct prepared *ret)
{
	_cleanup_(closep) int lock = instance_cert_lock(h);
	if (lock < 0)
		return note(f, lock, h->set.data_dir);
	char what[300];
	return share(f, h, i->etc) && certificate(f, h, i, ret) && (!i->desks || note(f, programs_place(h, i, what), what));
}

/* The daemons append to these; xrdp runs as its own user. */
static bool log_files(struct fault *f, struct host *h, const struct instance *i)
{
	static const char *const names[] = { "xrdp.log", "sesman.log", "xrdp.out", "xrdp-sesman.out" };
	for (size_t n = 0; n < ARRAY_LEN(names); n++) {
		_cleanup_(xfreep) char *path = xasprintf("%s/%s", i->log, names[n]);
		_cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
		if (fd < 0 || (h->is_root && n == 0 && fchown(fd, i->uid, i->gid) < 0))
			return note(f, -errno, path);
	}
	return true;
}

/* Sockets of a desktop belong to its user and, through the set-group-ID bit of the directory, to the group xrdp. Otherwise xrdp, which is
 * not root, could not connect to them and its client would show a black screen. */
static bool socket_directory(struct fault *f, const struct host *h, const char *path)
{
	if (!note(f, fs_mkdirs(path, 01777), path) || !h->is_root)
		return !f->err;
	return note(f, lchown(path, 0, h->xrdp_gid) < 0 || chmod(path, 03777) < 0 ? -errno : 0, path);
}

/* The directories of the instances are closed to every account but root; the daemons see what they need in their namespace. */
static bool directories(struct fault *f, const struct host *h, const struct instance *i)
{
	_cleanup_(xfreep) char *servers = xasprintf("%s/xrdp/servers", h->set.data_dir), *logs = xasprintf("%s/xrdp/servers", h->set.log_dir);
	_cleanup_(xfreep) char *sock = xasprintf("%s/sockdir", i->run), *user = xasprintf("%s/user", i->run);
	mode_t closed = host_closed_mode(h);
	bool ok = note(f, fs_mkdirs(servers, closed), servers) && note(f, fs_mkdirs(logs, closed), logs) &&
		  note(f, fs_mkdirs(i->dir, closed), i->dir) && note(f, fs_mkdirs(i->etc, 0755), i->etc) &&
		  note(f, fs_mkdirs(i->run, 0755), i->run) && note(f, fs_mkdirs(i->log, 0750), i->log) &&
		  note(f, h->is_root && chown(i->log, 0, i->gid) < 0 ? -errno : 0, i->log);
	/* with desktop namespaces, these are on the tmpfs of the namespace */
	return ok && (i->desks || (socket_directory(f, h, sock) && note(f, fs_mkdirs(user, 01777), user)));
}

static bool names_file(struct fault *f, const struct instance *i, const json_t *spec, const char *list,
		       const char *name, bool old)
{
	char *text = pam_names_text(spec, list);
	_cleanup_(xfreep) char *path = xasprintf("%s/%s", i->etc, name);
	if (text && !old)
		return instance_file_write(f, i->etc, name, text, 0600, 0);
	if (!text && old)
		stage_remove(&f->stage, path);
	free(text);
	return true;
}

/* Written in this order, so that the rule never names a list that does not exist. */
static bool access_files(struct fault *f, const struct instance *i, const json_t *spec)
{
	return names_file(f, i, spec, "security.allowed_users", "allowed_users", false) &&
	       names_file(f, i, spec, "security.allowed_groups", "allowed_groups", false) &&
	       instance_file_write(f, i->etc, "pam-access", pam_access_text(spec), 0600, 0) &&
	       names_file(f, i, spec, "security.allowed_users", "allowed_users", true) &&
	       names_file(f, i, spec, "security.allowed_groups", "allowed_groups", true);
}

/* The session part that the PAM file takes over from the host. What is left out is reported to the supervisor in lines "note …". Substacks
 * are written first, so that no line names a file that does not exist. */
static bool pam_session_files(struct fault *f, const struct host *h, const struct instance *i, int out)
{
	struct pam_session s;
	pam_session_host(&s, h->set.pam_session_exclude);
	for (size_t n = s.n; n-- > 0;)
		if (!instance_file_write(f, i->etc, pam_session_name(n), TAKE_PTR(s.text[n]), 0640, 0))
			break;
	for (size_t n = s.n; n < PAM_SESSION_FILES && !f->err; n++) {
		_cleanup_(xfreep) char *stale = xasprintf("%s/%s", i->etc, pam_session_name(n));
		stage_remove(&f->stage, stale);
	}
	for (const char *p = s.notes; *p;) {
		int len = (int)strcspn(p, "\n");
		dprintf(out, "note %.*s\n", len, p);
		p += len + (p[len] == '\n');
	}
	pam_session_done(&s);
	return f->err == 0;
}

/* X servers create their sockets and locks there. */
static bool writable(struct fault *f, const char *dir)
{
	return note(f, access(dir, W_OK) < 0 ? -errno : 0, dir);
}

static bool commit(struct fault *f)
{
	const char *path = "";
	int r = stage_commit(&f->stage, &path);
	return note(f, r, path);
}

static bool write_files(struct fault *f, const struct prepare_in *p, struct prepared *ret, int out)
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
	return directories(f, h, i) && common_parts(f, h, i, ret) && writable(f, "/tmp") && log_files(f, h, i) && note(f, deleted_logs_about(i, p->spec), i->log) &&
	       (i->shared || rsa_keys(f, h, i)) && instance_file_write(f, i->etc, "xrdp.ini", ini_xrdp(&in), 0640, i->gid) &&
	       (i->shared || (instance_file_write(f, i->etc, "sesman.ini", ini_sesman(&in), 0644, 0) &&
			      instance_file_write(f, i->etc, "startwm.sh", ini_startwm(p->profile, p->command, profiles_xdg(p->command)), 0755, 0) &&
			      pam_session_files(f, h, i, out) && instance_file_write(f, i->dir, "pam", pam_file_text(&in), 0644, 0) &&
			      access_files(f, i, p->spec))) &&
	       commit(f);
}

/* The namespace of a running instance may still show directories that were removed; write_files has made them again. */
static int refresh_binds(const struct instance *i)
{
	struct ns_plan plan;
	prepare_ns_plan(i, &plan);
	/* a job does not inherit the descriptor of the namespace, so it is opened through a daemon */
	pid_t pid = i->xrdp.pid ? i->xrdp.pid : i->sesman.pid;
	_cleanup_(closep) int fd = pid ? ns_open(pid) : -1;
	if (fd < 0 || ns_inode(fd) != i->ns_inode)
		return 0;
	int r = ns_enter(fd);
	return r < 0 ? r : ns_refresh(&plan);
}

int prepare_run(void *arg, int out)
{
	const struct prepare_in *p = arg;
	struct fault f = { 0 };
	struct prepared done = { 0 };
	child_tie(p->parent);
	umask(022);
	bool ok = write_files(&f, p, &done, out);
	stage_done(&f.stage);
	if (!ok) {
		if (!f.why.word[0])
			reason_of_path(p->host, f.what, f.err, &f.why);
		reason_print(&f.why, out);
		return PREPARE_FILES;
	}
	if (p->make_ns) {
		struct ns_plan plan;
		prepare_ns_plan(p->instance, &plan);
		int r = ns_make(&plan), fd = r < 0 ? r : ns_open(getpid());
		if (fd < 0 || !job_pass_fd(out, fd)) {
			dprintf(out, "mount namespace: %s", strerror(fd < 0 ? -fd : errno));
			return PREPARE_NAMESPACE;
		}
	}
	int r = p->make_ns || p->instance->shared ? 0 : refresh_binds(p->instance);
	if (r < 0) {
		dprintf(out, "mount namespace: %s", strerror(-r));
		return PREPARE_NAMESPACE;
	}
	dprintf(out, "certificate %s %lld %lld %s", done.cert.fingerprint, (long long)done.cert.not_before_ms,
		(long long)done.cert.not_after_ms, done.was);
	return PREPARE_OK;
}

int prepare_cleanup(void *arg, UNUSED int out)
{
	const struct cleanup_in *c = arg;
	const struct instance *i = c->instance;
	_cleanup_(xfreep) char *trash = trash_of_data(i->host);
	child_tie(c->parent);
	for (int n = 0; !i->desks && n < i->display_count; n++)
		display_clean(c->instance, i->display_first + n);
	fs_discard(i->run, trash); /* may hold many files of users, which are removed later */
	fs_remove_tree(i->bin);
	fs_remove_tree(i->pam);
	if (!c->remove) {
		/* the key for classic RDP security is slow to generate: it is kept for the next start */
		_cleanup_(xfreep) char *keys = xasprintf("%s/rsakeys.ini", i->etc),
				       *kept = xasprintf("%s/rsakeys.ini", i->dir);
		bool have = rename(keys, kept) == 0;
		fs_remove_tree(i->etc);
		if (have && fs_mkdirs(i->etc, 0755) == 0)
			have = rename(kept, keys) == 0;
	} else {
		fs_discard(i->dir, trash);
		deleted_logs_keep(i);
	}
	_cleanup_(xfreep) char *record = xasprintf("%s/instance.json", i->dir);
	unlink(record);
	return access(i->run, F_OK) == 0 || (c->remove && access(i->dir, F_OK) == 0);
}
