/* target: which hosts the list allows, what an RDP server answers, and each outcome of a probe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/lib/loop_rig.h"
#include "lucid/clock.h"
#include "lucid/str.h"
#include "lucid/target.h"
#include "rdp/x224.h"

/* --- the list */

static struct target_list *list_of(const char *items)
{
	char why[TARGET_WHY_SIZE], text[1024];
	const char *item[32] = { NULL };
	size_t n = 0;
	assert_true(str_copy(text, sizeof text, items));
	for (char *rest = text, *one; (one = strsep(&rest, " "));)
		if (*one)
			item[n++] = one;
	struct target_list *t = target_list_new(item, why, sizeof why);
	if (!t)
		fail_msg("%s", why);
	return t;
}

/* addresses: separated by blanks. */
static bool allows(const char *items, const char *host, const char *addresses)
{
	char all[16][TARGET_ADDRESS_SIZE], text[1024];
	size_t n = 0;
	struct target_list *t = list_of(items);
	assert_true(str_copy(text, sizeof text, addresses));
	for (char *rest = text, *one; (one = strsep(&rest, " "));)
		if (*one)
			assert_true(str_copy(all[n++], sizeof all[0], one));
	bool ret = target_list_allows(t, host, (const char(*)[TARGET_ADDRESS_SIZE])all, n, NULL);
	target_list_free(t);
	return ret;
}

struct wanted {
	const char *items, *host, *addresses;
};

static void targets_in_the_list_are_allowed(void **state)
{
	static const struct wanted good[] = {
		{ "10.1.2.3", "10.1.2.3", "10.1.2.3" },
		{ "10.1.2.3", "::ffff:10.1.2.3", "::ffff:10.1.2.3" },
		{ "::ffff:10.1.0.0/112", "10.1.2.3", "10.1.2.3" },
		{ "10.0.0.0/8", "10.255.255.255", "10.255.255.255" },
		{ "0.0.0.0/0", "8.8.8.8", "8.8.8.8" },
		{ "2001:db8::/32", "2001:db8:ffff::1", "2001:db8:ffff::1" },
		{ "2001:db8::/32", "[2001:DB8::1]", "2001:db8::1" },
		{ "::/0", "2001:db8::1", "2001:db8::1" },
		{ "win.example.org", "win.example.org", "203.0.113.5 2001:db8::5" },
		{ "win.example.org", "WIN.Example.ORG.", "203.0.113.5" },
		{ "Win.Example.Org", "win.example.org", "203.0.113.5" },
		{ "*.example.org", "a.b.example.org", "203.0.113.5" },
		{ "10.0.0.0/8", "any.name", "10.1.1.1 10.2.2.2" },
		{ "win.example.org 10.0.0.0/8", "win.example.org", "10.1.1.1 203.0.113.5" },
		{ "127.0.0.1", "127.0.0.1", "127.0.0.1" },
		{ "127.0.0.0/8", "127.3.3.3", "127.3.3.3" },
		{ "::1", "::1", "::1" },
		{ "169.254.0.0/16", "169.254.7.7", "169.254.7.7" },
		{ "169.254.169.254", "169.254.169.254", "169.254.169.254" },
		{ "fe80::/64", "fe80::1", "fe80::1" },
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!allows(good[i].items, good[i].host, good[i].addresses))
			fail_msg("[%s] should allow %s (%s)", good[i].items, good[i].host, good[i].addresses);
}

