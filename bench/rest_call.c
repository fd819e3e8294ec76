/* The cost of a call over REST: bus_call to a role in another process, with token, request id and deadline, on one core each.
 *   rest_call PORT SECONDS IN_FLIGHT SERVE_CPU ASK_CPU
 * Prints calls per second, microseconds of CPU for each call on both sides, and the median and 99th percentile of a call in ms. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/api.h"
#include "app/settings/options.h"
#include "bus/rest.h"
#include "lucid/clock.h"
#include "net/listen.h"
#include "roles/contract/contract.h"
#include "sys/log.h"

#define SECRET "a secret of more than thirty-two bytes"
#define SAMPLES 4000000

extern const struct role role_rdp_server_manager;
static const struct role *const roles[] = { &role_rdp_server_manager, NULL };

static struct loop *loop;
static struct bus *bus;
static struct token_keys *keys;
static const struct op *op;
static int64_t end_us;
static uint32_t *took_us;
static size_t answers, under_way;

struct asking {
	int64_t began_us;
};

static void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof set, &set);
}

static double cpu_us(int who)
{
	struct rusage u;
	getrusage(who, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void make_common(void)
{
	loop = loop_new();
	bus = bus_new(loop);
	op = op_find("rdp.servers.get");
	keys = token_keys_new(&(struct token_options){ .secret = SECRET, .issuer = "", .audience = "", .lifetime_s = 60 });
}

/* --- server */

static void handle(struct call *c, void *doc)
{
	call_set_version(c, 1);
	call_ok(c, json_incref(doc));
}

static void serve(int port, int cpu)
{
	static const char *const set[] = { "RATE_LIMIT_ENABLED=false", "JWT_SECRET=" SECRET, "AUDIT_LOG=false", NULL };
	struct strbuf faults = { 0 }, warnings = { 0 };
	char *const no_env[] = { NULL };
	char why[256];
	int fd;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(cpu);
	make_common();
	struct config *config = config_load(options(), options_n(), &(struct config_input){ .env = no_env, .set = set }, &faults, &warnings);
	if (!config || listen_tcp("127.0.0.1", port, &fd, why, sizeof why) < 0) {
		fprintf(stderr, "rest_call: %s\n", config ? why : faults.s);
		exit(1);
	}
	json_t *doc = json_pack("{s:s, s:s, s:i, s:i}", "server_id", "2f1d4c1e-0000-4000-8000-000000000001", "status", "running", "port", 13389, "version", 1);
	bus_serve(bus, op, handle, doc);
	struct api *api = api_new(&(struct api_env){ .loop = loop, .bus = bus, .config = config, .keys = keys, .roles = roles, .all_roles = roles });
	if (api_listen(api, fd, roles[0]) < 0)
		exit(1);
	loop_run(loop);
}

/* --- caller */

static void ask(struct asking *a);

static void done(const struct reply *r, void *arg)
{
	struct asking *a = arg;
	int64_t now = clock_mono_us();
	under_way--;
	if (r->err) {
		fprintf(stderr, "rest_call: %s\n", r->message);
		exit(1);
	}
	if (answers < SAMPLES)
		took_us[answers++] = (uint32_t)(now - a->began_us);
	if (now < end_us)
		ask(a);
	else if (!under_way)
		loop_stop(loop);
}

static void ask(struct asking *a)
{
	a->began_us = clock_mono_us();
	under_way++;
	bus_call(bus, &(struct call_args){ .op = op, .params = { "2f1d4c1e-0000-4000-8000-000000000001" }, .request_id = "bench" }, done, a);
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void run(double seconds, struct asking *all, size_t n)
{
	answers = 0;
	end_us = clock_mono_us() + (int64_t)(seconds * 1e6);
	for (size_t i = 0; i < n; i++)
		ask(&all[i]);
	loop_run(loop);
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "usage: rest_call PORT SECONDS IN_FLIGHT SERVE_CPU ASK_CPU\n");
		return 2;
	}
	int port = atoi(argv[1]);
	double seconds = atof(argv[2]);
	size_t n = (size_t)MAX(1, atoi(argv[3]));
	char url[64];
	log_set_level(LOG_WARN_);
	pid_t pid = fork();
	if (pid == 0)
		serve(port, atoi(argv[4]));
	usleep(300000);
	pin(atoi(argv[5]));
	make_common();
	snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
	struct rest *rest = rest_new(loop, http_client_new(loop, 2048), service_token_new(keys), url);
	bus_route(bus, op->role, rest_transport(rest));
	took_us = xcalloc(SAMPLES, sizeof *took_us);
	struct asking *all = xcalloc(n, sizeof *all);
	run(0.3, all, n);
	double before = cpu_us(RUSAGE_SELF), began = (double)clock_mono_us();
	run(seconds, all, n);
	double own = cpu_us(RUSAGE_SELF) - before, lasted = ((double)clock_mono_us() - began) / 1e6;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	qsort(took_us, answers, sizeof *took_us, by_value);
	printf("calls_per_s %.0f\nask_us %.2f\nserve_us %.2f\np50_ms %.3f\np99_ms %.3f\n", (double)answers / lasted, own / (double)answers,
	       cpu_us(RUSAGE_CHILDREN) / (double)answers, took_us[answers / 2] / 1e3, took_us[answers * 99 / 100] / 1e3);
	return 0;
}
