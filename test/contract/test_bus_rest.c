#include "bus_suite.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api.h"
#include "app/settings/options.h"
#include "bus/feed.h"
#include "bus/rest.h"
#include "net/listen.h"
#include "roles/contract/contract.h"
#include "sys/log.h"
#include "test/lib/tls_rig.h"

/* Two buses connected by real HTTP: the serving one is behind the REST layer, as in the program. The suite runs for each kind of
 * address in a URL. */
static enum { PLAIN, SECURE, LOCAL } way;
static const char *const ways[] = { "plain", "TLS, certificates shown both ways", "a Unix socket" };
static struct rig_cert authority, server_cert, client_cert;
extern const struct role role_rdp_server_manager;
static const struct role *const roles[] = { &role_rdp_server_manager, NULL };

struct ends {
	struct config *config;
	struct token_keys *keys;
	struct service_token *token;
	struct api *api;
	struct http_client *client;
	struct rest *rest;
	struct feed *feed;
	char path[64];
	int fd;
};

static int free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static void listen_somewhere(struct ends *e, char *url, size_t size)
{
	char why[256];
	int port = free_port();
	if (way == LOCAL) {
		snprintf(e->path, sizeof e->path, "/tmp/lrdp-bus-%d.sock", (int)getpid());
		snprintf(url, size, "unix:%s:", e->path);
		assert_int_equal(listen_unix(e->path, getgid(), &e->fd, why, sizeof why), 0);
	} else {
		snprintf(url, size, "http%s://127.0.0.1:%d", way == SECURE ? "s" : "", port);
		assert_int_equal(listen_tcp("127.0.0.1", port, &e->fd, why, sizeof why), 0);
	}
	assert_int_equal(api_listen(e->api, e->fd, &role_rdp_server_manager), 0);
	if (way != SECURE)
		return;
	const struct http_tls theirs = { server_cert.cert, server_cert.key, authority.cert }, ours = { client_cert.cert, client_cert.key, authority.cert };
	assert_int_equal(api_tls(e->api, &theirs, why, sizeof why), 0);
	assert_int_equal(http_client_tls(e->client, &ours, why, sizeof why), 0);
}

static int alive;
static void on_alive(UNUSED void *arg)
{
	alive = 1;
}

static void fixture_make(struct bus_fixture *f)
{
	static const char secret[] = "a secret of more than thirty-two bytes";
	const char *const set[] = { "RATE_LIMIT_ENABLED=false", "JWT_SECRET=a secret of more than thirty-two bytes",
				    way == SECURE ? "TLS_CERT_FILE=given" : NULL, NULL };
	struct ends *e = XNEW(struct ends);
	struct strbuf faults = { 0 }, warnings = { 0 };
	char url[100];
	char *const no_env[] = { NULL };
	f->own = e;
	f->asks = bus_new(f->loop);
	f->serves = bus_new(f->loop);
	e->config = config_load(options(), options_n(), &(struct config_input){ .env = no_env, .set = set }, &faults, &warnings);
	if (!e->config)
		fail_msg("%s", faults.s);
	strbuf_done(&warnings);
	e->keys = token_keys_new(&(struct token_options){ .secret = secret, .issuer = "", .audience = "", .lifetime_s = 60 });
	e->api = api_new(&(struct api_env){ .loop = f->loop, .bus = f->serves, .config = e->config, .keys = e->keys, .roles = roles, .all_roles = roles });
	e->client = http_client_new(f->loop, 2048);
	http_client_limit_origin(e->client, 64, 1024);
	listen_somewhere(e, url, sizeof url);
	e->token = service_token_new(e->keys);
	e->rest = rest_new(f->loop, e->client, e->token, url);
	e->feed = feed_new(f->loop, f->asks, e->client, e->token, url, on_alive, NULL);
	bus_route(f->asks, ROLE_SERVERS, rest_transport(e->rest));
	alive = 0;
	feed_pause(e->feed, false);
	spin(f, 5000, &alive);
	assert_true(alive);
	f->cancel_stays = true;
	f->carries_events = true;
}

static void stop_waiting(void *arg)
{
	*(int *)arg = 1;
}

static void fixture_unmake(struct bus_fixture *f)
{
	struct ends *e = f->own;
	int drained = 0;
	feed_free(e->feed);
	http_client_free(e->client);
	api_drain(e->api, 2000, stop_waiting, &drained);
	spin(f, 3000, &drained);
	api_free(e->api);
	spin(f, 20, NULL); /* answers without a reader are dropped at the end of a turn */
	rest_free(e->rest);
	if (way == LOCAL)
		unlink(e->path);
	close(e->fd);
	service_token_free(e->token);
	token_keys_free(e->keys);
	bus_free(f->asks);
	bus_free(f->serves);
	config_free(e->config);
	free(e);
}

int main(void)
{
	int failed = 0;
	log_set_level(LOG_WARN_);
	authority = rig_cert_new("authority", NULL, true);
	server_cert = rig_cert_new("server", &authority, false);
	client_cert = rig_cert_new("client", &authority, false);
	for (way = PLAIN; way <= LOCAL; way++) {
		printf("over %s\n", ways[way]);
		failed += bus_suite_run();
	}
	rig_cert_free(&authority);
	rig_cert_free(&server_cert);
	rig_cert_free(&client_cert);
	return failed;
}
