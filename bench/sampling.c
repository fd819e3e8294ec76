/*
 * bench/sampling: the processor time of one round of samples, from the control groups of simulated servers to the store.
 *   sampling SERVERS SESSIONS ROUNDS DIRECTORY [processes]
 * SESSIONS: of each server. Each server and session has real control groups, but no xrdp. The supervisor's part (host.stats), its text, and
 * the whole role rdp-resource-monitor with an embedded store in DIRECTORY run in this process, on one loop. The store already has half of
 * the samples of the present document, because a document that grows costs more. With "processes", each server has two processes and each session
 * four, so that another program can measure the same. The first line of output is the array of their root pids; the measurement then waits
 * for a line of input. As root. Prints a figure on each line.
 */
#include <math.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/settings/options.h"
#include "bus/transport.h"
#include "host/cgroup/groups.h"
#include "host/core.h"
#include "host/instance/run.h"
#include "host/observe/observe.h"
#include "host/observe/observed.h"
#include "lease/leases.h"
#include "lucid/clock.h"
#include "lucid/config.h"
#include "lucid/id.h"
#include "lucid/role.h"
#include "lucid/str.h"
#include "roles/contract/contract.h"
#include "roles/rdp-resource-monitor/history/keeper.h"
#include "roles/rdp-resource-monitor/history/level.h"
#include "store/open.h"

#define NODE "bench"
#define PORT 20000
#define WARM_UP 2 /* rounds before the measurement: history is read, documents are inserted */
#define STORED 90 /* samples of the present document: half of 15 minutes at 5 s */
#define STORED_STEP_MS 5000
#define DISPLAY 20

extern const struct role role_rdp_resource_monitor;

static struct {
	struct loop *loop;
	struct store *store;
	struct bus *bus;
	struct host *host;
	struct config *config;
	size_t servers, sessions;
	unsigned rounds, done;
	size_t bytes; /* of the last text */
	double began_us, took_us;
	json_t *roots; /* pids; NULL: without processes */
} t;

static void fail(const char *what)
{
	fprintf(stderr, "sampling: %s\n", what);
	exit(1);
}

static double cpu_us(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* --- simulated servers */

static void no_event(UNUSED void *arg, UNUSED const char *topic, UNUSED const char *server_id, UNUSED const char *user_id, json_t *consume_data)
{
	json_decref(consume_data);
}

/* A process with `children` further ones; all end with this program. */
static void process_begin(struct cgroup *group, int children)
{
	pid_t pid = fork();
	if (pid < 0)
		fail("too many processes");
	if (pid) {
		json_array_append_new(t.roots, json_integer(pid));
		return;
	}
	cgroup_attach(group, getpid());
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (children-- > 0)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			break;
		}
	for (;;)
		pause();
}

static void server_begin(int number)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	json_t *spec = json_pack("{s:s, s:s, s:i, s:{s:i}}", "server_id", id, "user_id", "bench", "port", PORT + number, "limits", "memory_mb", 1024);
	struct instance *i = instance_new(t.host, spec);
	json_decref(spec);
	groups_make(i);
	if (!i->cgroup)
		fail("control groups cannot be created here");
	i->observed = XNEW(struct observed);
	list_init(&i->observed->desktops);
	list_init(&i->observed->connections);
	list_init(&i->observed->logins);
	if (t.roots)
		process_begin(i->daemons, 1);
	for (size_t n = 0; n < t.sessions; n++) {
		struct desktop *d = desktop_new(i, DISPLAY + (int)n);
		snprintf(d->user, sizeof d->user, "user%zu", n);
		if (t.roots)
			process_begin(d->cgroup, 3);
	}
}

static void servers_end(void)
{
	struct instance *i;
	INSTANCE_FOREACH (i, t.host) {
		cgroup_kill(i->cgroup);
		for (int tries = 0; tries < 200 && !cgroup_remove(i->cgroup); tries++) {
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
			usleep(10000);
		}
	}
}

static void host_begin(const char *dir)
{
	_cleanup_(xfreep) char *data = xasprintf("%s/data", dir), *logs = xasprintf("%s/log", dir), *run = xasprintf("%s/run", dir);
	const struct host_settings s = { .data_dir = data, .log_dir = logs, .runtime_dir = run, .program = "/bin/true", .port_start = PORT,
					 .port_end = PORT + 9999, .desktop_profiles = (const char *const[]){ "bench=true", NULL } };
	t.host = host_new_with(t.loop, &s, no_event, NULL);
	loop_timer_clear(t.host->tick); /* it supervises xrdp, which these servers do not have */
	loop_io_set(t.host->observer->inotify_io, 0); /* and this ends desktops without an X server */
	for (size_t n = 0; n < t.servers; n++)
		server_begin((int)n);
}

/* --- the agent: as the supervisor, whose answer is a text for the server process */

static void stats_done(void *arg, UNUSED int err, UNUSED const char *message, json_t *consume_out)
{
	struct blob *text = doc_blob(consume_out);
	t.bytes = text->len;
	json_decref(consume_out);
	call_ok_blob(arg, text, NULL);
}

static void serve_stats(struct call *c, UNUSED void *arg)
{
	if (t.done == WARM_UP)
		t.began_us = cpu_us();
	if (t.done++ == WARM_UP + t.rounds) {
		t.took_us = cpu_us() - t.began_us;
		loop_stop(t.loop);
	}
	host_stats(t.host, NULL, stats_done, c);
}

/* --- what is stored already */

