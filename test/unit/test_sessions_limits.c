/* The limits of sessions: sent to the agent once, again when they change or were lost, and announced. */
#include "test/unit/sessions_rig.h"

/* What the desktop shows: "idle max disconnected". */
static const char *limits_of(struct rig *t, const char *server, int display)
{
	static char text[64];
	json_t *d;
	size_t i;
	text[0] = 0;
	json_array_foreach(rig_desktops(t, server), i, d)
	{
		const json_t *l = json_object_get(d, "limits");
		if (doc_int(d, "display", 0) == display)
			snprintf(text, sizeof text, "%lld %lld %lld", (long long)doc_int(l, "idle_timeout", -1), (long long)doc_int(l, "max_duration", -1),
				 (long long)doc_int(l, "disconnected_timeout", -1));
	}
	return text;
}

#define LIMITS(t, display, text) RIG_UNTIL(t, str_eq(limits_of(t, ONE, display), text))

/* A declared session that is in use, with these limits. */
static void in_use(struct rig *t, const char *limits, char id[SESSION_ID_SIZE])
{
	struct answer a = { 0 };
	_cleanup_(xfreep) char *body = xasprintf("{'server_id':'" ONE "','limits':%s}", limits);
	side_call(t->front, &a, &anna, "sessions.create", NULL, NULL, body);
	assert_int_equal(a.err, 0);
	assert_true(str_copy(id, SESSION_ID_SIZE, doc_str(a.doc, "session_id", "")));
	json_decref(a.doc);
	rig_desktop(t, ONE, "ann", 10, EARLY, "active", "c1");
	RIG_UNTIL(t, str_eq(rig_member(t, id, "status"), "\"active\""));
}

static void list_again(struct rig *t)
{
	unsigned listed = t->listed;
	rig_event(t, BUS_GAP, "", json_object());
	RIG_UNTIL(t, t->listed > listed);
	loop_rig_run_ms(t->loop, 50);
}

static void change(struct rig *t, struct side *s, const char *id, const char *body)
{
	struct answer a = { 0 };
	side_call(s, &a, &anna, "sessions.patch", id, NULL, body);
	assert_int_equal(a.err, 0);
	json_decref(a.doc);
}

static void test_limits_are_sent_once(void **state)
{
	struct rig t;
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	in_use(&t, "{'idle_timeout':900,'max_duration':7200}", id);
	LIMITS(&t, 10, "900 7200 3600");
	list_again(&t);
	list_again(&t);
	assert_int_equal(t.limits_set, 1);
	/* a found session has those of the settings */
	rig_desktop(&t, ONE, "ann", 11, LATER, "active", "c2");
	LIMITS(&t, 11, "0 0 3600");
	rig_close(&t);
}

static void test_change_of_limits_is_sent_at_once(void **state)
{
	struct rig t;
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	in_use(&t, "{'max_duration':7200}", id);
	LIMITS(&t, 10, "0 7200 3600");
	list_again(&t);
	unsigned listed = t.listed;
	change(&t, t.front, id, "{'limits':{'max_duration':60}}");
	LIMITS(&t, 10, "0 60 3600");
	change(&t, t.front, id, "{'limits':null}");
	LIMITS(&t, 10, "0 0 3600");
	assert_int_equal(t.listed, listed);
	change(&t, t.front, id, "{'description':'other'}");
	loop_rig_run_ms(t.loop, 50);
	assert_int_equal(t.limits_set, 3);
	rig_close(&t);
}

static void test_changed_setting_is_sent(void **state)
{
	struct rig t;
	char id[SESSION_ID_SIZE], *no_env[] = { NULL };
	const char *set[] = { "SESSION_TIMEOUT=0", NULL }, *none[] = { NULL };
	struct config_input in = { .env = no_env, .set = set, .env_files = none };
	struct strbuf faults = { 0 }, warnings = { 0 };
	rig_open(&t, 1, NULL);
	in_use(&t, "{'idle_timeout':900}", id);
	LIMITS(&t, 10, "900 0 3600");
	struct config *next = config_load(options(), options_n(), &in, &faults, &warnings);
	assert_non_null(next);
	role_rdp_session_controller.reload(t.front->role, next, true, NULL, 0);
	LIMITS(&t, 10, "900 0 0");
	strbuf_done(&faults);
	strbuf_done(&warnings);
	config_free(next);
	rig_close(&t);
}

