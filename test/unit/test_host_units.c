/* systemd units over a private bus, with a process on it that answers like systemd, or does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "host/system_xrdp/units.h"
#include "lucid/str.h"
#include "sys/log.h"

#define PATH "/org/freedesktop/systemd1"

/* --- an imitation of systemd: the unit's name selects what it does */

static int job(sd_bus_message *m, UNUSED void *arg, UNUSED sd_bus_error *e)
{
	static unsigned n;
	const char *unit, *mode;
	char path[64], other[64];
	sd_bus *bus = sd_bus_message_get_bus(m);
	if (sd_bus_message_read(m, "ss", &unit, &mode) < 0 || !str_eq(mode, "replace"))
		return -EINVAL;
	if (str_eq(unit, "none.service"))
		return sd_bus_reply_method_errorf(m, "org.freedesktop.systemd1.NoSuchUnit", "Unit %s not found.", unit);
	if (str_eq(unit, "mute.service"))
		return 1;
	snprintf(path, sizeof path, PATH "/job/%u", ++n);
	snprintf(other, sizeof other, PATH "/job/%u", n + 1000);
	sd_bus_reply_method_return(m, "o", path);
	const char *result = str_starts(unit, "good") ? "done" : "failed";
	sd_bus_emit_signal(bus, PATH, "org.freedesktop.systemd1.Manager", "JobRemoved", "uoss", n + 1000, other, unit, "canceled");
	if (!str_starts(unit, "slow"))
		sd_bus_emit_signal(bus, PATH, "org.freedesktop.systemd1.Manager", "JobRemoved", "uoss", n, path, unit, result);
	return 1;
}

static int hangup(sd_bus_message *m, UNUSED void *arg, UNUSED sd_bus_error *e)
{
	const char *unit, *who;
	int32_t signo;
	if (sd_bus_message_read(m, "ssi", &unit, &who, &signo) < 0 || !str_eq(who, "main") || signo != SIGHUP)
		return -EINVAL;
	return sd_bus_reply_method_return(m, "");
}

static int subscribe(sd_bus_message *m, UNUSED void *arg, UNUSED sd_bus_error *e)
{
	return sd_bus_reply_method_return(m, "");
}

static int properties(sd_bus_message *m, UNUSED void *arg, UNUSED sd_bus_error *e)
{
	if (strstr(sd_bus_message_get_path(m), "odd"))
		return sd_bus_reply_method_return(m, "a{sv}", 1, "MainPID", "s", "no number");
	return sd_bus_reply_method_return(m, "a{sv}", 8, "LoadState", "s", "loaded", "ActiveState", "s", "active", "Names", "as", 2, "a", "b",
					  "SubState", "s", "running", "MainPID", "u", 77, "ExecMainStartTimestamp", "t", (uint64_t)1700000000123456,
					  "MemoryCurrent", "t", UINT64_MAX, "Nice", "i", -3);
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("StartUnit", "ss", "o", job, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("StopUnit", "ss", "o", job, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("KillUnit", "ssi", "", hangup, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Subscribe", "", "", subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static int unit_object(sd_bus_message *m, void *arg, sd_bus_error *e)
{
	return sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "GetAll") ? properties(m, arg, e) : 0;
}

static NORETURN void serve(const char *address, int ready)
{
	sd_bus *bus;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sd_bus_new(&bus) < 0 || sd_bus_set_address(bus, address) < 0 || sd_bus_set_bus_client(bus, true) < 0 || sd_bus_start(bus) < 0 ||
	    sd_bus_add_object_vtable(bus, NULL, PATH, "org.freedesktop.systemd1.Manager", vtable, NULL) < 0 ||
	    sd_bus_add_fallback(bus, NULL, PATH "/unit", unit_object, NULL) < 0 ||
	    sd_bus_request_name(bus, "org.freedesktop.systemd1", 0) < 0 || write(ready, "r", 1) != 1)
		_exit(1);
	for (;;)
		if (sd_bus_process(bus, NULL) == 0 && sd_bus_wait(bus, UINT64_MAX) < 0)
			_exit(0);
}

/* --- the rig */

static struct {
	char dir[64], address[128];
	pid_t bus, systemd;
	struct loop *loop;
	struct units *units;
	unsigned answers;
	char fault[400];
	struct unit_state state;
} t;

static pid_t start_bus(void)
{
	_cleanup_(xfreep) char *address = xasprintf("--address=%s", t.address);
	int out[2];
	char c;
	assert_int_equal(pipe(out), 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], 1);
		execlp("dbus-daemon", "dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1", address, NULL);
		_exit(127);
	}
	close(out[1]);
	assert_int_equal(read(out[0], &c, 1), 1); /* it prints its address when it listens */
	close(out[0]);
	return pid;
}

