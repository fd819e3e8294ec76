/* Without the right to create mount namespaces: an xrdp with its own ini uses the host's sesman, and the API reports that. The program drops
 * CAP_SYS_ADMIN first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/core.h"
#include "host/host.h"
#include "host/kernel/fs.h"
#include "host/instance/instance.h"
#include "host/kernel/port.h"
#include "lucid/str.h"
#include "sys/child/process.h"

static char dir[64];
static struct loop *loop;
static struct host *host;
static int got_err;
static json_t *got;

static void on_done(void *arg, int err, const char *message, json_t *consume_out)
{
	got_err = err;
	got = consume_out;
	loop_stop(loop);
}

static void ask(const char *op, json_t *in)
{
	json_decref(got);
	got = NULL;
	for (size_t n = 0; n < host_entries_n; n++)
		if (str_eq(host_entries[n].op, op))
			host_entries[n].fn(host, in, on_done, NULL);
	loop_run(loop);
	json_decref(in);
}

static bool drop_sys_admin(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	if (syscall(SYS_capget, &head, data) < 0)
		return false;
	data[0].effective &= ~(1U << CAP_SYS_ADMIN);
	data[0].permitted &= ~(1U << CAP_SYS_ADMIN);
	data[0].inheritable &= ~(1U << CAP_SYS_ADMIN);
	return syscall(SYS_capset, &head, data) == 0;
}

static void test_shared(void **state)
{
	char id[ID_UUID_SIZE];
	int port = 15000 + getpid() % 5000;
	id_uuid(id);
	while (!port_is_free(port))
		port++;
	if (access("/run/xrdp/xrdp.pid", F_OK) == 0)
		skip(); /* xrdp refuses to start next to the host's own in the same namespace */
	assert_false(host->can_isolate);
	ask("host.info", json_object());
	assert_string_equal(doc_str(got, "isolation", ""), "shared");
	ask("host.instance.start",
	    json_pack("{s:{s:s,s:s,s:i},s:b}", "spec", "server_id", id, "name", "n", "port", port, "replace", 0));
	assert_int_equal(got_err, 0);
	assert_string_equal(doc_str(got, "status", ""), "running");
	assert_string_equal(doc_str(got, "isolation", ""), "shared");
	assert_true(json_is_null(doc_get(got, "pids.sesman")));
	pid_t xrdp = (pid_t)json_integer_value(doc_get(got, "pids.xrdp"));
	assert_true(proc_start(xrdp) != 0);
	assert_false(port_is_free(port));
	ask("host.instance.stop", json_pack("{s:s,s:b,s:b}", "server_id", id, "force", 1, "remove", 1));
	assert_int_equal(got_err, 0);
	assert_int_equal(proc_start(xrdp), 0);
	assert_true(port_is_free(port));
	_cleanup_(xfreep) char *own = xasprintf("%s/data/xrdp/servers/%s", dir, id);
	assert_int_equal(access(own, F_OK), -1);
	json_decref(got);
	got = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_shared) };
	snprintf(dir, sizeof dir, "/tmp/lrdp-shared-%d", getpid());
	if (!drop_sys_admin() || fs_mkdirs(dir, 0755) < 0)
		return 1;
	_cleanup_(xfreep) char *data = xasprintf("%s/data", dir), *logs = xasprintf("%s/log", dir),
			       *run = xasprintf("%s/run", dir);
	const struct host_settings s = {
		.data_dir = data, .log_dir = logs, .runtime_dir = run, .program = "/bin/true"
	};
	loop = loop_new();
	host = host_new_with(loop, &s, NULL, NULL);
	host_adopt(host);
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	host_free(host);
	loop_free(loop);
	fs_remove_tree(dir);
	return r;
}
