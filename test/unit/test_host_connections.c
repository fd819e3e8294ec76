/* Connections and logins, without a host: the owner of a display, the peer of a request to sesman, blocked addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host/login/login_guard.h"
#include "host/observe/observed.h"
#include "host/login/sesman_peer.h"
#include "lucid/str.h"
#include "sys/log.h"

#define XRDP 120
#define STRANGER 1000

static struct observed see;
static struct instance inst = { .observed = &see };

static void add_connection(struct connection *c, const char *user, int display, int64_t started_ms)
{
	*c = (struct connection){ .instance = &inst, .display = display, .started_ms = started_ms };
	str_copy(c->user, sizeof c->user, user);
	list_append(&see.connections, &c->node);
}

static int reset(void **state)
{
	list_init(&see.desktops);
	list_init(&see.connections);
	list_init(&see.logins);
	return 0;
}

static void test_stale_connection_never_names_the_new_owner(void **state)
{
	struct connection annas, bobs;
	struct desktop d = { .instance = &inst, .display = 1001 };
	str_copy(d.user, sizeof d.user, "bob");
	list_append(&see.desktops, &d.node);
	add_connection(&annas, "anna", 1001, 2000);
	assert_null(connection_of_display(&inst, 1001));
	add_connection(&bobs, "bob", 1001, 1000);
	assert_ptr_equal(connection_of_display(&inst, 1001), &bobs);
	assert_null(connection_of_display(&inst, 1002));
}

static void test_connection_leaves_the_display_of_an_ended_desktop(void **state)
{
	struct connection one, other;
	add_connection(&one, "anna", 1001, 1);
	add_connection(&other, "anna", 1002, 1);
	connections_leave(&inst, 1001);
	assert_int_equal(one.display, 0);
	assert_int_equal(other.display, 1002);
}

/* --- sesman's request */

static struct sesman_pair pair_of(uid_t uid, uint64_t got, uint32_t unread, uint64_t answered)
{
	return (struct sesman_pair){ { .state = 1, .bytes_in = got, .unread = unread, .bytes_out = answered, .local = true },
				     { .inode = uid, .uid = uid } };
}

static enum sesman_peer judge(const struct sesman_pair *p, size_t n)
{
	struct sesman_request r;
	sesman_current(p, n, XRDP, &r);
	return r.peer;
}

static void test_current_request_of_sesman(void **state)
{
	const struct sesman_pair asks = pair_of(XRDP, 90, 0, 0), waits = pair_of(XRDP, 90, 82, 0), answered = pair_of(XRDP, 90, 0, 30);
	const struct sesman_pair guess = pair_of(STRANGER, 60, 0, 0), again = pair_of(STRANGER, 160, 0, 40), silent = pair_of(STRANGER, 0, 0, 0);
	const struct sesman_pair nobody = { asks.sesman, { .inode = 0, .uid = XRDP } };
	assert_int_equal(judge(NULL, 0), PEER_NONE);
	assert_int_equal(judge(&asks, 1), PEER_XRDP);
	/* not read yet, or answered already: sesman works on another one */
	assert_int_equal(judge(&waits, 1), PEER_NONE);
	assert_int_equal(judge(&answered, 1), PEER_NONE);
	assert_int_equal(judge(&guess, 1), PEER_STRANGER);
	assert_int_equal(judge(&again, 1), PEER_STRANGER);
	assert_int_equal(judge(&silent, 1), PEER_NONE);
	assert_int_equal(judge(&nobody, 1), PEER_STRANGER);
	/* a guess at the same time as a waiting login is not attributed to that login */
	const struct sesman_pair beside[] = { waits, guess }, both[] = { guess, asks, silent };
	assert_int_equal(judge(beside, 2), PEER_STRANGER);
	/* and a request that is still being sent does not block logins */
	assert_int_equal(judge(both, 3), PEER_XRDP);
}

/* --- blocked addresses */

static void test_failures_block_a_client_for_a_time(void **state)
{
	const struct login_settings l = { .max_failures = 2, .block_s = 10 }, off = { .block_s = 10 };
	struct login_guard *g = login_guard_new();
	login_guard_failed(g, &l, "192.0.2.1", 1000);
	assert_false(login_guard_blocks(g, &l, "192.0.2.1", 1000));
	login_guard_failed(g, &l, "192.0.2.1", 2000);
	assert_true(login_guard_blocks(g, &l, "192.0.2.1", 11999));
	assert_false(login_guard_blocks(g, &l, "192.0.2.1", 12000));
	assert_false(login_guard_blocks(g, &l, "192.0.2.2", 2000));
	assert_false(login_guard_blocks(g, &off, "192.0.2.1", 2000));
	/* failures that are further apart are not added up */
	login_guard_failed(g, &l, "192.0.2.3", 1000);
	login_guard_failed(g, &l, "192.0.2.3", 11001);
	assert_false(login_guard_blocks(g, &l, "192.0.2.3", 11001));
	/* all addresses of a /64 count as one client */
	login_guard_failed(g, &l, "2001:db8:1:2::1", 1000);
	login_guard_failed(g, &l, "2001:db8:1:2:ffff::9", 1000);
	assert_true(login_guard_blocks(g, &l, "2001:db8:1:2::5", 1000));
	assert_false(login_guard_blocks(g, &l, "2001:db8:1:3::1", 1000));
	login_guard_free(g);
}

static void test_guard_is_bounded(void **state)
{
	log_set_level(LOG_ERROR_); /* otherwise each of them would be logged */
	const struct login_settings l = { .max_failures = 1, .block_s = 100 };
	struct login_guard *g = login_guard_new();
	char address[32];
	for (int n = 0; n <= GUARD_MAX; n++) {
		snprintf(address, sizeof address, "10.0.%d.%d", n / 256, n % 256);
		login_guard_failed(g, &l, address, n);
	}
	assert_false(login_guard_blocks(g, &l, "10.0.0.0", GUARD_MAX)); /* the oldest one was dropped */
	assert_true(login_guard_blocks(g, &l, "10.0.0.1", GUARD_MAX));
	assert_true(login_guard_blocks(g, &l, address, GUARD_MAX));
	login_guard_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_stale_connection_never_names_the_new_owner, reset),
		cmocka_unit_test_setup(test_connection_leaves_the_display_of_an_ended_desktop, reset),
		cmocka_unit_test(test_current_request_of_sesman),
		cmocka_unit_test(test_failures_block_a_client_for_a_time),
		cmocka_unit_test(test_guard_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