static void end(pid_t *pid)
{
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

static int set_up(void **state)
{
	int ready[2];
	char c;
	log_set_level(LOG_ERROR_);
	memset(&t, 0, sizeof t);
	strcpy(t.dir, "/tmp/lrdp-units-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	snprintf(t.address, sizeof t.address, "unix:path=%s/bus", t.dir);
	t.bus = start_bus();
	assert_int_equal(pipe(ready), 0);
	t.systemd = fork();
	if (t.systemd == 0)
		serve(t.address, ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	t.loop = loop_new();
	t.units = units_new(t.loop, t.address);
	return 0;
}

static int tear_down(void **state)
{
	units_free(t.units);
	loop_free(t.loop);
	if (t.systemd)
		end(&t.systemd);
	if (t.bus)
		end(&t.bus);
	_cleanup_(xfreep) char *path = xasprintf("%s/bus", t.dir);
	unlink(path);
	rmdir(t.dir);
	return 0;
}

static void on_done(UNUSED void *arg, const char *fault)
{
	t.answers++;
	snprintf(t.fault, sizeof t.fault, "%s", fault ? fault : "");
	loop_stop(t.loop);
}

static void on_seen(void *arg, const struct unit_state *s, const char *fault)
{
	if (s)
		t.state = *s;
	assert_int_equal(s == NULL, fault != NULL);
	on_done(arg, fault);
}

static const char *answer(void)
{
	loop_run(t.loop);
	return t.fault;
}

static const char *act(const char *unit, enum unit_verb verb)
{
	units_do(t.units, unit, verb, 5000, on_done, NULL);
	assert_int_equal(t.answers, 0); /* never within the call */
	answer();
	assert_int_equal(t.answers, 1);
	t.answers = 0;
	return t.fault;
}

static void test_jobs(void **state)
{
	assert_string_equal(act("good.service", UNIT_START), "");
	assert_string_equal(act("good.service", UNIT_STOP), "");
	assert_string_equal(act("good.service", UNIT_HANGUP), "");
	assert_string_equal(act("bad.service", UNIT_START),
			    "systemd could not start bad.service (failed); journalctl -u bad.service has the reason");
	assert_string_equal(act("none.service", UNIT_STOP), "systemd refused to stop none.service: Unit none.service not found.");
}

static void test_many_at_once(void **state)
{
	for (unsigned n = 0; n < 200; n++)
		units_do(t.units, "good.service", UNIT_START, 5000, on_done, NULL);
	unsigned refused = 0, done = 0;
	while (t.answers < 200) {
		unsigned before = t.answers;
		answer();
		assert_true(t.answers > before);
		*(t.fault[0] ? &refused : &done) += 1;
	}
	assert_true(done > 0 && refused > 0); /* the number is bounded */
	t.answers = 0;
	assert_string_equal(act("good.service", UNIT_START), "");
}

static void test_look(void **state)
{
	units_look(t.units, "some.service", 5000, on_seen, NULL);
	assert_string_equal(answer(), "");
	assert_true(t.state.loaded);
	assert_string_equal(t.state.active, "active");
	assert_string_equal(t.state.sub, "running");
	assert_int_equal(t.state.pid, 77);
	assert_int_equal(t.state.since_ms, 1700000000123);
	assert_int_equal(t.state.memory_bytes, -1);
	units_look(t.units, "odd.service", 5000, on_seen, NULL);
	assert_string_equal(answer(), "systemd sent an unexpected answer about odd.service");
}

static void test_silence_and_loss(void **state)
{
	units_do(t.units, "mute.service", UNIT_START, 50, on_done, NULL);
	assert_non_null(strstr(answer(), "did not finish with mute.service in time"));
	units_do(t.units, "slow.service", UNIT_START, 50, on_done, NULL);
	assert_non_null(strstr(answer(), "did not finish with slow.service in time"));
	/* the bus ends during a job */
	units_do(t.units, "slow.service", UNIT_START, 60000, on_done, NULL);
	units_do(t.units, "good.service", UNIT_START, 5000, on_done, NULL);
	assert_string_equal(answer(), "");
	end(&t.bus);
	assert_non_null(strstr(answer(), "was lost"));
	t.answers = 0;
	assert_non_null(strstr(act("good.service", UNIT_START), "systemd is unreachable over D-Bus"));
	end(&t.systemd);
	/* a bus without systemd */
	_cleanup_(xfreep) char *path = xasprintf("%s/bus", t.dir);
	unlink(path);
	t.bus = start_bus();
	assert_non_null(strstr(act("good.service", UNIT_START), "systemd refused to start good.service: "));
}

static void test_answers_after_the_caller_has_gone(void **state)
{
	units_cancel(NULL);
	units_cancel(units_do(t.units, "good.service", UNIT_START, 5000, on_done, NULL));
	assert_string_equal(act("good.service", UNIT_STOP), "");
	units_look(t.units, "some.service", 5000, on_seen, NULL);
	units_do(t.units, "slow.service", UNIT_START, 5000, on_done, NULL);
	units_free(t.units);
	t.units = NULL;
	assert_int_equal(t.answers, 2);
	assert_string_equal(t.fault, "the program is stopping");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_jobs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_look, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_silence_and_loss, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_answers_after_the_caller_has_gone, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
