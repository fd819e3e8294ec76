/*
 * bus_suite: the contract of all transports. A program includes this, provides a fixture that makes two buses on one loop with its transport
 * between them, and runs bus_suite_run(). The local "transport" is the same bus twice. The rows are real ones of the contract; their handlers
 * are scripted here.
 */
#ifndef TEST_BUS_SUITE_H
#define TEST_BUS_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "bus/transport.h"
#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/loop.h"
#include "lucid/str.h"

struct bus_fixture {
	struct loop *loop;
	struct bus *asks, *serves; /* the same one for the local transport */
	void (*cut)(struct bus_fixture *f); /* loses the connection; NULL: it cannot be lost */
	bool carries_events;
	bool cancel_stays; /* the serving side does not learn that the caller cancelled; its deadline still ends the call */
	void *own;
};
/* Provided by the program: */
static void fixture_make(struct bus_fixture *f);
static void fixture_unmake(struct bus_fixture *f);

static const char ID[] = "123e4567-e89b-42d3-a456-426614174000";

/* --- the answer */
struct answer {
	int count;
	enum err err;
	int status;
	json_t *doc, *details;
	char text[256], message[256], location[128];
	int64_t version;
	bool inside; /* it arrived before bus_call returned */
};
static bool calling;

static void keep(const struct reply *r, void *arg)
{
	struct answer *a = arg;
	a->count++;
	a->err = r->err;
	a->status = r->status;
	a->doc = json_deep_copy(r->doc);
	a->details = json_deep_copy(r->details);
	a->version = r->version;
	a->inside = calling;
	snprintf(a->text, sizeof a->text, "%s", r->blob ? r->blob->data : "");
	snprintf(a->message, sizeof a->message, "%s", r->message ? r->message : "");
	snprintf(a->location, sizeof a->location, "%s", r->location ? r->location : "");
}

static void answer_done(struct answer *a)
{
	json_decref(a->doc);
	json_decref(a->details);
	*a = (struct answer){ 0 };
}

static void stop_loop(void *arg)
{
	loop_stop(arg);
}

/* Runs the loop for about this long, or until *until is not 0. */
struct waiting {
	struct loop *loop;
	const int *until;
	struct loop_timer *timer;
	int64_t end_ms;
};
static void look(void *arg)
{
	struct waiting *w = arg;
	if ((w->until && *w->until) || clock_mono_ms() >= w->end_ms)
		stop_loop(w->loop);
	else
		loop_timer_set(w->timer, 1);
}
#define PATIENCE_MS 120000 /* a bound for the busiest machine, not the usual time */
#define REACHED_MS 2000	   /* within which a call reaches its handler on a busy machine */

static void spin(struct bus_fixture *f, int ms, const int *until)
{
	struct waiting w = { f->loop, until, NULL, clock_mono_ms() + (until ? MAX(ms, PATIENCE_MS) : ms) };
	w.timer = loop_timer_new(f->loop, look, &w);
	loop_timer_set(w.timer, 0);
	loop_run(f->loop);
	loop_timer_free(w.timer);
}

/* The caller of calls for which a test names none: a process itself, which may call what roles need, and no more. */
static const struct caller someone = { .sub = "ada", .roles = CALLER_ADMIN, .can_create_sessions = true };

static void ask(struct bus_fixture *f, const struct call_args *a, struct answer *ret)
{
	struct call_args own = *a;
	own.caller = own.caller ? own.caller : &someone;
	calling = true;
	bus_call(f->asks, &own, keep, ret);
	calling = false;
	spin(f, 5000, &ret->count);
	assert_int_equal(ret->count, 1);
	assert_false(ret->inside);
}

/* --- scripted handlers */
static struct call *held;
static int handled, cancelled;
static struct caller seen_caller;
static char seen_request[80], seen_param[64];
static json_t *seen_query, *seen_body;
static int64_t seen_if_match, seen_left_ms;
static unsigned seen_hops;