static void test_lost_limits_are_sent_again(void **state)
{
	struct rig t;
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	t.limits_error = ERR_DEADLINE;
	in_use(&t, "{'idle_timeout':900}", id);
	RIG_UNTIL(&t, t.limits_set == 1);
	t.limits_error = 0;
	LIMITS(&t, 10, "900 0 3600"); /* without an event */
	/* the agent has lost them */
	json_object_del(json_array_get(rig_desktops(&t, ONE), 0), "limits");
	list_again(&t);
	LIMITS(&t, 10, "900 0 3600");
	rig_close(&t);
}

static void test_only_the_leader_sends_what_another_controller_changed(void **state)
{
	struct rig t;
	char id[SESSION_ID_SIZE];
	rig_open(&t, 2, NULL);
	in_use(&t, "{'idle_timeout':900}", id);
	LIMITS(&t, 10, "900 0 3600");
	list_again(&t);
	assert_int_equal(t.limits_set, 1);
	for (size_t i = 0; i < 2; i++) {
		_cleanup_(xfreep) char *body = xasprintf("{'limits':{'idle_timeout':%d}}", 100 + (int)i), *want = xasprintf("%d 0 3600", 100 + (int)i);
		change(&t, &t.side[i], id, body);
		LIMITS(&t, 10, want);
	}
	assert_int_equal(t.limits_set, 3);
	rig_close(&t);
}

static void test_announcement_is_published_once(void **state)
{
	struct rig t;
	char id[SESSION_ID_SIZE];
	rig_open(&t, 2, NULL);
	in_use(&t, "{'idle_timeout':900}", id);
	json_t *said = json_pack("{s:i, s:s, s:s, s:s, s:i, s:s}", "display", 10, "username", "ann", "started_at", EARLY, "limit", "idle", "seconds", 60,
				 "action", "end");
	json_t *other = json_deep_copy(said);
	doc_set_str(other, "started_at", LATER); /* of another desktop, which had this display */
	rig_event(&t, "xrdp.desktop.expiring", ONE, other);
	loop_rig_run_ms(t.loop, 50);
	assert_null(strstr(t.side[0].events, "expiring"));
	rig_event(&t, "xrdp.desktop.expiring", ONE, said);
	RIG_UNTIL(&t, strstr(t.side[0].events, "expiring ") || strstr(t.side[1].events, "expiring "));
	loop_rig_run_ms(t.loop, 100);
	size_t n = 0;
	for (size_t i = 0; i < 2; i++)
		for (const char *p = t.side[i].events; (p = strstr(p, "expiring ")); p++)
			n++;
	assert_int_equal(n, 1);
	rig_close(&t);
}

static void test_limit_that_ended_a_desktop_is_the_reason(void **state)
{
	static const char *const reasons[] = { "idle_timeout", "max_duration", "disconnected_timeout" };
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		struct rig t;
		char id[SESSION_ID_SIZE];
		rig_open(&t, 1, NULL);
		in_use(&t, "{}", id);
		rig_desktop_ends(&t, ONE, 10, reasons[i]);
		RIG_UNTIL(&t, str_eq(rig_member(&t, id, "status"), "\"expired\""));
		_cleanup_(xfreep) char *want = xasprintf("\"%s\"", reasons[i]);
		assert_string_equal(rig_member(&t, id, "status_reason"), want);
		rig_close(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits_are_sent_once),
		cmocka_unit_test(test_change_of_limits_is_sent_at_once),
		cmocka_unit_test(test_changed_setting_is_sent),
		cmocka_unit_test(test_lost_limits_are_sent_again),
		cmocka_unit_test(test_only_the_leader_sends_what_another_controller_changed),
		cmocka_unit_test(test_announcement_is_published_once),
		cmocka_unit_test(test_limit_that_ended_a_desktop_is_the_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
