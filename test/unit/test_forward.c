/* The agent's rows, over a bus with a host that repeats its input: each document fits the host's row, and each answer and each failure is
 * forwarded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>

#include "bus/transport.h"
#include "lucid/str.h"
#include "roles/contract/contract.h"
#include "roles/xrdp-integration/forward.h"
#include "roles/xrdp-integration/lines.h"

#define SERVER "5f0c1f0e-9d57-4b43-9a53-0c8a2f1d7e11"
#define SPEC "{\"server_id\":\"" SERVER "\",\"name\":\"one\",\"port\":20000"

struct bed {
	struct loop *loop;
	struct bus *bus;
	struct route *routes;
	/* the host's last input, and its next answer */
	const struct op *heard;
	json_t *heard_doc, *answer;
	int fail;
	/* the caller's result */
	enum err err;
	json_t *doc, *details;
	char message[200], location[200];
	unsigned answers;
};

static void host(struct call *c, void *arg)
{
	struct bed *t = arg;
	t->heard = call_op(c);
	json_decref(t->heard_doc);
	t->heard_doc = json_incref(call_body(c));
	assert_true(call_caller(c)->roles & CALLER_ADMIN);
	assert_string_equal(call_request_id(c), "req-1");
	if (t->fail)
		call_fail_details(c, t->fail, json_pack("[{s:s}]", "field", "display"), "desktops are live");
	else
		call_ok(c, t->answer ? json_incref(t->answer) : json_pack("{s:s}", "from", call_op(c)->name));
}

static void bed_open(struct bed *t)
{
	*t = (struct bed){ .loop = loop_new() };
	t->bus = bus_new(t->loop);
	for (size_t i = 0; i < contract_host.n; i++)
		bus_serve(t->bus, &contract_host.ops[i], host, t);
	t->routes = forward_serve(t->bus, NULL);
}

static void bed_close(struct bed *t)
{
	assert_int_equal(bus_calls_open(t->bus), 0);
	bus_free(t->bus);
	loop_free(t->loop);
	free(t->routes);
	json_decref(t->heard_doc);
	json_decref(t->answer);
	json_decref(t->doc);
	json_decref(t->details);
}

static void done(const struct reply *r, void *arg)
{
	struct bed *t = arg;
	t->answers++;
	t->err = r->err;
	json_decref(t->doc);
	json_decref(t->details);
	t->doc = json_incref(r->doc);
	t->details = json_incref(r->details);
	str_copy(t->message, sizeof(t->message), r->message ? r->message : "");
	str_copy(t->location, sizeof(t->location), r->location ? r->location : "");
	loop_stop(t->loop);
}

static void ask(struct bed *t, const char *op, const char *last_param, const char *query, const char *body)
{
	const struct caller admin = { .sub = "root", .roles = CALLER_ADMIN };
	char names[OP_MAX_PARAMS][32];
	_cleanup_(doc_unrefp) json_t *q = query ? doc_parse(query, strlen(query), NULL, 0) : NULL;
	_cleanup_(doc_unrefp) json_t *b = body ? doc_parse(body, strlen(body), NULL, 0) : NULL;
	struct call_args a = { .op = op_find(op), .caller = &admin, .query = q, .body = b, .request_id = "req-1" };
	size_t n = op_param_names(a.op, names);
	for (size_t i = 0; i < n; i++)
		a.params[i] = str_eq(names[i], "server_id") || str_eq(names[i], "recording_id") ? SERVER : last_param;
	unsigned before = t->answers;
	t->heard = NULL;
	bus_call(t->bus, &a, done, t);
	loop_run(t->loop);
	assert_int_equal(t->answers, before + 1);
}

static void assert_doc(const json_t *doc, const char *text)
{
	_cleanup_(xfreep) char *is = doc_text(doc);
	assert_string_equal(is, text);
}

/* Every row of the agent is in the table once, and its host row exists. The server asks NSS for accounts itself. */
static void test_table(void **state)
{
	assert_int_equal(forwards_n + 1, contract_xrdp.n);
	for (size_t i = 0; i < contract_xrdp.n; i++) {
		size_t found = 0;
		for (size_t j = 0; j < forwards_n; j++)
			found += str_eq(forwards[j].op, contract_xrdp.ops[i].name);
		if (found != (str_eq(contract_xrdp.ops[i].name, "xrdp.accounts.check") ? 0 : 1))
			fail_msg("%s stands %zu times in the table", contract_xrdp.ops[i].name, found);
	}
	for (size_t i = 0; i < forwards_n; i++) {
		const struct op *to = op_find(forwards[i].host);
		assert_non_null(to);
		assert_string_equal(to->role, ROLE_HOST);
	}
}

