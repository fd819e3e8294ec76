/* What src/host reads from the kernel and from files, without an instance: /proc, sock_diag, logs, X authority. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/unix_diag.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/host.h"
#include "host/observe/logs.h"
#include "host/kernel/proc.h"
#include "host/kernel/sock_diag.h"
#include "host/desktop/xprobe.h"
#include "lucid/clock.h"
#include "lucid/str.h"

/* --- /proc */

static void test_stat_text(UNUSED void **state)
{
	struct proc_stat s;
	const char *odd = "1234 (a) R 1 (x) S 77 1 1 0 -1 4194560 1 2 3 4 50 25 7 8 20 0 1 0 987654 1000000 33 18446744073709551615";
	assert_true(proc_parse_stat(odd, &s));
	assert_int_equal(s.pid, 1234);
	assert_string_equal(s.comm, "a) R 1 (x");
	assert_int_equal(s.state, 'S');
	assert_int_equal(s.ppid, 77);
	assert_int_equal(s.cpu_ticks, 75);
	assert_int_equal(s.start_ticks, 987654);
	assert_int_equal(s.rss_bytes, 33 * sysconf(_SC_PAGESIZE));
	assert_false(proc_parse_stat("", &s));
	assert_false(proc_parse_stat("12 (cut", &s));
	assert_false(proc_parse_stat("12 (cut) S 1 2 3", &s));
	assert_false(proc_parse_stat(")(", &s));
}

static void test_own_process(UNUSED void **state)
{
	struct proc_stat s;
	uid_t uid;
	assert_true(proc_stat(getpid(), &s));
	assert_int_equal(s.ppid, getppid());
	assert_true(proc_alive(getpid(), s.start_ticks));
	assert_false(proc_alive(getpid(), s.start_ticks + 1));
	assert_true(proc_uid(getpid(), &uid, NULL));
	assert_int_equal(uid, geteuid());
	int64_t age = clock_wall_ms() - proc_start_wall_ms(s.start_ticks);
	assert_true(age > -2000 && age < 24 * 3600 * 1000LL);
	assert_false(proc_stat(0, &s));
	assert_false(proc_stat(-1, &s));
}

static void test_zombie_is_gone(UNUSED void **state)
{
	int fds[2];
	char c;
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	close(fds[1]);
	assert_int_equal(read(fds[0], &c, 1), 0); /* the child has closed it: it is dead or dying */
	close(fds[0]);
	siginfo_t si;
	assert_int_equal(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0);
	assert_false(proc_alive(pid, 0));
	waitpid(pid, NULL, 0);
	assert_false(proc_alive(pid, 0));
}

#define ARGS(s) s, sizeof(s)

static void test_x_server_arguments(UNUSED void **state)
{
	int display = 0;
	bool vnc = true;
	static const char xorg[] = "/usr/lib/xorg/Xorg\0:11\0-auth\0.Xauthority\0-config\0xrdp/xorg.conf";
	assert_true(proc_is_x_server(ARGS(xorg), &display, &vnc));
	assert_int_equal(display, 11);
	assert_false(vnc);
	assert_string_equal(proc_arg_after(ARGS(xorg), "-auth"), ".Xauthority");
	assert_null(proc_arg_after(ARGS(xorg), "-geometry"));
	assert_null(proc_arg_after(ARGS("Xorg\0-auth"), "-auth"));
	static const char xvnc[] = "Xvnc\0:12\0-geometry\0800x600";
	assert_true(proc_is_x_server(ARGS(xvnc), &display, &vnc));
	assert_int_equal(display, 12);
	assert_true(vnc);
	static const char other[] = "vim\0Xorg\0:11";
	assert_false(proc_is_x_server(ARGS(other), &display, &vnc));
	assert_false(proc_is_x_server(ARGS("Xorg\0:x\0:99999999"), &display, &vnc));
	assert_false(proc_is_x_server("", 0, &display, &vnc));
}

static void test_keyed_numbers(UNUSED void **state)
{
	const char *text = "MemTotal:       16384 kB\nMemFree:\t 12 kB\npgfault 99\n";
	assert_int_equal(proc_keyed_number(text, "MemTotal:"), 16384);
	assert_int_equal(proc_keyed_number(text, "MemFree:"), 12);
	assert_int_equal(proc_keyed_number(text, "pgfault"), 99);
	assert_int_equal(proc_keyed_number(text, "pgfaul"), -1);
	assert_int_equal(proc_keyed_number("", "x"), -1);
}

/* --- sock_diag */

static int listen_on(int family, uint16_t *ret_port)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *a = family == AF_INET6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4;
	socklen_t len = family == AF_INET6 ? sizeof a6 : sizeof a4;
	assert_true(fd >= 0);
	if (bind(fd, a, len) < 0) {
		close(fd);
		return -1;
	}
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, a, &len), 0);
	*ret_port = ntohs(family == AF_INET6 ? a6.sin6_port : a4.sin_port);
	return fd;
}

