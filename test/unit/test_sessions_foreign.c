/* Sessions on RDP hosts outside this installation: what may be declared, how the host is tried, and where the password is. */
#include "sessions_rig.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "lucid/seal.h"
#include "lucid/target.h"
#include "roles/rdp-session-controller/foreign/secret.h"
#include "roles/rdp-session-controller/foreign/secret_sweep.h"

#define KEY_A "the master key of this installation, a"
#define KEY_B "the master key of this installation, b"
#define WORD "Tr0ub4dor&3"

/* --- an RDP server in this process, which answers each connection and closes it */

struct host {
	struct loop *loop;
	int fd, port;
	struct loop_io *io, *client;
	int accepted;
	unsigned tried;
};

static void host_answers(int events, void *arg)
{
	static const unsigned char answer[] = { 3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 0x1f, 8, 0, 2, 0, 0, 0 };
	struct host *h = arg;
	unsigned char request[64];
	if (recv(h->accepted, request, sizeof request, MSG_DONTWAIT) > 0)
		assert_int_equal(send(h->accepted, answer, sizeof answer, 0), sizeof answer);
	loop_io_set(h->client, 0);
}

static void host_accepts(int events, void *arg)
{
	struct host *h = arg;
	loop_io_free(h->client);
	fd_close(&h->accepted);
	h->accepted = accept(h->fd, NULL, NULL);
	h->client = loop_io_new(h->loop, h->accepted, LOOP_READ, host_answers, h);
	h->tried++;
}

