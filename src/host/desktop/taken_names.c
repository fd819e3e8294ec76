#include <stdio.h>
#include <unistd.h>

#include "host/instance/instance.h"
#include "host/kernel/proc.h"
#include "host/observe/observed.h"
#include "host/xrdp_config/programs.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"

/* While sesman runs, it holds the abstract X names of all displays (src/preload). When it dies, another process may take some of them
 * before the next sesman starts, which then skips these displays and reports that in its log only. */

#define NAME "@/tmp/.X11-unix/X"
#define NAMES_MAX 64 /* bits of observed->taken */
/* While names are taken: interval of the checks whether they are free again. */
#define LOOK_MS 10000

struct holder {
	uint64_t inode; /* 0: the name is free */
	int64_t uid;
};
struct holders {
	const struct instance *instance;
	struct holder of[NAMES_MAX];
	size_t n; /* that have an inode */
};

static int names_count(const struct instance *i)
{
	return MIN(i->display_count, NAMES_MAX);
}

/* --- the holder of each name */

/* The display of an abstract name, as its position in the range; -1: not one of the instance. */
static int place_of(const struct instance *i, const struct unix_sock *s)
{
	int64_t display;
	char exact[sizeof s->name];
	if (s->type != SOCK_STREAM || !str_starts(s->name, NAME) || !str_int(s->name + strlen(NAME), 1, 65535, &display))
		return -1;
	/* "X01000", or a NUL after the number, is another name */
	size_t len = (size_t)snprintf(exact, sizeof exact, NAME "%d", (int)display);
	int place = (int)display - i->display_first;
	return len == s->name_len && str_eq(exact, s->name) && place >= 0 && place < names_count(i) ? place : -1;
}

static bool on_socket(const struct unix_sock *s, void *arg)
{
	struct holders *h = arg;
	int place = place_of(h->instance, s);
	/* an accepted connection is listed with the name of its listener, but does not hold it */
	if (place < 0 || (h->of[place].inode && s->connected))
		return true;
	h->n += !h->of[place].inode;
	h->of[place] = (struct holder){ s->inode, s->uid };
	return true;
}

static int list_holders(const struct instance *i, struct holders *ret)
{
	*ret = (struct holders){ .instance = i };
	return sock_diag_unix_each(on_socket, ret);
}

static void holder_drop(struct holders *h, int place)
{
	h->of[place].inode = 0;
	h->n--;
}

static bool on_own(uint64_t inode, void *arg)
{
	struct holders *h = arg;
	for (int n = 0; n < NAMES_MAX; n++)
		if (h->of[n].inode == inode)
			holder_drop(h, n);
	return h->n > 0;
}

static void drop_of(struct holders *h, pid_t pid)
{
	if (pid && h->n)
		proc_socket_inodes(pid, on_own, h);
}

/* Drops the names that the instance holds itself: sesman all of them, a session leader that of its display. A leader that is not announced
 * yet is known as a fork of sesman that runs as root. */
static void drop_own(struct instance *i, struct holders *h)
{
	static pid_t pids[DESKTOP_PIDS];
	const struct desktop *d;
	drop_of(h, i->sesman.pid);
	LIST_FOREACH (d, &i->observed->desktops, node)
		drop_of(h, d->leader);
	size_t n = h->n ? daemon_pids(i, pids, DESKTOP_PIDS) : 0;
	for (size_t k = 0; k < n; k++) {
		struct proc_stat s;
		uid_t uid;
		if (proc_uid(pids[k], &uid, NULL) && uid == geteuid() && proc_stat(pids[k], &s) && program_is_sesman(s.comm))
			drop_of(h, pids[k]);
	}
}

/* Lists twice, because a process of the instance may close a name between the dump and the check of its descriptors. */
static int find_strangers(struct instance *i, struct holders *ret)
{
	struct holders still;
	int r = list_holders(i, ret);
	if (r < 0)
		return r;
	drop_own(i, ret);
	r = ret->n ? list_holders(i, &still) : 0;
	for (int n = 0; ret->n && n < NAMES_MAX; n++)
		if (ret->of[n].inode && ret->of[n].inode != still.of[n].inode)
			holder_drop(ret, n);
	return r;
}

/* --- events */

static void display_tell(struct instance *i, int display, int64_t uid)
{
	json_t *data = json_object();
	char whose[40] = "another process";
	if (uid >= 0)
		snprintf(whose, sizeof whose, "a process of uid %lld", (long long)uid);
	log_warn("host",
		 "server %s: display %d is not assigned, because %s holds its abstract socket name; find it with "
		 "'ss -xap src " NAME "%d' and end it",
		 i->id, display, whose, display);
	doc_set_int(data, "display", display);
	doc_set(data, "holder_uid", uid >= 0 ? json_integer(uid) : NULL);
	host_tell(i->host, "xrdp.display.taken", i, data);
}

static void names_look(struct instance *i)
{
	struct holders h;
	uint64_t found = 0;
	i->observed->taken_ms = clock_mono_ms();
	int r = find_strangers(i, &h);
	if (r < 0) {
		log_debug("host", "server %s: cannot determine which process holds the names of its displays: %s", i->id, strerror(-r));
		return;
	}
	for (int n = 0; n < names_count(i); n++) {
		if (!h.of[n].inode)
			continue;
		found |= UINT64_C(1) << n;
		if (!(i->observed->taken & UINT64_C(1) << n))
			display_tell(i, i->display_first + n, h.of[n].uid);
	}
	i->observed->taken = found;
}

/* --- when to check */

/* Without the preload library sesman holds no names. */
static bool holds_names(const struct instance *i)
{
	return i->desks && !i->shared;
}

static bool is_taken(const struct instance *i, int display)
{
	int n = display - i->display_first;
	return n >= 0 && n < NAMES_MAX && (i->observed->taken & UINT64_C(1) << n);
}

/* sesman uses the lowest free display. */
static bool is_lowest(struct instance *i, int display)
{
	for (int n = i->display_first; n < display; n++)
		if (!desktop_find(i, n))
			return false;
	return true;
}

void taken_names_given(struct instance *i, int display)
{
	if (holds_names(i) && (i->observed->taken || !is_lowest(i, display)))
		names_look(i);
}

bool taken_names_exhausted(struct instance *i)
{
	int max = (int)doc_int(doc_get(i->spec, "desktop"), "max_sessions", 10);
	if (!holds_names(i))
		return false;
	names_look(i);
	/* sesman tries one display more than its limit of sessions */
	for (int n = i->display_first; n <= i->display_first + max && n < i->display_first + names_count(i); n++)
		if (!is_taken(i, n) && !desktop_find(i, n))
			return false;
	return i->observed->taken != 0;
}

void taken_names_sweep(struct instance *i)
{
	if (i->observed->taken && clock_mono_ms() - i->observed->taken_ms >= LOOK_MS)
		names_look(i);
}

json_t *taken_names_doc(const struct instance *i)
{
	json_t *list = json_array();
	for (int n = 0; i->observed && n < names_count(i); n++)
		if (i->observed->taken & UINT64_C(1) << n)
			json_array_append_new(list, json_integer(i->display_first + n));
	return list;
}