static bool is_inode(uint64_t inode, void *arg)
{
	uint64_t *want = arg;
	if (inode == *want)
		*want = 0;
	return *want != 0;
}

static void see_one_connection(int family)
{
	uint16_t port;
	int server = listen_on(family, &port), client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server < 0) {
		close(client);
		skip(); /* no IPv6 here */
	}
	struct sockaddr_storage a;
	socklen_t len = sizeof a;
	struct tcp_sock s[4];
	char buf[700] = "hello";
	assert_int_equal(getsockname(server, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(sock_diag_tcp(port, port, s, 4), 0); /* it listens; that is no connection */
	assert_int_equal(connect(client, (struct sockaddr *)&a, len), 0);
	int peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(write(client, buf, 700), 700);
	assert_int_equal(write(peer, buf, 300), 300);
	assert_int_equal(recv(client, buf, 300, MSG_WAITALL), 300);
	assert_int_equal(recv(peer, buf, 700, MSG_WAITALL), 700);
	assert_int_equal(sock_diag_tcp(port, port, s, 4), 1);
	assert_int_equal(s[0].local_port, port);
	assert_string_equal(s[0].peer, family == AF_INET6 ? "::1" : "127.0.0.1");
	assert_true(s[0].local);
	assert_int_equal(s[0].state, 1);
	assert_int_equal(s[0].bytes_in, 700);
	assert_int_equal(s[0].bytes_out, 300);
	assert_true(s[0].rtt_us > 0 && s[0].rtt_us < 60000000);
	struct stat st;
	assert_int_equal(fstat(peer, &st), 0);
	assert_int_equal(s[0].inode, st.st_ino);
	uint64_t cookie = s[0].cookie, inode = s[0].inode;
	assert_true(cookie != 0);
	proc_socket_inodes(getpid(), is_inode, &inode);
	assert_int_equal(inode, 0); /* found among this process's own */
	close(client);
	assert_int_equal(read(peer, buf, 1), 0);
	assert_int_equal(sock_diag_tcp(port, port, s, 4), 1);
	assert_int_equal(s[0].state, 8); /* CLOSE_WAIT */
	assert_int_equal(s[0].cookie, cookie);
	close(peer);
	close(server);
}

static void test_tcp4(UNUSED void **state)
{
	see_one_connection(AF_INET);
}

static void test_tcp6(UNUSED void **state)
{
	see_one_connection(AF_INET6);
}

static void test_port_bounds(UNUSED void **state)
{
	uint16_t port;
	int server = listen_on(AF_INET, &port), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a;
	socklen_t len = sizeof a;
	struct tcp_sock s[64];
	getsockname(server, (struct sockaddr *)&a, &len);
	assert_int_equal(connect(client, (struct sockaddr *)&a, len), 0);
	int peer = accept4(server, NULL, NULL, SOCK_CLOEXEC), n = sock_diag_tcp(1, port, s, 64), hits = 0;
	bool full = n == 64; /* so many others of this machine */
	for (int i = 0; i < n; i++) {
		assert_true(s[i].local_port <= port);
		hits += s[i].local_port == port;
	}
	n = sock_diag_tcp((uint16_t)(port + 1), 65535, s, 64);
	for (int i = 0; i < n; i++)
		assert_true(s[i].local_port > port);
	assert_true(hits == 1 || full);
	close(client);
	close(peer);
	close(server);
}

static void test_unix_names(UNUSED void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	snprintf(a.sun_path, sizeof a.sun_path, "/tmp/lrdp-%d/xrdp_display_77", (int)getpid());
	char dir[64];
	snprintf(dir, sizeof dir, "/tmp/lrdp-%d", (int)getpid());
	assert_int_equal(mkdir(dir, 0700), 0);
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(server, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&a, sizeof a), 0);
	int peer = accept(server, NULL, NULL);
	struct stat st, st_peer;
	fstat(client, &st);
	fstat(peer, &st_peer);
	size_t max = 16384;
	struct unix_sock *s = xcalloc(max, sizeof *s);
	int n = sock_diag_unix(s, max), found = 0;
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		if (s[i].inode == st.st_ino)
			found += s[i].peer == st_peer.st_ino;
		if (s[i].inode == st_peer.st_ino)
			found += str_eq(s[i].name, a.sun_path);
	}
	assert_int_equal(found, 2);
	free(s);
	close(client);
	close(peer);
	close(server);
	unlink(a.sun_path);
	rmdir(dir);
}