static void note(struct call *c)
{
	struct call_args on = { 0 };
	handled++;
	seen_caller = *call_caller(c);
	snprintf(seen_request, sizeof seen_request, "%s", call_request_id(c));
	json_decref(seen_query);
	json_decref(seen_body);
	seen_query = json_deep_copy(call_query(c));
	seen_body = json_deep_copy(call_body(c));
	seen_if_match = call_if_match(c);
	seen_left_ms = call_time_left_ms(c);
	call_onward(c, &on);
	seen_hops = on.hops;
}
static void get_server(struct call *c, UNUSED void *ctx)
{
	note(c);
	snprintf(seen_param, sizeof seen_param, "%s", call_param(c, "server_id"));
	call_set_version(c, 7);
	call_ok_blob(c, blob_new("{\"name\":\"a\"}", 12), NULL);
}
static void create_server(struct call *c, UNUSED void *ctx)
{
	note(c);
	json_t *doc = json_deep_copy(call_body(c));
	call_set_version(c, 1);
	call_set_location(c, "/api/v1/rdp/servers/x");
	call_ok(c, doc);
}
static void list_servers(struct call *c, UNUSED void *ctx)
{
	note(c);
	call_ok(c, json_pack("{s:O}", "query", call_query(c)));
}
static void rdp_file(struct call *c, UNUSED void *ctx)
{
	note(c);
	call_ok_blob(c, blob_new("full address:s:x\r\n", 18), "application/x-rdp");
}
static void fail_conflict(struct call *c, UNUSED void *ctx)
{
	note(c);
	call_fail_details(c, ERR_CONFLICT, json_pack("[{s:s,s:s}]", "field", "x", "message", "y"), "sessions live");
}
static void on_told(UNUSED struct call *c, UNUSED void *arg)
{
	cancelled++;
}
static void hold(struct call *c, UNUSED void *ctx)
{
	note(c);
	held = c;
	call_on_cancel(c, on_told, NULL);
}
static void no_content(struct call *c, UNUSED void *ctx)
{
	note(c);
	call_ok(c, NULL);
}

#include "bus_streams.h"

static int make(void **state)
{
	struct bus_fixture *f = XNEW(struct bus_fixture);
	static const struct {
		const char *op;
		call_handler fn;
	} served[] = { { "rdp.servers.get", get_server },   { "rdp.servers.create", create_server },
		       { "rdp.servers.list", list_servers }, { "rdp.servers.rdp_file", rdp_file },
		       { "rdp.servers.stop", fail_conflict }, { "rdp.servers.restart", hold },
		       { "rdp.servers.delete", no_content }, { "rdp.servers.log_file", pour_out } };
	handled = cancelled = 0;
	held = NULL;
	f->loop = loop_new();
	fixture_make(f);
	for (size_t i = 0; i < ARRAY_LEN(served); i++)
		bus_serve(f->serves, op_find(served[i].op), served[i].fn, f);
	*state = f;
	return 0;
}
static int unmake(void **state)
{
	struct bus_fixture *f = *state;
	spin(f, 20, NULL);
	fixture_unmake(f);
	loop_free(f->loop);
	free(f);
	json_decref(seen_query);
	json_decref(seen_body);
	seen_query = seen_body = NULL;
	return 0;
}

/* --- the contract */

static void test_get_passes_param_version_and_bytes(void **state)
{
	struct answer a = { 0 };
	ask(*state, &(struct call_args){ .op = op_find("rdp.servers.get"), .params = { ID } }, &a);
	assert_int_equal(a.err, ERR_OK);
	assert_int_equal(a.status, 200);
	assert_int_equal(a.version, 7);
	assert_string_equal(seen_param, ID);
	/* a serialised answer may arrive as a document: its content counts */
	assert_true(a.doc ? str_eq(doc_str(a.doc, "name", ""), "a") : str_eq(a.text, "{\"name\":\"a\"}"));
	answer_done(&a);
}

static void test_create_passes_body_defaults_status_location(void **state)
{
	struct answer a = { 0 };
	_cleanup_(doc_unrefp) json_t *body = json_pack("{s:s,s:{s:i}}", "name", "desk \"1\" ä", "display", "width", 800);
	ask(*state, &(struct call_args){ .op = op_find("rdp.servers.create"), .body = body }, &a);
	assert_int_equal(a.err, ERR_OK);
	assert_int_equal(a.status, 201);
	assert_string_equal(a.location, "/api/v1/rdp/servers/x");
	assert_string_equal(doc_str(a.doc, "name", ""), "desk \"1\" ä");
	assert_int_equal(json_integer_value(doc_get(a.doc, "display.width")), 800);
	assert_int_equal(json_integer_value(doc_get(seen_body, "display.height")), 1080);
	assert_null(doc_get(body, "display.height")); /* the caller's document is not changed */
	answer_done(&a);
}

static void test_query_is_typed_and_defaulted(void **state)
{
	struct answer a = { 0 };
	_cleanup_(doc_unrefp) json_t *query = json_pack("{s:i,s:s}", "page", 3, "q", "a b&c=ö");
	ask(*state, &(struct call_args){ .op = op_find("rdp.servers.list"), .query = query }, &a);
	assert_int_equal(a.err, ERR_OK);
	assert_int_equal(doc_int(seen_query, "page", 0), 3);
	assert_int_equal(doc_int(seen_query, "limit", 0), 20);
	assert_string_equal(doc_str(seen_query, "q", ""), "a b&c=ö");
	answer_done(&a);
}