static const struct {
	const char *op, *param, *query, *body, *host, *doc;
} rows[] = {
	{ "xrdp.instances.list", NULL, NULL, NULL, "host.instance.list", NULL },
	{ "xrdp.instances.get", NULL, NULL, NULL, "host.instance.get", "{\"server_id\":\"" SERVER "\"}" },
	{ "xrdp.instances.stop", NULL, "{\"force\":true}", NULL, "host.instance.stop",
	  "{\"server_id\":\"" SERVER "\",\"force\":true,\"remove\":false}" },
	{ "xrdp.instances.connections", NULL, NULL, NULL, "host.connections", "{\"server_id\":\"" SERVER "\"}" },
	{ "xrdp.instances.connections.cut", "c-7", NULL, NULL, "host.connection.cut",
	  "{\"server_id\":\"" SERVER "\",\"id\":\"c-7\"}" },
	{ "xrdp.instances.desktops", NULL, NULL, NULL, "host.desktops", "{\"server_id\":\"" SERVER "\"}" },
	{ "xrdp.instances.desktops.message", "12", NULL, "{\"text\":\"x\",\"level\":\"warning\"}", "host.desktop.message",
	  "{\"server_id\":\"" SERVER "\",\"display\":12,\"text\":\"x\",\"level\":\"warning\"}" },
	{ "xrdp.instances.desktops.end", "12", NULL, NULL, "host.desktop.end",
	  "{\"server_id\":\"" SERVER "\",\"display\":12}" },
	{ "xrdp.instances.limits", NULL, NULL, "{\"idle_timeout\":60,\"disconnected_timeout\":0,\"kill_disconnected\":true}", "host.instance.limits",
	  "{\"server_id\":\"" SERVER "\",\"idle_timeout\":60,\"disconnected_timeout\":0,\"kill_disconnected\":true}" },
	{ "xrdp.instances.stats", NULL, NULL, NULL, "host.instance.stats", "{\"server_id\":\"" SERVER "\"}" },
	{ "xrdp.stats", NULL, NULL, NULL, "host.stats", NULL },
	{ "xrdp.desktops", NULL, NULL, NULL, "host.profiles", NULL },
	{ "xrdp.service", NULL, NULL, NULL, "host.service", NULL },
	{ "xrdp.service.status", NULL, NULL, NULL, "host.service", NULL },
	{ "xrdp.info", NULL, NULL, NULL, "host.info", NULL },
	{ "xrdp.quotas", NULL, NULL, "{\"max_concurrent_sessions\":100,\"max_sessions_per_user\":10,\"elsewhere\":0}", "host.quotas",
	  "{\"max_concurrent_sessions\":100,\"max_sessions_per_user\":10,\"elsewhere\":0,\"users\":[],\"declared\":[]}" },
	{ "xrdp.recordings.list", NULL, NULL, NULL, "host.recording.list", NULL },
	{ "xrdp.recordings.stop", NULL, NULL, NULL, "host.recording.stop", "{\"recording_id\":\"" SERVER "\"}" },
	{ "xrdp.recordings.files", NULL, "{\"from_seq\":5}", NULL, "host.recording.files",
	  "{\"recording_id\":\"" SERVER "\",\"from_seq\":5,\"limit\":500}" },
	{ "xrdp.recordings.file", "00000001.rck", "{\"from\":96}", NULL, "host.recording.file",
	  "{\"recording_id\":\"" SERVER "\",\"name\":\"00000001.rck\",\"from\":96}" },
	{ "xrdp.recordings.write", "seal.json", NULL, "{\"text\":\"{}\"}", "host.recording.write",
	  "{\"recording_id\":\"" SERVER "\",\"name\":\"seal.json\",\"text\":\"{}\"}" },
	{ "xrdp.ports.check", NULL, NULL, "{\"ports\":[20000,20001]}", "host.ports.check", "{\"ports\":[20000,20001]}" },
};

static void test_rows(void **state)
{
	struct bed t;
	bed_open(&t);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ask(&t, rows[i].op, rows[i].param, rows[i].query, rows[i].body);
		assert_int_equal(t.err, ERR_OK);
		assert_non_null(t.heard);
		assert_string_equal(t.heard->name, rows[i].host);
		assert_string_equal(doc_str(t.doc, "from", ""), rows[i].host);
		if (rows[i].doc)
			assert_doc(t.heard_doc, rows[i].doc);
	}
	bed_close(&t);
}

static void test_start(void **state)
{
	struct bed t;
	bed_open(&t);
	ask(&t, "xrdp.instances.start", NULL, NULL, SPEC ",\"replace\":true}");
	assert_int_equal(t.err, ERR_OK);
	assert_string_equal(t.heard->name, "host.instance.start");
	assert_true(json_is_true(json_object_get(t.heard_doc, "replace")));
	assert_null(doc_get(t.heard_doc, "spec.replace"));
	assert_string_equal(doc_str(json_object_get(t.heard_doc, "spec"), "server_id", ""), SERVER);
	assert_string_equal(t.location, "/api/v1/xrdp/instances/" SERVER);

	ask(&t, "xrdp.instances.start", NULL, NULL, SPEC "}");
	assert_true(json_is_false(json_object_get(t.heard_doc, "replace")));

	ask(&t, "xrdp.instances.config", NULL, NULL, SPEC "}");
	assert_string_equal(t.heard->name, "host.instance.config");
	assert_int_equal(doc_int(json_object_get(t.heard_doc, "spec"), "port", 0), 20000);
	bed_close(&t);
}