static void test_bad_rows(UNUSED void **state)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_msg m;
		struct nlattr a;
		char data[16];
	} row = { .h = { .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_len = sizeof row } };
	struct tcp_sock s;
	struct unix_sock u;
	row.m.idiag_family = AF_INET;
	row.m.idiag_inode = 5;
	row.a = (struct nlattr){ .nla_len = 4000, .nla_type = INET_DIAG_INFO }; /* longer than the row */
	assert_true(sock_diag_parse_tcp(&row.h, &s));
	assert_int_equal(s.bytes_in, 0);
	assert_int_equal(s.rtt_us, 0);
	row.a.nla_len = 0; /* must not cause an endless loop */
	assert_true(sock_diag_parse_tcp(&row.h, &s));
	row.m.idiag_inode = 0;
	assert_false(sock_diag_parse_tcp(&row.h, &s));
	row.m.idiag_inode = 5;
	row.h.nlmsg_len = 20;
	assert_false(sock_diag_parse_tcp(&row.h, &s));
	assert_false(sock_diag_parse_unix(&(struct nlmsghdr){ .nlmsg_len = sizeof(struct nlmsghdr) }, &u));
	static const unsigned char mapped[16] = { [10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 7 };
	row.h.nlmsg_len = NLMSG_LENGTH(sizeof row.m);
	row.m.idiag_family = AF_INET6;
	memcpy(row.m.id.idiag_dst, mapped, sizeof mapped);
	assert_true(sock_diag_parse_tcp(&row.h, &s));
	assert_string_equal(s.peer, "192.0.2.7");
	assert_false(s.local);
}

/* --- logs */