static void test_caller_request_id_and_deadline_go_along(void **state)
{
	struct answer a = { 0 };
	struct caller c = { .sub = "alice", .roles = CALLER_USER | CALLER_ADMIN, .can_create_sessions = true, .address = "192.0.2.7" };
	ask(*state, &(struct call_args){ .op = op_find("rdp.servers.get"), .params = { ID }, .caller = &c, .request_id = "req-1",
					 .if_match = 3, .deadline_ms = 2000, .hops = 1 }, &a);
	assert_string_equal(seen_caller.sub, "alice");
	assert_int_equal(seen_caller.roles & CALLER_ADMIN, CALLER_ADMIN);
	assert_true(seen_caller.can_create_sessions);
	assert_string_equal(seen_request, "req-1");
	assert_in_range(seen_left_ms, 1, 2000);
	assert_in_range(seen_hops, 1, 2);
	answer_done(&a);
}

static void test_text_answers_keep_their_type(void **state)
{
	struct answer a = { 0 };
	ask(*state, &(struct call_args){ .op = op_find("rdp.servers.rdp_file"), .params = { ID } }, &a);
	assert_int_equal(a.err, ERR_OK);
	assert_string_equal(a.text, "full address:s:x\r\n");
	answer_done(&a);
}

static void test_errors_arrive_complete(void **state)
{
	struct answer a = { 0 };
	ask(*state, &(struct call_args){ .op = op_find("rdp.servers.stop"), .params = { ID } }, &a);
	assert_int_equal(a.err, ERR_CONFLICT);
	assert_string_equal(a.message, "sessions live");
	assert_string_equal(doc_str(json_array_get(a.details, 0), "field", ""), "x");
	assert_null(a.doc);
	answer_done(&a);
}

static void test_bad_documents_do_not_reach_the_handler(void **state)
{
	struct answer a = { 0 };
	_cleanup_(doc_unrefp) json_t *body = json_pack("{s:i,s:s}", "name", 5, "nonsense", "x");
	ask(*state, &(struct call_args){ .op = op_find("rdp.servers.create"), .body = body }, &a);
	assert_int_equal(a.err, ERR_INVALID);
	assert_int_equal(json_array_size(a.details), 2);
	answer_done(&a);
	ask(*state, &(struct call_args){ .op = op_find("rdp.servers.get"), .params = { "../etc" } }, &a);
	assert_int_equal(a.err, ERR_INVALID);
	answer_done(&a);
	assert_int_equal(handled, 0);
}

static void test_no_content(void **state)
{
	struct answer a = { 0 };
	ask(*state, &(struct call_args){ .op = op_find("rdp.servers.delete"), .params = { ID } }, &a);
	assert_int_equal(a.err, ERR_OK);
	assert_int_equal(a.status, 204);
	assert_null(a.doc);
	answer_done(&a);
}

static void test_deadline_answers_once_and_tells_the_handler(void **state)
{
	struct bus_fixture *f = *state;
	struct answer a = { 0 };
	ask(f, &(struct call_args){ .op = op_find("rdp.servers.restart"), .params = { ID }, .deadline_ms = REACHED_MS }, &a);
	assert_int_equal(a.err, ERR_DEADLINE);
	spin(f, 300, &cancelled);
	assert_int_equal(cancelled, 1);
	assert_non_null(held);
	call_ok(held, NULL); /* too late: it is dropped */
	spin(f, 50, NULL);
	assert_int_equal(a.count, 1);
	answer_done(&a);
}

static void test_cancelled_call_gets_no_answer(void **state)
{
	struct bus_fixture *f = *state;
	struct answer a = { 0 };
	uint64_t id = bus_call(f->asks, &(struct call_args){ .op = op_find("rdp.servers.restart"), .params = { ID }, .caller = &someone }, keep, &a);
	spin(f, 2000, &handled);
	bus_cancel(f->asks, id);
	spin(f, f->cancel_stays ? 50 : 2000, f->cancel_stays ? NULL : &cancelled);
	assert_int_equal(cancelled, !f->cancel_stays);
	call_ok(held, NULL);
	spin(f, 50, NULL);
	assert_int_equal(a.count, 0);
	bus_cancel(f->asks, id); /* the call has ended already: nothing happens */
	bus_cancel(f->asks, 0);
	assert_int_equal(bus_calls_open(f->asks), 0);
}