static void other_targets_are_refused(void **state)
{
	static const struct wanted bad[] = {
		{ "", "10.1.2.3", "10.1.2.3" },
		{ "10.1.2.3", "10.1.2.4", "10.1.2.4" },
		{ "10.0.0.0/8", "11.0.0.1", "11.0.0.1" },
		{ "10.0.0.0/9", "10.128.0.1", "10.128.0.1" },
		{ "::/0", "10.1.2.3", "10.1.2.3" },
		{ "0.0.0.0/0", "2001:db8::1", "2001:db8::1" },
		{ "win.example.org", "example.org", "203.0.113.5" },
		{ "win.example.org", "awin.example.org", "203.0.113.5" },
		{ "win.example.org", "win.example.org.evil.net", "203.0.113.5" },
		{ "*.example.org", "example.org", "203.0.113.5" },
		{ "*.example.org", "badexample.org", "203.0.113.5" },
		{ "win.example.org", "203.0.113.5", "203.0.113.5" },
		{ "10.0.0.0/8", "any.name", "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (allows(bad[i].items, bad[i].host, bad[i].addresses))
			fail_msg("[%s] should not allow %s (%s)", bad[i].items, bad[i].host, bad[i].addresses);
}

/* A name that somebody else controls must not lead to an address that the list does not have (DNS rebinding). */
static void each_address_of_a_name_is_checked(void **state)
{
	static const char *const inner[] = { "127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "::", "::ffff:127.0.0.1", "fe80::1", "224.0.0.1", "255.255.255.255",
					     "64:ff9b::7f00:1", "2002:7f00:1::1", "::127.0.0.1", "100.100.100.200", "fd00:ec2::254", "168.63.129.16" };
	for (size_t i = 0; i < ARRAY_LEN(inner); i++) {
		char mixed[128];
		snprintf(mixed, sizeof mixed, "203.0.113.5 %s", inner[i]);
		if (allows("win.example.org 203.0.113.0/24", "win.example.org", mixed) || allows("win.example.org", "win.example.org", inner[i]))
			fail_msg("a name must not lead to %s", inner[i]);
		if (allows("0.0.0.0/0 ::/0", inner[i], inner[i]))
			fail_msg("0.0.0.0/0 and ::/0 must not allow %s", inner[i]);
	}
	assert_false(allows("10.0.0.0/8", "any.name", "10.1.1.1 11.1.1.1"));
	assert_false(allows("169.254.0.0/16", "169.254.169.254", "169.254.169.254")); /* the metadata service has to be named itself */
	struct target_list *t = list_of("10.0.0.0/8");
	static const char both[2][TARGET_ADDRESS_SIZE] = { "10.1.1.1", "11.1.1.1" };
	size_t at = 9;
	assert_false(target_list_allows(t, "any.name", both, 2, &at));
	assert_int_equal(at, 1);
	target_list_free(t);
}

static void hosts_in_unusual_forms_are_refused(void **state)
{
	static const char *const hosts[] = { "", ".", "127.1", "0x7f.1", "2130706433", "017700000001", "10.1.2.3:3389", "fe80::1%lo", "[10.1.2.3]", "[]", "[::1",
					     "a b", "a/b", "a\nb", "-a.b", "a..b", ".a", "a@b", "user:pw@host", "http://host", "höst", "%31" };
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		if (allows("0.0.0.0/0 ::/0", hosts[i], "203.0.113.5"))
			fail_msg("\"%s\" should be refused", hosts[i]);
	char longest[256];
	memset(longest, 'a', sizeof longest);
	longest[255] = 0;
	assert_false(allows("0.0.0.0/0", longest, "203.0.113.5"));
}

static void invalid_items_are_named_with_a_reason(void **state)
{
	static const char *const bad[][2] = {
		{ "10.0.0.0/33", "from 0 to 32" },
		{ "10.0.0.0/", "from 0 to 32" },
		{ "10.0.0.0/-1", "from 0 to 32" },
		{ "10.0.0.0/8/8", "from 0 to 32" },
		{ "::/129", "from 0 to 128" },
		{ "10.0.0.1/8", "write 10.0.0.1 for the one address" },
		{ "2001:db8::1/32", "write 2001:db8::1" },
		{ "localhost", "loopback must be named by address" },
		{ "*", "allowed: addresses" },
		{ "*.*.org", "allowed: addresses" },
		{ "win*.org", "allowed: addresses" },
		{ "*.10.0.0.1", "allowed: addresses" },
		{ "10.0.0", "allowed: addresses" },
		{ "10.0.0.256", "allowed: addresses" },
		{ "win.example.org/24", "allowed: addresses" },
		{ "win.example.org:3389", "without a port" },
		{ "rdp://win.example.org", "allowed: addresses" },
		{ "fe80::1%eth0", "allowed: addresses" },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char why[TARGET_WHY_SIZE] = "";
		const char *const items[] = { "10.1.1.1", bad[i][0], NULL };
		if (target_list_new(items, why, sizeof why))
			fail_msg("\"%s\" should be refused", bad[i][0]);
		if (!strstr(why, bad[i][0]) || !strstr(why, bad[i][1]))
			fail_msg("\"%s\": %s", bad[i][0], why);
	}
}

/* --- X.224 */

static const unsigned char nla_answer[] = { 3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 0x1f, 8, 0, 2, 0, 0, 0 };

static void answers_of_rdp_servers_are_understood(void **state)
{
	static const struct {
		unsigned char type, value;
		enum target_security is;
	} good[] = { { 2, 0, TARGET_RDP }, { 2, 1, TARGET_TLS }, { 2, 2, TARGET_NLA }, { 2, 8, TARGET_NLA }, { 3, 2, TARGET_RDP }, { 3, 3, TARGET_RDP }, { 3, 6, TARGET_TLS } };
	unsigned char a[sizeof nla_answer];
	enum target_security s;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		memcpy(a, nla_answer, sizeof a);
		a[11] = good[i].type;
		a[15] = good[i].value;
		for (size_t n = 0; n < sizeof a; n++)
			assert_int_equal(x224_answer(a, n, &s), X224_MORE);
		assert_int_equal(x224_answer(a, sizeof a, &s), X224_ANSWERED);
		assert_int_equal(s, good[i].is);
	}
	/* a server without negotiation: Windows 2000 */
	static const unsigned char bare[] = { 3, 0, 0, 11, 6, 0xd0, 0, 0, 0x12, 0x34, 0 };
	assert_int_equal(x224_answer(bare, sizeof bare, &s), X224_ANSWERED);
	assert_int_equal(s, TARGET_RDP);
}

static void answers_of_other_servers_are_told_apart(void **state)
{
	static const char *const texts[] = { "SSH-2.0-OpenSSH_9.2p1\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "220 mail ESMTP\r\n", "\x15\x03\x01\x00\x02\x02\x46" };
	enum target_security s;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(x224_answer((const unsigned char *)texts[i], strlen(texts[i]), &s), X224_OTHER);
	static const struct {
		size_t at;
		unsigned char value;
	} bad[] = { { 0, 2 }, { 1, 1 }, { 2, 1 }, { 3, 7 }, { 3, 20 }, { 4, 6 }, { 5, 0xe0 }, { 11, 1 }, { 11, 4 }, { 13, 9 }, { 14, 1 }, { 15, 3 }, { 15, 16 }, { 18, 1 } };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		unsigned char a[sizeof nla_answer];
		memcpy(a, nla_answer, sizeof a);
		a[bad[i].at] = bad[i].value;
		if (x224_answer(a, sizeof a, &s) != X224_OTHER)
			fail_msg("byte %zu = %d should be refused", bad[i].at, bad[i].value);
	}
	unsigned char failed[sizeof nla_answer];
	memcpy(failed, nla_answer, sizeof failed);
	failed[11] = 3;
	failed[15] = 4; /* INCONSISTENT_FLAGS */
	assert_int_equal(x224_answer(failed, sizeof failed, &s), X224_OTHER);
}

/* --- probes, against sockets of this process */

struct rig {
	struct loop *loop;
	struct target_prober *prober;
	struct target_result last;
	size_t answers;
};

static int rig_setup(void **state)
{
	struct rig *t = XNEW(struct rig);
	t->loop = loop_new();
	t->prober = target_prober_new(t->loop);
	*state = t;
	return 0;
}

static int rig_teardown(void **state)
{
	struct rig *t = *state;
	target_prober_free(t->prober);
	loop_rig_run_ms(t->loop, 10);
	loop_free(t->loop);
	free(t);
	return 0;
}

static void on_target(const struct target_result *r, void *arg)
{
	struct rig *t = arg;
	t->last = *r;
	t->answers++;
}

static int listener(int *ret_port, int backlog)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*ret_port = ntohs(a.sin_port);
	if (backlog)
		assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static void probe_until_answer(struct rig *t, const char *host, int port)
{
	size_t before = t->answers;
	assert_non_null(target_probe(t->prober, host, port, on_target, t));
	assert_int_equal(t->answers, before); /* never from within the call */
	LOOP_RIG_UNTIL(t->loop, t->answers > before, 20000, 2);
	assert_int_equal(t->answers, before + 1);
}

struct peer {
	int fd, accepted;
	const void *answer;
	size_t len, got;
	unsigned char request[64];
	bool hang_up;
	struct loop *loop;
	struct loop_io *io;
};

/* The request has arrived: answers it. */
static void on_peer_request(UNUSED int events, void *arg)
{
	struct peer *p = arg;
	p->got = (size_t)recv(p->accepted, p->request, sizeof p->request, MSG_DONTWAIT);
	if (p->len)
		assert_int_equal(send(p->accepted, p->answer, p->len, 0), p->len);
	loop_io_set(p->io, 0);
	if (p->hang_up)
		shutdown(p->accepted, SHUT_RDWR);
}

static void on_peer(UNUSED int events, void *arg)
{
	struct peer *p = arg;
	p->accepted = accept(p->fd, NULL, NULL);
	p->io = loop_io_new(p->loop, p->accepted, LOOP_READ, on_peer_request, p);
}

static void probe_peer(struct rig *t, struct peer *p)
{
	int port;
	p->loop = t->loop;
	p->fd = listener(&port, 1);
	struct loop_io *io = loop_io_new(t->loop, p->fd, LOOP_READ, on_peer, p);
	probe_until_answer(t, "127.0.0.1", port);
	loop_io_free(io);
	loop_io_free(p->io);
	close(p->accepted);
	close(p->fd);
}

static void allow(struct rig *t, const char *items)
{
	target_prober_allow(t->prober, list_of(items));
}

static void an_rdp_server_is_reachable_with_its_security(void **state)
{
	struct rig *t = *state;
	allow(t, "127.0.0.1");
	struct peer p = { .answer = nla_answer, .len = sizeof nla_answer };
	probe_peer(t, &p);
	assert_int_equal(t->last.outcome, TARGET_REACHABLE);
	assert_int_equal(t->last.security, TARGET_NLA);
	assert_string_equal(t->last.why, "");
	assert_string_equal(t->last.address, "127.0.0.1");
	/* the request is a valid one: its lengths are right, and TLS, NLA and NLA-EX are offered */
	static const unsigned char request[] = { 3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 11, 0, 0, 0 };
	assert_int_equal(p.got, sizeof request);
	assert_memory_equal(p.request, request, sizeof request);
}

static void other_servers_are_not_rdp_servers(void **state)
{
	struct rig *t = *state;
	allow(t, "127.0.0.1");
	struct peer ssh = { .answer = "SSH-2.0-x\r\n", .len = 11 }, silent = { .hang_up = true };
	probe_peer(t, &ssh);
	assert_int_equal(t->last.outcome, TARGET_NOT_RDP);
	assert_non_null(strstr(t->last.why, "is not an RDP server"));
	probe_peer(t, &silent);
	assert_int_equal(t->last.outcome, TARGET_NOT_RDP);
	assert_non_null(strstr(t->last.why, "closed it"));
}

static void a_closed_port_is_refused(void **state)
{
	struct rig *t = *state;
	int port, fd = listener(&port, 0); /* bound but not listening, so that nothing else takes the port */
	allow(t, "127.0.0.1");
	probe_until_answer(t, "127.0.0.1", port);
	close(fd);
	assert_int_equal(t->last.outcome, TARGET_REFUSED);
	assert_true(str_starts(t->last.why, "127.0.0.1:"));
	assert_non_null(strstr(t->last.why, "refused the connection"));
}

static void a_silent_server_times_out_as_not_rdp(void **state)
{
	struct rig *t = *state;
	int port, fd = listener(&port, 4); /* the kernel accepts; nobody answers */
	allow(t, "127.0.0.1");
	int64_t begun = clock_mono_ms();
	probe_until_answer(t, "127.0.0.1", port);
	int64_t took = clock_mono_ms() - begun;
	close(fd);
	assert_int_equal(t->last.outcome, TARGET_NOT_RDP);
	assert_true(took >= TARGET_TIMEOUT_MS - 100);
}

static void a_target_outside_the_list_gets_no_packet(void **state)
{
	struct rig *t = *state;
	int port, fd = listener(&port, 4);
	struct timeval none = { 0, 1000 };
	static const char *const lists[] = { "", "10.0.0.0/8", "0.0.0.0/0 ::/0", "win.example.org" };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		allow(t, lists[i]);
		probe_until_answer(t, "127.0.0.1", port);
		assert_int_equal(t->last.outcome, TARGET_NOT_ALLOWED);
		assert_non_null(strstr(t->last.why, "RDP_TARGETS_ALLOWED"));
		probe_until_answer(t, "::ffff:127.0.0.1", port);
		assert_int_equal(t->last.outcome, TARGET_NOT_ALLOWED);
		probe_until_answer(t, "localhost", port);
		assert_int_equal(t->last.outcome, TARGET_NOT_ALLOWED);
		assert_int_equal(accept(fd, NULL, NULL), -1);
	}
	close(fd);
}

