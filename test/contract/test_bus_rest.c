#include "bus_suite.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api.h"
#include "app/options.h"
#include "bus/rest.h"
#include "net/listen.h"
#include "roles/contract/contract.h"
#include "sys/log.h"

/* Two buses with real HTTP between them: the serving one behind the REST face as it is in the program. */
extern const struct role role_rdp_server_manager;
static const struct role *const roles[] = { &role_rdp_server_manager, NULL };

struct ends {
	struct config *config;
	struct token_keys *keys;
	struct api *api;
	struct http_client *client;
	struct rest *rest;
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

static void fixture_make(struct bus_fixture *f)
{
	static const char secret[] = "a secret of more than thirty-two bytes";
	static const char *const set[] = { "RATE_LIMIT_ENABLED=false", "JWT_SECRET=a secret of more than thirty-two bytes", NULL };
	struct ends *e = XNEW(struct ends);
	struct strbuf faults = { 0 }, warnings = { 0 };
	char why[256], url[64];
	char *const no_env[] = { NULL };
	f->own = e;
	f->asks = bus_new(f->loop);
	f->serves = bus_new(f->loop);
	e->config = config_load(options, options_n, &(struct config_input){ .env = no_env, .set = set }, &faults, &warnings);
	if (!e->config)
		fail_msg("%s", faults.s);
	strbuf_done(&warnings);
	e->keys = token_keys_new(&(struct token_options){ .secret = secret, .issuer = "", .audience = "", .lifetime_s = 60 });
	e->api = api_new(&(struct api_env){ .loop = f->loop, .bus = f->serves, .config = e->config, .keys = e->keys, .roles = roles, .all_roles = roles });
	int port = free_port();
	assert_int_equal(listen_tcp("127.0.0.1", port, &e->fd, why, sizeof why), 0);
	assert_int_equal(api_listen(e->api, e->fd, &role_rdp_server_manager), 0);
	snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
	e->client = http_client_new(f->loop, 2048);
	e->rest = rest_new(e->client, e->keys, url);
	bus_route(f->asks, ROLE_SERVERS, rest_transport(e->rest));
	f->cancel_stays = true;
}

static void stop_waiting(void *arg)
{
	*(int *)arg = 1;
}

static void fixture_unmake(struct bus_fixture *f)
{
	struct ends *e = f->own;
	int drained = 0;
	http_client_free(e->client);
	api_drain(e->api, 2000, stop_waiting, &drained);
	spin(f, 3000, &drained);
	api_free(e->api);
	spin(f, 20, NULL); /* answers that nobody reads any more are dropped at the end of a turn */
	rest_free(e->rest);
	close(e->fd);
	token_keys_free(e->keys);
	bus_free(f->asks);
	bus_free(f->serves);
	config_free(e->config);
	free(e);
}

int main(void)
{
	log_set_level(LOG_WARN_);
	return bus_suite_run();
}