static void test_thousand_calls_each_answered_once(void **state)
{
	struct bus_fixture *f = *state;
	static struct answer a[1000];
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	memset(a, 0, sizeof a);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		bus_call(f->asks, &(struct call_args){ .op = op_find(i % 2 ? "rdp.servers.get" : "rdp.servers.stop"), .params = { ID }, .caller = &someone,
							  .deadline_ms = PATIENCE_MS }, keep, &a[i]);
	while (bus_calls_open(f->asks) && clock_mono_ms() < end)
		spin(f, 10, NULL);
	spin(f, 10, NULL);
	for (size_t i = 0; i < ARRAY_LEN(a); i++) {
		assert_int_equal(a[i].count, 1);
		assert_int_equal(a[i].err, i % 2 ? ERR_OK : ERR_CONFLICT);
		answer_done(&a[i]);
	}
}

static void test_call_that_nobody_serves_is_unavailable(void **state)
{
	struct answer a = { 0 };
	ask(*state, &(struct call_args){ .op = op_find("xrdp.instances.list") }, &a);
	assert_int_equal(a.err, ERR_UNAVAILABLE);
	assert_non_null(strstr(a.message, "xrdp-integration"));
	answer_done(&a);
}

static int heard;
static char heard_topic[64], heard_object[64], heard_value[64], heard_viewer[64];
static void on_event(const struct event *e, UNUSED void *ctx)
{
	heard++;
	snprintf(heard_topic, sizeof heard_topic, "%s", e->topic);
	snprintf(heard_object, sizeof heard_object, "%s", e->object_id);
	snprintf(heard_value, sizeof heard_value, "%s", doc_str(e->data, "v", ""));
	snprintf(heard_viewer, sizeof heard_viewer, "%s", e->viewer_id);
}

static void test_events_arrive_at_matching_subscribers(void **state)
{
	struct bus_fixture *f = *state;
	if (!f->carries_events)
		return;
	heard = 0;
	struct subscription *s = bus_subscribe(f->asks, "xrdp.instance.*", on_event, NULL);
	bus_publish(f->serves, "xrdp.connection.opened", ID, "", NULL);
	bus_publish(f->serves, "xrdp.instance.started", ID, "alice", json_pack("{s:s}", "v", "1"));
	spin(f, 3000, &heard);
	assert_int_equal(heard, 1);
	assert_string_equal(heard_topic, "xrdp.instance.started");
	assert_string_equal(heard_object, ID);
	assert_string_equal(heard_value, "1");
	assert_string_equal(heard_viewer, "");
	heard = 0;
	bus_publish_viewed(f->serves, "xrdp.instance.started", ID, "alice", "bob", NULL);
	spin(f, 3000, &heard);
	assert_int_equal(heard, 1);
	assert_string_equal(heard_viewer, "bob");
	bus_unsubscribe(s);
	bus_publish(f->serves, "xrdp.instance.exited", ID, "alice", NULL);
	spin(f, 50, NULL);
	assert_int_equal(heard, 1);
}

static void test_lost_connection_is_uncertain(void **state)
{
	struct bus_fixture *f = *state;
	struct answer a = { 0 };
	if (!f->cut)
		return;
	bus_call(f->asks, &(struct call_args){ .op = op_find("rdp.servers.restart"), .params = { ID }, .caller = &someone }, keep, &a);
	spin(f, 3000, &handled);
	f->cut(f);
	spin(f, 3000, &a.count);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.err, ERR_UNCERTAIN);
	answer_done(&a);
	spin(f, 3000, &cancelled);
	assert_int_equal(cancelled, 1);
	call_ok(held, NULL);
	ask(f, &(struct call_args){ .op = op_find("rdp.servers.get"), .params = { ID } }, &a);
	assert_true(a.err == ERR_UNAVAILABLE || a.err == ERR_UNCERTAIN);
	answer_done(&a);
}

static int bus_suite_run(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, make, unmake)
	const struct CMUnitTest tests[] = {
		T(test_get_passes_param_version_and_bytes),
		T(test_create_passes_body_defaults_status_location),
		T(test_query_is_typed_and_defaulted),
		T(test_caller_request_id_and_deadline_go_along),
		T(test_text_answers_keep_their_type),
		T(test_errors_arrive_complete),
		T(test_bad_documents_do_not_reach_the_handler),
		T(test_no_content),
		T(test_deadline_answers_once_and_tells_the_handler),
		T(test_cancelled_call_gets_no_answer),
		T(test_thousand_calls_each_answered_once),
		T(test_call_that_nobody_serves_is_unavailable),
		T(test_events_arrive_at_matching_subscribers),
		T(test_lost_connection_is_uncertain),
		T(test_pieces_arrive_complete_and_in_order),
		T(test_the_reader_sets_the_pace),
		T(test_truncated_source_is_an_error),
		T(test_source_without_a_reader_is_closed),
		T(test_reader_may_close_while_it_waits),
		T(test_lost_connection_truncates_the_source),
	};
#undef T
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
