#include <dirent.h>
#include <unistd.h>

#include "app/commands/as_owner.h"
#include "app/doctor/doctor.h"
#include "app/doctor/port_holders.h"
#include "app/roles.h"
#include "host/kernel/fs.h"
#include "host/kernel/port.h"
#include "lucid/doc.h"
#include "lucid/id.h"
#include "lucid/str.h"
#include "store/open.h"
#include "sys/files.h"

#define RANGE_SAMPLE 16
#define HOLDERS_MAX 4096
#define RECORD_MAX (256 * 1024)
#define NAMED_MAX 8 /* ports that a finding lists */

static int try_lock(void *arg, UNUSED struct backup_facts *ret, char *why, size_t size)
{
	_cleanup_(closep) int fd = -1;
	return store_lock(arg, &fd, why, size);
}

/* Whether the program runs with these settings: it holds the lock of the store. */
static bool is_running(const struct config *c)
{
	struct backup_facts none;
	char why[OWNER_WHY_SIZE];
	_cleanup_(xfreep) char *path = store_path(c);
	return access(path, F_OK) == 0 && as_owner(c, false, try_lock, path, &none, why) == -ERR_BUSY;
}

/* Ports in one list of a finding. */
struct port_list {
	struct strbuf text;
	size_t n;
};

static void list_add(struct port_list *l, int port, const struct port_holder *h)
{
	char holder[PORT_HOLDER_SIZE];
	if (l->n++ >= NAMED_MAX)
		return;
	strbuf_printf(&l->text, "%s%d", l->n > 1 ? ", " : "", port);
	if (h)
		strbuf_printf(&l->text, " by %s", port_holder_text(h, holder));
}

static const char *list_text(struct port_list *l)
{
	if (l->n > NAMED_MAX)
		strbuf_printf(&l->text, " and %zu more", l->n - NAMED_MAX);
	return l->text.s ? l->text.s : "";
}

/* --- RDP servers of this DATA_DIR, which may run although the program does not */

struct own {
	int *ports;
	size_t n, size;
};

/* The port of a server that still runs, from its record; otherwise 0. The pid and the start time in the record identify the process. */
static int port_of_record(const char *path)
{
	_cleanup_(xfreep) char *text = file_read(path, RECORD_MAX, NULL);
	_cleanup_(doc_unrefp) json_t *d = text ? doc_parse(text, strlen(text), NULL, 0) : NULL;
	const json_t *xrdp = json_object_get(d, "xrdp");
	int64_t port = doc_int(d, "port", 0), pid = doc_int(xrdp, "pid", 0), start = doc_int(xrdp, "start", 0);
	bool runs = port > 0 && port < 65536 && pid > 1 && pid <= INT32_MAX && start > 0 && proc_alive((pid_t)pid, (uint64_t)start);
	return runs && port_is_of((int)port, (pid_t)pid) ? (int)port : 0;
}

static bool is_own(const struct own *o, int port)
{
	for (size_t k = 0; k < o->n; k++)
		if (o->ports[k] == port)
			return true;
	return false;
}

static void own_add(struct own *o, int port)
{
	if (!port || is_own(o, port))
		return;
	if (o->n == o->size) {
		o->size = MAX(o->size * 2, (size_t)64);
		o->ports = xrealloc(o->ports, o->size * sizeof *o->ports);
	}
	o->ports[o->n++] = port;
}

/* Reads the records in DATA_DIR and their copies in RUNTIME_DIR, because one of the two may be damaged. */
static void own_find(const struct config *c, struct own *o)
{
	const char *data = config_str(c, "DATA_DIR"), *runtime = config_str(c, "RUNTIME_DIR");
	_cleanup_(xfreep) char *dir = xasprintf("%s/xrdp/servers", data);
	DIR *d = opendir(dir);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		if (!id_is_uuid(e->d_name))
			continue;
		_cleanup_(xfreep) char *path = xasprintf("%s/%s/instance.json", dir, e->d_name);
		_cleanup_(xfreep) char *copy = xasprintf("%s/xrdp/records/%s.json", runtime, e->d_name);
		own_add(o, port_of_record(path));
		own_add(o, port_of_record(copy));
	}
	if (d)
		closedir(d);
}

/* --- ports in use */

static void add_roles(const struct config *c, struct port_list *taken)
{
	const struct role *roles[ROLES_N + 1];
	char why[512];
	if (!roles_select(config_list(c, "ROLE"), roles, why, sizeof why))
		return;
	for (const struct role *const *r = roles; *r; r++) {
		struct port_holder h = { 0 };
		int port = (int)config_int(c, (*r)->option[ROLE_OPT_PORT]);
		if (!port_is_free(port))
			list_add(taken, port, port_holders(NULL, port, port, &h, 1) ? &h : NULL);
	}
}

/* Finds all listeners in the range. A sample of the other ports is bound, to find other reasons for which binding fails. */
static void add_range(int start, int end, const struct own *own, struct port_list *strangers, struct port_list *ours)
{
	_cleanup_(xfreep) struct port_holder *held = xcalloc(HOLDERS_MAX, sizeof *held);
	size_t n = port_holders(NULL, start, end, held, HOLDERS_MAX);
	for (size_t k = 0; k < n; k++)
		if (is_own(own, held[k].port))
			list_add(ours, held[k].port, NULL);
		else
			list_add(strangers, held[k].port, &held[k]);
	for (int64_t i = 0; i < RANGE_SAMPLE; i++) {
		int port = (int)(start + (end - start) * i / (RANGE_SAMPLE - 1));
		bool seen = is_own(own, port);
		for (size_t k = 0; k < n && !seen; k++)
			seen = held[k].port == port;
		if (!seen && !port_is_free(port))
			list_add(strangers, port, NULL);
	}
}

void doctor_ports(const struct config *c, struct finding *f)
{
	struct port_list roles = { 0 }, strangers = { 0 }, ours = { 0 };
	struct own own = { 0 };
	int start = (int)config_int(c, "PORT_RANGE_START"), end = (int)config_int(c, "PORT_RANGE_END");
	bool running = is_running(c);
	if (!running)
		add_roles(c, &roles);
	own_find(c, &own);
	add_range(start, end, &own, &strangers, &ours);
	_cleanup_(xfreep) char *servers = ours.n ? xasprintf("%zu own server%s on %s", ours.n, ours.n == 1 ? "" : "s", list_text(&ours)) : NULL;
	_cleanup_(xfreep) char *also = servers ? xasprintf("; %s", servers) : xstrdup("");
	if (roles.n)
		doctor_say(f, DOCTOR_FAIL, "stop the process that listens there, or set other ports for the roles", "in use: %s%s", list_text(&roles), also);
	else if (strangers.n)
		doctor_say(f, DOCTOR_WARN, "servers cannot use these ports; stop the processes that listen there, or change PORT_RANGE_START and PORT_RANGE_END",
			   "in use within the RDP port range: %s%s", list_text(&strangers), also);
	else
		doctor_say(f, DOCTOR_OK, "", "%s; no other process uses the RDP ports %d to %d%s%s", running ? "the program runs and listens on its ports" : "free", start, end, also,
			   servers && !running ? ", which the next start adopts" : "");
	strbuf_done(&roles.text);
	strbuf_done(&strangers.text);
	strbuf_done(&ours.text);
	free(own.ports);
}