static void on_turn(UNUSED void *arg)
{
	loop_stop(t.loop);
}

static void turn(int64_t ms)
{
	struct loop_timer *timer = loop_timer_new(t.loop, on_turn, NULL);
	loop_timer_set(timer, ms);
	loop_run(t.loop);
	loop_timer_free(timer);
}

static void settle(const struct under_way *u)
{
	do
		turn(5);
	while (u->n);
}

static void sample_one(struct keeper *k, enum sample_kind kind, const char *id, int64_t time_ms, int n)
{
	struct sample s = { .kind = kind, .node = NODE, .time_ms = time_ms };
	str_copy(s.id, sizeof s.id, id);
	for (int r = 0; r < RES_COUNT; r++)
		s.value[r] = 20 + 10 * sin(n + r);
	s.value[RES_MEMORY] = 300e6 + 20e6 * sin(n);
	s.value[RES_LOAD] = s.value[RES_DISK] = s.value[RES_TEMPERATURE] = NAN;
	keeper_take(k, &s);
}

static void samples_store(struct keeper *k, int64_t time_ms, int n)
{
	struct instance *i;
	struct desktop *d;
	sample_one(k, SAMPLE_NODE, NODE, time_ms, n);
	INSTANCE_FOREACH (i, t.host) {
		sample_one(k, SAMPLE_SERVER, i->id, time_ms, n);
		LIST_FOREACH (d, &i->observed->desktops, node) {
			char id[SAMPLE_ID_MAX];
			snprintf(id, sizeof id, "%s:%d", i->id, d->display);
			sample_one(k, SAMPLE_DESKTOP, id, time_ms, n);
		}
	}
}

static void history_begin(const struct role_env *env)
{
	struct under_way u = { 0 };
	int64_t bucket = level_bucket(LEVEL_RAW, clock_wall_ms());
	struct keeper *k = keeper_new(env, NULL, &u);
	for (int n = 0; n < STORED; n++) {
		samples_store(k, bucket + n * STORED_STEP_MS, n);
		if (n == 0 || n % 30 == 29) {
			keeper_flush(k);
			settle(&u);
		}
	}
	keeper_flush(k);
	settle(&u);
	keeper_stop(k);
	keeper_free(k);
}

/* --- all of it */

static void opened(int err, const char *why, UNUSED void *arg)
{
	if (err)
		fail(why);
	loop_stop(t.loop);
}

static void config_begin(void)
{
	static char *no_env[] = { NULL };
	const char *none[] = { NULL }, *set[] = { "METRICS_INTERVAL=1", "MAX_CPU_USAGE=100", "MAX_MEMORY_USAGE=100", NULL };
	struct config_input in = { .env = no_env, .set = set, .env_files = none };
	struct strbuf faults = { 0 }, warnings = { 0 };
	t.config = config_load(options(), options_n(), &in, &faults, &warnings);
	if (!t.config)
		fail(faults.s);
	strbuf_done(&faults);
	strbuf_done(&warnings);
}

/* In the middle of the time of a document of raw samples. */
static void clock_begin(void)
{
	int64_t bucket = levels[LEVEL_RAW].bucket_ms, middle = STORED * STORED_STEP_MS;
	clock_shift_ms((middle - clock_wall_ms() % bucket + bucket) % bucket);
}

static void drained(void *arg)
{
	*(bool *)arg = true;
}

static void measure(void)
{
	struct leases *leases = leases_new(&(struct leases_env){ .loop = t.loop, .store = t.store, .holder = NODE });
	const struct role_env env = { .loop = t.loop, .bus = t.bus, .store = t.store, .config = t.config, .node = NODE, .leases = leases };
	bool over = false;
	void *role;
	leases_begin(leases);
	history_begin(&env);
	bus_serve(t.bus, op_find("xrdp.stats"), serve_stats, NULL);
	role_rdp_resource_monitor.init(&env, &role);
	role_rdp_resource_monitor.start(role);
	loop_run(t.loop);
	printf("round_us %.0f\nbytes %zu\ngroups %zu\n", t.took_us / t.rounds, t.bytes, t.servers * (1 + t.sessions));
	fflush(stdout);
	role_rdp_resource_monitor.drain(role, drained, &over);
	while (!over)
		turn(5);
	role_rdp_resource_monitor.free(role);
	store_close(t.store);
	leases_free(leases);
}

int main(int argc, char **argv)
{
	char line[16];
	if (argc < 5)
		fail("usage: sampling SERVERS SESSIONS ROUNDS DIRECTORY [processes]");
	t.servers = (size_t)atoi(argv[1]);
	t.sessions = (size_t)atoi(argv[2]);
	t.rounds = (unsigned)atoi(argv[3]);
	t.roots = argc > 5 ? json_array() : NULL;
	_cleanup_(xfreep) char *path = xasprintf("%s/store.db", argv[4]);
	clock_begin();
	t.loop = loop_new();
	t.bus = bus_new(t.loop);
	bus_set_node(t.bus, NODE);
	config_begin();
	host_begin(argv[4]);
	if (t.roots) {
		_cleanup_(xfreep) char *text = doc_text(t.roots);
		puts(text);
		fflush(stdout);
		if (!fgets(line, sizeof line, stdin))
			fail("no line of input");
	}
	t.store = store_open_embedded(t.loop, &(struct store_options){ path, 100000, 30000, 0 }, opened, NULL);
	loop_run(t.loop);
	measure();
	servers_end();
	return 0;
}