static void a_name_is_resolved_and_tried(void **state)
{
	struct rig *t = *state;
	int port, fd = listener(&port, 0);
	allow(t, "127.0.0.0/8 ::1");
	probe_until_answer(t, "localhost", port);
	close(fd);
	assert_int_equal(t->last.outcome, TARGET_REFUSED);
	assert_true(str_starts(t->last.why, "localhost:"));
}

static void only_a_bounded_number_runs_at_a_time(void **state)
{
	struct rig *t = *state;
	int port, fd = listener(&port, TARGET_PROBES_MAX * 2);
	struct target_probe *running[TARGET_PROBES_MAX];
	allow(t, "127.0.0.1");
	for (size_t i = 0; i < TARGET_PROBES_MAX; i++)
		running[i] = target_probe(t->prober, "127.0.0.1", port, on_target, t);
	probe_until_answer(t, "127.0.0.1", port);
	assert_int_equal(t->last.outcome, TARGET_BUSY);
	target_probe_cancel(running[3]);
	struct peer p = { .answer = nla_answer, .len = sizeof nla_answer };
	probe_peer(t, &p);
	assert_int_equal(t->last.outcome, TARGET_REACHABLE);
	close(fd); /* the others are cancelled with the prober */
	assert_int_equal(t->answers, 2);
}