static void host_begin(struct host *h, struct loop *l)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	*h = (struct host){ .loop = l, .accepted = -1, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	assert_int_equal(bind(h->fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(getsockname(h->fd, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(listen(h->fd, 16), 0);
	h->port = ntohs(a.sin_port);
	h->io = loop_io_new(l, h->fd, LOOP_READ, host_accepts, h);
}

static void host_end(struct host *h)
{
	loop_io_free(h->io);
	loop_io_free(h->client);
	fd_close(&h->accepted);
	fd_close(&h->fd);
}

/* --- one or two controllers with a MASTER_KEY */

struct foreign_rig {
	struct rig t;
	struct host host;
	struct seal *seal;
	struct answer a;
	char id[SESSION_ID_SIZE];
};

static struct controller *at(struct foreign_rig *f, size_t i)
{
	return f->t.side[i].role;
}

/* As SIGHUP does it. */
static void use_key(struct foreign_rig *f, const char *key, const char *old)
{
	struct seal *next = seal_new(key, (const char *const[]){ old, NULL });
	assert_non_null(next);
	seal_replace(f->seal, next);
}

static void foreign_open(struct foreign_rig *f, size_t n)
{
	static const char *const settings[] = { "RDP_TARGETS_ALLOWED=127.0.0.1/32", "SESSION_TIMEOUT=60", "MAX_SESSIONS_PER_USER=3", NULL };
	*f = (struct foreign_rig){ 0 };
	f->seal = seal_new(KEY_A, NULL);
	rig_open(&f->t, n, settings);
	for (size_t i = 0; i < n; i++)
		at(f, i)->env.seal = f->seal;
	host_begin(&f->host, f->t.loop);
}

static void foreign_close(struct foreign_rig *f)
{
	json_decref(f->a.doc);
	rig_close(&f->t);
	host_end(&f->host);
	seal_free(f->seal);
}

/* config: the rest of rdp_config after the host and port, or "". */
static void declare_at(struct foreign_rig *f, size_t i, const char *config)
{
	_cleanup_(xfreep) char *body = xasprintf("{'name':'office','rdp_config':{'host':'127.0.0.1','port':%d%s}}", f->host.port, config);
	side_call(&f->t.side[i], &f->a, &anna, "sessions.create", NULL, NULL, body);
	str_copy(f->id, sizeof f->id, doc_str(f->a.doc, "session_id", ""));
}

static void patch(struct foreign_rig *f, const char *body, int err)
{
	side_call(f->t.front, &f->a, &anna, "sessions.patch", f->id, NULL, body);
	if (f->a.err != (enum err)err)
		fail_msg("%s: %s, %s", body, err_name(f->a.err), f->a.message);
}

struct read_secret {
	bool over;
	json_t *doc;
};

static void secret_got(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct read_secret *r = arg;
	r->over = true;
	r->doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
}

/* The stored document of a password; NULL: none. The caller owns it. */
static json_t *secret_of(struct foreign_rig *f, const char *id)
{
	struct read_secret r = { 0 };
	store_get(f->t.store, COL_SESSION_SECRETS, id, secret_got, &r);
	RIG_UNTIL(&f->t, r.over);
	return r.doc;
}

static bool has_secret(struct foreign_rig *f)
{
	_cleanup_(doc_unrefp) json_t *doc = secret_of(f, f->id);
	return doc != NULL;
}

/* The stored password in clear, static; "": it cannot be opened in the place of that session. */
static const char *opened(struct foreign_rig *f, const char *as_id)
{
	static char text[300];
	_cleanup_(doc_unrefp) json_t *doc = secret_of(f, f->id);
	_cleanup_(seal_forgetp) char *password = NULL;
	struct seal_place place = secret_place(as_id);
	if (seal_open(f->seal, &place, doc_str(doc, "password", ""), &password, NULL) != SEAL_OK)
		return "";
	assert_true(str_copy(text, sizeof text, password));
	return text;
}

static void written(enum store_result result, size_t index, int err, void *arg)
{
	assert_int_equal(result, STORE_OK);
	*(bool *)arg = true;
}

static void put_secret(struct foreign_rig *f, const char *id, json_t *consume)
{
	bool done = false;
	struct store_op op = { STORE_PUT, COL_SESSION_SECRETS, id, 0, consume };
	store_write(f->t.store, &op, 1, written, &done);
	RIG_UNTIL(&f->t, done);
	json_decref(consume);
}

/* --- tests */

static void test_one_of_server_and_host_is_required(void **state)
{
	static const char *const bad[][2] = {
		{ "{}", "server_id" },
		{ "{'server_id':null,'rdp_config':null}", "server_id" },
		{ "{'server_id':'" ONE "','rdp_config':{'host':'127.0.0.1'}}", "server_id" },
		{ "{'rdp_config':{}}", "rdp_config.host" },
		{ "{'rdp_config':{'host':'2130706433'}}", "rdp_config.host" },
		{ "{'rdp_config':{'host':'0177.0.0.1'}}", "rdp_config.host" },
		{ "{'rdp_config':{'host':'127.1'}}", "rdp_config.host" },
		{ "{'rdp_config':{'host':'127.0.0.1:3389'}}", "rdp_config.host" },
		{ "{'rdp_config':{'host':'fe80::1%eth0'}}", "rdp_config.host" },
		{ "{'rdp_config':{'host':'127.0.0.1','port':0}}", "rdp_config.port" },
		{ "{'rdp_config':{'host':'127.0.0.1','port':65536}}", "rdp_config.port" },
		{ "{'rdp_config':{'host':'127.0.0.1','has_password':true}}", "rdp_config.has_password" },
		{ "{'rdp_config':{'host':'127.0.0.1','password':''}}", "rdp_config.password" },
		{ "{'rdp_config':{'host':'127.0.0.1','domain':'CORP'}}", "rdp_config.domain" },
		{ "{'rdp_config':{'host':'127.0.0.1','username':'CORP\\\\ann','domain':'CORP'}}", "rdp_config.domain" },
		{ "{'rdp_config':{'host':'127.0.0.1','username':'ann@corp.example','domain':'CORP'}}", "rdp_config.domain" },
	};
	struct foreign_rig f;
	foreign_open(&f, 1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		side_call(f.t.front, &f.a, &anna, "sessions.create", NULL, NULL, bad[i][0]);
		if (f.a.err != ERR_INVALID || !strstr(f.a.details, bad[i][1]))
			fail_msg("%s: %s, %s", bad[i][0], err_name(f.a.err), f.a.details);
		assert_null(strstr(f.a.details, "CORP\\\\ann"));
	}
	assert_int_equal(f.host.tried, 0);
	SHOWN(&f.t, "");
	foreign_close(&f);
}

static void test_host_is_tried_before_the_session_is_stored(void **state)
{
	struct foreign_rig f;
	foreign_open(&f, 1);
	declare_at(&f, 0, ",'username':'ann','domain':'CORP'");
	assert_int_equal(f.a.err, 0);
	assert_int_equal(f.host.tried, 1);
	assert_string_equal(rig_member(&f.t, f.id, "server_id"), "null");
	assert_string_equal(rig_member(&f.t, f.id, "node"), "null");
	assert_string_equal(rig_member(&f.t, f.id, "rdp_config.has_password"), "false");
	assert_string_equal(rig_member(&f.t, f.id, "rdp_config.domain"), "\"CORP\"");
	assert_false(has_secret(&f));
	side_call(f.t.front, &f.a, &anna, "sessions.connection", f.id, NULL, NULL);
	assert_int_equal(f.a.err, 0);
	assert_int_equal(doc_int(f.a.doc, "port", 0), f.host.port);
	assert_string_equal(doc_str(f.a.doc, "domain", ""), "CORP");
	assert_true(json_is_null(json_object_get(f.a.doc, "server_id")));
	/* hosts that are not allowed are not tried, whatever form of the address is used */
	static const char *const outside[] = { "127.0.0.2", "169.254.169.254", "::1", "::ffff:169.254.169.254", "[::ffff:127.0.0.2]" };
	for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
		_cleanup_(xfreep) char *body = xasprintf("{'rdp_config':{'host':'%s','port':%d}}", outside[i], f.host.port);
		side_call(f.t.front, &f.a, &anna, "sessions.create", NULL, NULL, body);
		if (f.a.err != ERR_FORBIDDEN || !strstr(f.a.message, "RDP_TARGETS_ALLOWED"))
			fail_msg("%s: %s, %s", outside[i], err_name(f.a.err), f.a.message);
	}
	assert_int_equal(f.host.tried, 1);
	/* an IPv4 address in IPv6 form is that address */
	_cleanup_(xfreep) char *mapped = xasprintf("{'rdp_config':{'host':'::ffff:127.0.0.1','port':%d}}", f.host.port);
	side_call(f.t.front, &f.a, &anna, "sessions.create", NULL, NULL, mapped);
	assert_int_equal(f.a.err, 0);
	assert_int_equal(f.host.tried, 2);
	host_end(&f.host);
	_cleanup_(xfreep) char *port = xasprintf("127.0.0.1:%d", f.host.port);
	declare_at(&f, 0, "");
	assert_int_equal(f.a.err, ERR_SESSION_TARGET);
	assert_non_null(strstr(f.a.message, port));
	SHOWN(&f.t, "created 0, created 0");
	host_begin(&f.host, f.t.loop);
	foreign_close(&f);
}

static void test_password_is_sealed_for_its_session_and_not_shown(void **state)
{
	static const char *const reads[] = { "sessions.get", "sessions.connection", "sessions.statistics", "sessions.timeline" };
	struct foreign_rig f;
	char first[SESSION_ID_SIZE];
	foreign_open(&f, 1);
	declare_at(&f, 0, ",'username':'ann','password':'" WORD "'");
	assert_int_equal(f.a.err, 0);
	_cleanup_(xfreep) char *answer = doc_text(f.a.doc);
	assert_null(strstr(answer, WORD));
	assert_null(strstr(answer, "seal1"));
	assert_string_equal(rig_member(&f.t, f.id, "rdp_config.has_password"), "true");
	_cleanup_(doc_unrefp) json_t *secret = secret_of(&f, f.id);
	_cleanup_(xfreep) char *text = doc_text(secret);
	assert_null(strstr(text, WORD));
	assert_string_equal(opened(&f, f.id), WORD);
	for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
		side_call(f.t.front, &f.a, &anna, reads[i], f.id, NULL, NULL);
		_cleanup_(xfreep) char *shown = doc_text(f.a.doc);
		if (f.a.err || strstr(shown, WORD) || strstr(shown, "seal1"))
			fail_msg("%s: %s", reads[i], shown);
	}
	/* copied into the place of another session, it does not open */
	strcpy(first, f.id);
	declare_at(&f, 0, ",'username':'ann','password':'another'");
	put_secret(&f, f.id, json_incref(secret));
	assert_string_equal(opened(&f, f.id), "");
	assert_string_equal(opened(&f, first), WORD);
	foreign_close(&f);
}

static void test_password_without_a_key_is_refused(void **state)
{
	struct foreign_rig f;
	foreign_open(&f, 1);
	at(&f, 0)->env.seal = NULL;
	declare_at(&f, 0, ",'password':'" WORD "'");
	assert_int_equal(f.a.err, ERR_INVALID);
	assert_non_null(strstr(f.a.details, "MASTER_KEY"));
	declare_at(&f, 0, "");
	assert_int_equal(f.a.err, 0);
	patch(&f, "{'rdp_config':{'password':'" WORD "'}}", ERR_INVALID);
	foreign_close(&f);
}

static void test_changes_of_the_host_are_refused_and_of_the_user_taken(void **state)
{
	struct foreign_rig f;
	foreign_open(&f, 1);
	declare_at(&f, 0, ",'username':'ann','password':'first'");
	/* the document as it was read, though the password is not in it */
	_cleanup_(xfreep) char *whole = doc_text(f.a.doc);
	patch(&f, whole, 0);
	assert_int_equal(doc_int(f.a.doc, "version", 0), 1);
	assert_string_equal(opened(&f, f.id), "first");
	patch(&f, "{'rdp_config':{'host':'127.0.0.2'}}", ERR_INVALID);
	assert_non_null(strstr(f.a.details, "rdp_config.host"));
	patch(&f, "{'rdp_config':{'port':1}}", ERR_INVALID);
	patch(&f, "{'rdp_config':{'has_password':false}}", ERR_INVALID);
	patch(&f, "{'rdp_config':null}", ERR_INVALID);
	patch(&f, "{'rdp_config':{'username':'CORP\\\\ann','domain':'CORP'}}", ERR_INVALID);
	patch(&f, "{'server_id':'" ONE "'}", ERR_INVALID);
	patch(&f, "{'rdp_config':{'username':'bert','domain':'CORP'}}", 0);
	assert_string_equal(rig_member(&f.t, f.id, "rdp_config.username"), "\"bert\"");
	patch(&f, "{'rdp_config':{'domain':null}}", 0);
	assert_string_equal(rig_member(&f.t, f.id, "rdp_config.domain"), "null");
	assert_string_equal(opened(&f, f.id), "first");
	/* a new password is a new version, although the document shows the same */
	int64_t before = doc_int(f.a.doc, "version", 0);
	patch(&f, "{'rdp_config':{'password':'second'}}", 0);
	assert_int_equal(doc_int(f.a.doc, "version", 0), before + 1);
	assert_string_equal(opened(&f, f.id), "second");
	patch(&f, "{'rdp_config':{'password':null}}", 0);
	assert_string_equal(rig_member(&f.t, f.id, "rdp_config.has_password"), "false");
	RIG_UNTIL(&f.t, !has_secret(&f));
	patch(&f, "{'rdp_config':{'password':'third'}}", 0);
	assert_string_equal(opened(&f, f.id), "third");
	side_call(f.t.front, &f.a, &bert, "sessions.patch", f.id, NULL, "{'rdp_config':{'password':'x'}}");
	assert_int_equal(f.a.err, ERR_SESSION_NOT_FOUND);
	/* a session on a server has no rdp_config */
	side_call(f.t.front, &f.a, &anna, "sessions.create", NULL, NULL, "{'server_id':'" ONE "'}");
	assert_true(str_copy(f.id, sizeof f.id, doc_str(f.a.doc, "session_id", "")));
	patch(&f, "{'rdp_config':{'username':'x'}}", ERR_INVALID);
	patch(&f, "{'rdp_config':null}", 0);
	assert_int_equal(doc_int(f.a.doc, "version", 0), 1);
	foreign_close(&f);
}

static void test_no_desktop_is_joined_and_it_does_not_expire(void **state)
{
	struct foreign_rig f;
	foreign_open(&f, 1);
	declare_at(&f, 0, ",'username':'ann','password':'" WORD "'");
	rig_desktop(&f.t, ONE, "ann", 10, EARLY, "active", "c1");
	SHOWN(&f.t, "created 0, active 10");
	rig_event(&f.t, BUS_GAP, "", json_object());
	clock_shift_ms(61000);
	loop_timer_set(at(&f, 0)->sweep_timer, 1);
	loop_rig_run_ms(f.t.loop, 200);
	SHOWN(&f.t, "created 0, active 10");
	clock_shift_ms(-61000);
	/* it counts: MAX_SESSIONS_PER_USER is 3 */
	side_call(f.t.front, &f.a, &anna, "sessions.summary", NULL, NULL, NULL);
	assert_int_equal(doc_int(f.a.doc, "live", 0), 2);
	assert_int_equal(json_array_size(json_object_get(f.a.doc, "by_server")), 2);
	char id[SESSION_ID_SIZE];
	strcpy(id, f.id);
	declare_at(&f, 0, "");
	assert_int_equal(f.a.err, 0);
	declare_at(&f, 0, "");
	assert_int_equal(f.a.err, ERR_QUOTA);
	strcpy(f.id, id);
	/* it ends on request, and its password with it */
	side_call(f.t.front, &f.a, &anna, "sessions.terminate", f.id, "{'mode':'disconnect'}", "{}");
	assert_int_equal(f.a.err, ERR_SESSION_STATE);
	assert_non_null(strstr(f.a.message, "foreign RDP host"));
	side_call(f.t.front, &f.a, &anna, "sessions.terminate", f.id, NULL, "{}");
	assert_int_equal(f.a.err, 0);
	assert_true(json_is_null(json_object_get(f.a.doc, "ended")));
	assert_int_equal(f.t.ends, 0);
	assert_string_equal(rig_member(&f.t, f.id, "status"), "\"terminated\"");
	assert_string_equal(rig_member(&f.t, f.id, "rdp_config.has_password"), "false");
	RIG_UNTIL(&f.t, !has_secret(&f));
	patch(&f, "{'rdp_config':{'password':'x'}}", ERR_SESSION_STATE);
	patch(&f, "{'description':'over'}", 0);
	side_call(f.t.front, &f.a, &anna, "sessions.connection", f.id, NULL, NULL);
	assert_int_equal(f.a.err, ERR_SESSION_STATE);
	side_call(f.t.front, &f.a, &anna, "sessions.delete", f.id, NULL, NULL);
	assert_int_equal(f.a.err, 0);
	/* deleting a live one does both */
	declare_at(&f, 0, ",'password':'" WORD "'");
	assert_true(has_secret(&f));
	side_call(f.t.front, &f.a, &anna, "sessions.delete", f.id, NULL, NULL);
	assert_int_equal(f.a.err, 0);
	RIG_UNTIL(&f.t, !has_secret(&f));
	foreign_close(&f);
}

/* A silent host, which many callers try at the same time. */
static void test_too_many_hosts_at_a_time_are_busy(void **state)
{
	struct foreign_rig f;
	struct answer many[TARGET_PROBES_MAX] = { 0 };
	foreign_open(&f, 1);
	loop_io_set(f.host.io, 0);
	_cleanup_(doc_unrefp) json_t *body = json_pack("{s:{s:s, s:i}}", "rdp_config", "host", "127.0.0.1", "port", f.host.port);
	for (size_t i = 0; i < TARGET_PROBES_MAX; i++) {
		struct call_args args = { .op = op_find("sessions.create"), .caller = &anna, .body = body };
		bus_call(f.t.front->bus, &args, rig_answered, &many[i]);
	}
	declare_at(&f, 0, "");
	assert_int_equal(f.a.err, ERR_BUSY);
	side_call(f.t.front, &f.a, &anna, "sessions.list", NULL, NULL, NULL); /* others are served meanwhile */
	assert_int_equal(f.a.err, 0);
	host_end(&f.host); /* resets the connections */
	for (size_t i = 0; i < TARGET_PROBES_MAX; i++) {
		RIG_UNTIL(&f.t, many[i].over);
		assert_int_equal(many[i].err, ERR_SESSION_TARGET);
		json_decref(many[i].doc);
	}
	host_begin(&f.host, f.t.loop);
	foreign_close(&f);
}

static bool sealed_now(struct foreign_rig *f)
{
	_cleanup_(doc_unrefp) json_t *doc = secret_of(f, f->id);
	return seal_is_current(f->seal, doc_str(doc, "password", ""));
}

static void test_sweep_seals_again_and_deletes_what_has_no_session(void **state)
{
	/* before all others in the order of the sweep, as ids are random */
	static const char *const lost = "sess-0000000000000000", *const under_way = "sess-0000000000000001";
	struct foreign_rig f;
	char closed[SESSION_ID_SIZE];
	foreign_open(&f, 1);
	declare_at(&f, 0, ",'password':'lost key'");
	strcpy(closed, f.id);
	_cleanup_(doc_unrefp) json_t *before = secret_of(&f, closed);
	use_key(&f, KEY_B, NULL);
	declare_at(&f, 0, ",'password':'" WORD "'");
	put_secret(&f, lost, json_pack("{s:s, s:i, s:s, s:s}", "session_id", lost, "version", 1, "updated_at", EARLY, "password", "seal1.x"));
	put_secret(&f, under_way, secret_doc(at(&f, 0), under_way, "x", 1)); /* its session is stored just now */
	use_key(&f, "the master key of this installation, c", KEY_B);
	assert_false(sealed_now(&f));
	secret_sweep_soon(at(&f, 0));
	RIG_UNTIL(&f.t, sealed_now(&f));
	_cleanup_(doc_unrefp) json_t *gone = secret_of(&f, lost), *kept = secret_of(&f, under_way);
	assert_null(gone);
	assert_non_null(kept);
	assert_string_equal(opened(&f, f.id), WORD);
	/* what no key opens stays as it is: the key may come back */
	_cleanup_(doc_unrefp) json_t *after = secret_of(&f, closed);
	assert_true(json_equal(before, after));
	foreign_close(&f);
}

static void test_two_controllers_share_it(void **state)
{
	struct foreign_rig f;
	foreign_open(&f, 2);
	declare_at(&f, 0, ",'username':'ann','password':'" WORD "'");
	assert_int_equal(f.a.err, 0);
	RIG_UNTIL(&f.t, str_eq(side_shown(&f.t.side[1], &anna), "created 0"));
	f.t.front = &f.t.side[1];
	patch(&f, "{'rdp_config':{'password':'second'}}", 0);
	assert_string_equal(opened(&f, f.id), "second");
	side_call(&f.t.side[0], &f.a, &anna, "sessions.terminate", f.id, NULL, "{}");
	assert_int_equal(f.a.err, 0);
	RIG_UNTIL(&f.t, !has_secret(&f));
	side_call(&f.t.side[1], &f.a, &anna, "sessions.list", NULL, "{'status':'terminated'}", NULL);
	assert_int_equal(json_array_size(json_object_get(f.a.doc, "unreachable")), 0);
	assert_int_equal(json_array_size(json_object_get(f.a.doc, "sessions")), 1);
	foreign_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_of_server_and_host_is_required),
		cmocka_unit_test(test_host_is_tried_before_the_session_is_stored),
		cmocka_unit_test(test_password_is_sealed_for_its_session_and_not_shown),
		cmocka_unit_test(test_password_without_a_key_is_refused),
		cmocka_unit_test(test_changes_of_the_host_are_refused_and_of_the_user_taken),
		cmocka_unit_test(test_no_desktop_is_joined_and_it_does_not_expire),
		cmocka_unit_test(test_too_many_hosts_at_a_time_are_busy),
		cmocka_unit_test(test_sweep_seals_again_and_deletes_what_has_no_session),
		cmocka_unit_test(test_two_controllers_share_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
