#include "host/xrdp_config/programs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/instance/instance_data.h"
#include "host/kernel/fs.h"
#include "host/preload_env.h"
#include "lucid/str.h"

bool program_is_xrdp(const char *comm)
{
	return str_eq(comm, PROGRAM_XRDP) || str_eq(comm, "xrdp");
}

bool program_is_sesman(const char *comm)
{
	return str_eq(comm, PROGRAM_SESMAN) || str_starts(comm, "xrdp-ses");
}

void program_tag(const char *path, char ret[17])
{
	struct stat st;
	ret[0] = '\0';
	if (stat(path, &st) < 0)
		return;
	const uint64_t what[] = { st.st_dev, st.st_ino, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec };
	uint64_t h = 0xcbf29ce484222325ULL; /* FNV-1a: the same in every process, unlike map_hash */
	for (size_t n = 0; n < sizeof what; n++)
		h = (h ^ ((const unsigned char *)what)[n]) * 0x100000001b3ULL;
	snprintf(ret, 17, "%016llx", (unsigned long long)h);
}

bool program_is_outdated(const struct daemon *d)
{
	char now[17];
	const struct host *h = d->of->host;
	program_tag(d == &d->of->xrdp ? h->set.xrdp : h->set.sesman, now);
	return d->pid && d->tag[0] && !str_eq(d->tag, now);
}

struct program {
	const char *from, *name;
	mode_t mode;
};

/* The copy for this version is there, and the instance's name leads to it. */
static int program_place(const char *common, const char *bin, const struct program *p, char ret_what[300])
{
	char tag[17];
	program_tag(p->from, tag);
	_cleanup_(xfreep) char *copy = xasprintf("%s/%s-%s", common, p->name, tag), *to = xasprintf("%s/%s", bin, p->name),
			       *fresh = xasprintf("%s/.%s", bin, p->name);
	struct stat a, b;
	snprintf(ret_what, 300, "%s", p->from);
	int r = access(copy, F_OK) == 0 ? 0 : fs_copy(p->from, copy, p->mode, 0);
	if (r < 0 || (stat(copy, &a) == 0 && stat(to, &b) == 0 && a.st_ino == b.st_ino))
		return r;
	snprintf(ret_what, 300, "%s", to);
	unlink(fresh);
	if (link(copy, fresh) < 0 || rename(fresh, to) < 0)
		return -errno;
	return 0;
}

/* Copies that no instance has a link to any more, but for those of today. */
static void programs_sweep(const char *common, const struct program *programs, size_t n)
{
	DIR *d = opendir(common);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		struct stat st;
		bool wanted = false;
		for (size_t k = 0; k < n; k++) {
			char tag[17];
			program_tag(programs[k].from, tag);
			_cleanup_(xfreep) char *name = xasprintf("%s-%s", programs[k].name, tag);
			wanted |= str_eq(e->d_name, name);
		}
		if (!wanted && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1)
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
}

int programs_place(const struct host *h, const struct instance *i, char ret_what[300])
{
	const struct program programs[] = {
		{ h->set.xrdp, PROGRAM_XRDP, 0755 },
		{ h->set.sesman, PROGRAM_SESMAN, 0755 },
		{ h->set.preload, PRELOAD_FILE, 0644 },
	};
	_cleanup_(xfreep) char *common = xasprintf("%s/xrdp/bin", h->set.data_dir);
	snprintf(ret_what, 300, "%s", common);
	int r = fs_mkdirs(common, 0755);
	if (r == 0)
		r = fs_mkdirs(i->bin, 0755);
	for (size_t n = 0; n < ARRAY_LEN(programs) && r == 0; n++)
		r = program_place(common, i->bin, &programs[n], ret_what);
	if (r == 0)
		programs_sweep(common, programs, ARRAY_LEN(programs));
	return r;
}