static void a_cancelled_probe_tells_nothing(void **state)
{
	struct rig *t = *state;
	int port, fd = listener(&port, 4);
	allow(t, "127.0.0.1 target.invalid");
	target_probe_cancel(target_probe(t->prober, "127.0.0.1", port, on_target, t)); /* before it begins */
	struct target_probe *a = target_probe(t->prober, "127.0.0.1", port, on_target, t);
	struct target_probe *b = target_probe(t->prober, "target.invalid", port, on_target, t);
	loop_rig_run_ms(t->loop, 1);
	size_t before = t->answers; /* b may have failed already, if this host has no name server */
	target_probe_cancel(a);
	if (!before)
		target_probe_cancel(b);
	target_probe_cancel(NULL);
	loop_rig_run_ms(t->loop, 50);
	assert_int_equal(t->answers, before);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets_in_the_list_are_allowed),
		cmocka_unit_test(other_targets_are_refused),
		cmocka_unit_test(each_address_of_a_name_is_checked),
		cmocka_unit_test(hosts_in_unusual_forms_are_refused),
		cmocka_unit_test(invalid_items_are_named_with_a_reason),
		cmocka_unit_test(answers_of_rdp_servers_are_understood),
		cmocka_unit_test(answers_of_other_servers_are_told_apart),
		cmocka_unit_test_setup_teardown(an_rdp_server_is_reachable_with_its_security, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(other_servers_are_not_rdp_servers, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_closed_port_is_refused, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_silent_server_times_out_as_not_rdp, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_target_outside_the_list_gets_no_packet, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_name_is_resolved_and_tried, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(only_a_bounded_number_runs_at_a_time, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_cancelled_probe_tells_nothing, rig_setup, rig_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