/* Chunks and index are the recorder's: only the two documents can be written. */
static void test_only_documents_of_a_recording_are_written(void **state)
{
	struct bed t;
	bed_open(&t);
	ask(&t, "xrdp.recordings.write", "00000000.rck", NULL, "{\"text\":\"{}\"}");
	assert_int_equal(t.err, ERR_RECORDING_NOT_FOUND);
	assert_null(t.heard);
	bed_close(&t);
}

static void test_failures_pass(void **state)
{
	struct bed t;
	bed_open(&t);
	t.fail = ERR_CONFLICT;
	ask(&t, "xrdp.instances.stop", NULL, NULL, NULL);
	assert_int_equal(t.err, ERR_CONFLICT);
	assert_string_equal(t.message, "desktops are live");
	assert_int_equal(json_array_size(t.details), 1);
	t.fail = 0;
	/* refused before the host is called */
	ask(&t, "xrdp.instances.desktops.end", "70000", NULL, NULL);
	assert_int_equal(t.err, ERR_INSTANCE_NOT_FOUND);
	assert_null(t.heard);
	ask(&t, "xrdp.instances.desktops.end", "0", NULL, NULL);
	assert_int_equal(t.err, ERR_INSTANCE_NOT_FOUND);
	ask(&t, "xrdp.instances.start", NULL, NULL, SPEC ",\"command\":\"id\"}");
	assert_int_equal(t.err, ERR_INVALID);
	assert_null(t.heard);
	ask(&t, "xrdp.logs", NULL, "{\"source\":\"passwd\"}", NULL);
	assert_int_equal(t.err, ERR_INVALID);
	assert_null(t.heard);
	bed_close(&t);
}

static void test_logs(void **state)
{
	struct bed t;
	bed_open(&t);
	t.answer = json_pack("{s:[s,s,s,s], s:[s,s,s,s]}", "lines", "[20261121-10:00:00] [INFO ] begins", "[20261121-10:00:01] [WARN ] odd",
			     "  more of it", "[20261121-10:00:02] [DEBUG] chatter", "sources", "xrdp", "sesman", "sesman", "desktops");
	ask(&t, "xrdp.logs", NULL, NULL, NULL);
	assert_doc(t.heard_doc, "{\"source\":\"xrdp\",\"lines\":200}");
	assert_int_equal(json_array_size(json_object_get(t.doc, "lines")), 4);
	ask(&t, "xrdp.logs", NULL, "{\"source\":\"" SERVER "\",\"lines\":1}", NULL);
	assert_doc(t.heard_doc, "{\"server_id\":\"" SERVER "\",\"lines\":1}");
	assert_doc(t.doc, "{\"lines\":[\"[20261121-10:00:02] [DEBUG] chatter\"],\"sources\":[\"desktops\"]}");
	ask(&t, "xrdp.logs.deleted.get", NULL, "{\"lines\":1}", NULL);
	assert_doc(t.heard_doc, "{\"server_id\":\"" SERVER "\",\"lines\":1,\"deleted\":true}");
	ask(&t, "xrdp.logs", NULL, "{\"since\":\"2026-11-21T10:00:00Z\",\"from\":\"2026-11-21T10:00:00Z\"}", NULL);
	assert_int_equal(t.err, ERR_INVALID);
	ask(&t, "xrdp.instances.logs", NULL, "{\"level\":\"warning\"}", NULL);
	assert_doc(t.heard_doc, "{\"server_id\":\"" SERVER "\",\"lines\":5000}");
	assert_doc(t.doc, "{\"lines\":[\"[20261121-10:00:01] [WARN ] odd\",\"  more of it\"],\"sources\":[\"sesman\",\"sesman\"]}");
	/* a supervisor of another version */
	json_object_del(t.answer, "sources");
	ask(&t, "xrdp.instances.logs", NULL, "{\"lines\":1}", NULL);
	assert_doc(t.doc, "{\"lines\":[\"[20261121-10:00:02] [DEBUG] chatter\"],\"sources\":null}");
	bed_close(&t);
}

static void test_levels(void **state)
{
	assert_int_equal(lines_level("[20261121-10:00:00] [DEBUG] x"), 0);
	assert_int_equal(lines_level("[20261121-10:00:00] [INFO ] x"), 1);
	assert_int_equal(lines_level("[20261121-10:00:00] [WARN ] x"), 2);
	assert_int_equal(lines_level("[20261121-10:00:00] [ERROR] x"), 3);
	assert_int_equal(lines_level("[20261121-10:00:00] [CORE ] x"), 3);
	assert_int_equal(lines_level("[20261121-10:00:00] x [ERROR] "), -1);
	assert_int_equal(lines_level("[no end"), -1);
	assert_int_equal(lines_level(""), -1);
	assert_int_equal(lines_level("]"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	       cmocka_unit_test(test_rows), cmocka_unit_test(test_start),
		cmocka_unit_test(test_only_documents_of_a_recording_are_written), cmocka_unit_test(test_failures_pass), cmocka_unit_test(test_logs), cmocka_unit_test(test_levels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