static void put(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

static const char *line_at(const json_t *list, size_t i)
{
	return json_string_value(json_array_get(list, i));
}

static void test_logs(UNUSED void **state)
{
	char a[64], b[64];
	snprintf(a, sizeof a, "/tmp/lrdp-log-%d-a", (int)getpid());
	snprintf(b, sizeof b, "/tmp/lrdp-log-%d-b", (int)getpid());
	static const char one[] = "[20261121-10:00:00] [INFO ] first\n[20261121-10:00:02] [WARN ] third\nmore of third\n"
				  "[20261121-10:00:04] [INFO ] \x1b[31mred\x07\r\n";
	static const char two[] = "[20261121-10:00:01] [INFO ] second\n[20261121-10:00:03] [ERROR] fourth \xff end";
	put(a, one, sizeof one - 1);
	put(b, two, sizeof two - 1);
	const struct logs_file files[] = { { a, "xrdp" }, { "/nowhere/at/all", "sesman" }, { b, "desktops" } };
	json_t *o = logs_newest(files, 3, 100), *l = json_object_get(o, "lines");
	_cleanup_(doc_unrefp) json_t *sources = json_pack("[s,s,s,s,s,s]", "xrdp", "desktops", "xrdp", "xrdp", "desktops", "xrdp");
	assert_true(json_equal(json_object_get(o, "sources"), sources));
	assert_int_equal(json_array_size(l), 6);
	assert_non_null(strstr(line_at(l, 0), "first"));
	assert_non_null(strstr(line_at(l, 1), "second"));
	assert_non_null(strstr(line_at(l, 2), "third"));
	assert_string_equal(line_at(l, 3), "more of third");
	assert_string_equal(line_at(l, 4), "[20261121-10:00:03] [ERROR] fourth ? end");
	assert_string_equal(line_at(l, 5), "[20261121-10:00:04] [INFO ] ?[31mred?");
	json_decref(o);
	o = logs_newest(files, 3, 2);
	l = json_object_get(o, "lines");
	assert_int_equal(json_array_size(l), 2);
	assert_non_null(strstr(line_at(l, 0), "fourth"));
	json_decref(o);
	unlink(b);
	assert_int_equal(symlink(a, b), 0); /* a symbolic link is not followed */
	o = logs_newest(&files[2], 1, 10);
	l = json_object_get(o, "lines");
	assert_int_equal(json_array_size(l), 0);
	json_decref(o);
	unlink(a);
	unlink(b);
}

static void test_logs_bounded(UNUSED void **state)
{
	char a[64];
	snprintf(a, sizeof a, "/tmp/lrdp-log-%d-c", (int)getpid());
	FILE *f = fopen(a, "w");
	for (int i = 0; i < 40000; i++)
		fprintf(f, "[20261121-10:00:00] [INFO ] line %06d of many\n", i);
	fprintf(f, "%.*s", 10, "unfinished");
	fclose(f);
	const struct logs_file file = { a, "xrdp" };
	json_t *o = logs_newest(&file, 1, 5000), *l = json_object_get(o, "lines");
	assert_int_equal(json_array_size(l), 5000);
	assert_string_equal(line_at(l, 4999), "unfinished");
	assert_string_equal(line_at(l, 4998), "[20261121-10:00:00] [INFO ] line 039999 of many");
	json_decref(o);
	o = logs_newest(&file, 1, 40000);
	l = json_object_get(o, "lines");
	assert_true(json_array_size(l) < 40000); /* only the end of the file is read */
	assert_true(str_starts(line_at(l, 0), "[20261121")); /* and no partial line is shown */
	json_decref(o);
	f = fopen(a, "w");
	for (int i = 0; i < 100000; i++)
		fputc('x', f);
	fclose(f);
	o = logs_newest(&file, 1, 10);
	l = json_object_get(o, "lines");
	assert_int_equal(json_array_size(l), 1);
	assert_int_equal(strlen(line_at(l, 0)), LOGS_LINE_MAX);
	json_decref(o);
	unlink(a);
}

/* --- X */

static size_t entry(unsigned char *p, const char *display, const char *name, const char *data, size_t data_len)
{
	const char *part[] = { "host", display, name, data };
	size_t len[] = { 4, strlen(display), strlen(name), data_len }, at = 2;
	p[0] = 1;
	p[1] = 0;
	for (size_t i = 0; i < 4; i++) {
		p[at++] = (unsigned char)(len[i] >> 8);
		p[at++] = (unsigned char)len[i];
		memcpy(p + at, part[i], len[i]);
		at += len[i];
	}
	return at;
}

static void test_cookie(UNUSED void **state)
{
	unsigned char text[512], cookie[XPROBE_COOKIE];
	size_t len = entry(text, "10", "MIT-MAGIC-COOKIE-1", "aaaaaaaaaaaaaaaa", 16);
	len += entry(text + len, "11", "XDM-AUTHORIZATION-1", "bbbbbbbbbbbbbbbb", 16);
	len += entry(text + len, "11", "MIT-MAGIC-COOKIE-1", "cccccccccccccccc", 16);
	len += entry(text + len, "1", "MIT-MAGIC-COOKIE-1", "short", 5);
	len += entry(text + len, "11", "MIT-MAGIC-COOKIE-1", "dddddddddddddddd", 16);
	assert_true(xprobe_find_cookie(text, len, 11, cookie));
	assert_memory_equal(cookie, "dddddddddddddddd", 16);
	assert_true(xprobe_find_cookie(text, len, 10, cookie));
	assert_memory_equal(cookie, "aaaaaaaaaaaaaaaa", 16);
	assert_false(xprobe_find_cookie(text, len, 1, cookie));
	assert_false(xprobe_find_cookie(text, len, 12, cookie));
	for (size_t cut = 0; cut < 40; cut++) {
		unsigned char *copy = xmalloc(cut);
		memcpy(copy, text, cut);
		assert_false(xprobe_find_cookie(copy, cut, 10, cookie));
		free(copy);
	}
}

static void test_root_window(UNUSED void **state)
{
	unsigned char setup[60] = { [16] = 5, [20] = 1, [21] = 2 }; /* vendor of 5 bytes, one screen, two formats */
	uint32_t root = 0;
	memcpy(setup + 32 + 8 + 16, "\x9a\x02\0\0", 4);
	assert_true(xprobe_root_window(setup, sizeof setup, &root));
	assert_int_equal(root, 0x29a);
	assert_false(xprobe_root_window(setup, 59, &root));
	assert_false(xprobe_root_window(setup, 10, &root));
	setup[20] = 0;
	assert_false(xprobe_root_window(setup, sizeof setup, &root));
}

/* --- the hook's program lets every login through */

static void test_hook_without_supervisor(UNUSED void **state)
{
	char path[] = "/nowhere/hook.sock";
	char *none[] = { NULL }, *away[] = { path, NULL };
	assert_int_equal(host_pam_hook(0, none), 0);
	setenv("PAM_TYPE", "open_session", 1);
	setenv("PAM_USER", "lrdp", 1);
	setenv("PAM_TTY", ":10", 1);
	assert_int_equal(host_pam_hook(1, away), 0);
	setenv("PAM_TYPE", "auth", 1);
	assert_int_equal(host_pam_hook(1, away), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stat_text),
		cmocka_unit_test(test_own_process),
		cmocka_unit_test(test_zombie_is_gone),
		cmocka_unit_test(test_x_server_arguments),
		cmocka_unit_test(test_keyed_numbers),
		cmocka_unit_test(test_tcp4),
		cmocka_unit_test(test_tcp6),
		cmocka_unit_test(test_port_bounds),
		cmocka_unit_test(test_unix_names),
		cmocka_unit_test(test_bad_rows),
		cmocka_unit_test(test_logs),
		cmocka_unit_test(test_logs_bounded),
		cmocka_unit_test(test_cookie),
		cmocka_unit_test(test_root_window),
		cmocka_unit_test(test_hook_without_supervisor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
