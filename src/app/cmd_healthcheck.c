#include <stdio.h>

#include "app/app_config.h"
#include "app/commands.h"
#include "app/roles.h"
#include "app/tls_files.h"
#include "net/http_client.h"
#include "net/http_url.h"

#define TIMEOUT_S 5 /* each readiness check is bounded to as much */

static const char help[] =
	"lucid-rdp healthcheck [URL] [--live] [--timeout SECONDS] [OPTION…]: asks a running program and exits 0 when it is ready, else\n"
	"1 with a sentence. Without a URL it asks GET /health/ready on the first role's port, found from the same settings.\n"
	"  URL                  http://host:port[/path], https://… or unix:/socket[:/path]; /health/ready where it has no path\n"
	"  --live               ask /health: does it answer at all\n"
	"  --timeout SECONDS    for all of it, default 5\n";

struct target {
	const char *url, *timeout;
	bool live;
	struct tls_files tls;
	bool own; /* this host's program, found from the settings */
};

static void free_target(struct target *t)
{
	tls_files_done(&t->tls);
}

static int take(struct cli *c, int argc, char **argv, int *i, void *arg)
{
	struct target *t = arg;
	if (str_eq(argv[*i], "--live"))
		return t->live = true;
	if (argv[*i][0] != '-' && !t->url) {
		t->url = argv[*i];
		return 1;
	}
	return cli_value(c, "--timeout", argc, argv, i, &t->timeout);
}

/* Where this host's own program listens: an address for everything is asked on loopback. */
static char *own_url(const struct config *c)
{
	const struct role *roles[8];
	char why[512];
	const char *const *bind = config_list(c, "BIND_ADDRESS");
	if (!roles_select(config_list(c, "ROLE"), roles, why, sizeof why))
		return NULL;
	if (bind[0] && str_starts(bind[0], "unix:"))
		return xstrdup(bind[0]);
	const char *host = !bind[0] || str_eq(bind[0], "0.0.0.0") ? "127.0.0.1" : str_eq(bind[0], "::") ? "::1" : bind[0];
	bool six = strchr(host, ':');
	return xasprintf("http%s://%s%s%s:%d", *config_str(c, "TLS_CERT_FILE") ? "s" : "", six ? "[" : "", host, six ? "]" : "",
			 (int)config_int(c, roles[0]->port_option));
}

/* NULL after saying why. */
static char *from_settings(struct target *t, struct cli *c)
{
	char why[512];
	c->secrets = SECRETS_SKIP;
	struct config *config = app_config_load_or_say(c);
	char *url = config ? own_url(config) : NULL;
	t->own = true;
	if (url && str_starts(url, "https:") && !tls_files_read(config, &t->tls, why, sizeof why)) {
		/* without mutual TLS nothing is to be shown */
		if (*config_str(config, "TLS_CLIENT_CA_FILE")) {
			fprintf(stderr, "healthcheck: %s\n", why);
			free(url);
			url = NULL;
		}
	}
	config_free(config);
	return url;
}

/* https: what the settings have of certificates and authorities is used, where there are such settings. */
static void look_for_tls(struct target *t, struct cli *c)
{
	char why[512];
	struct strbuf unheard = { 0 };
	c->secrets = SECRETS_SKIP;
	struct config *config = app_config_load(c, &unheard, &unheard);
	if (config)
		tls_files_read(config, &t->tls, why, sizeof why);
	config_free(config);
	strbuf_done(&unheard);
}

struct heard {
	struct loop *loop;
	const char *url;
	int code;
};

static void on_answer(const struct http_result *res, void *arg)
{
	struct heard *h = arg;
	size_t len = 0;
	const char *body = http_result_body(res, &len);
	h->code = http_result_outcome(res) == HTTP_ANSWERED && http_result_status(res) == 200 ? 0 : 1;
	if (http_result_outcome(res) != HTTP_ANSWERED)
		fprintf(stderr, "healthcheck: %s: %s\n", h->url, http_result_why(res));
	else if (h->code)
		fprintf(stderr, "healthcheck: %s answers %d: %.*s\n", h->url, http_result_status(res), (int)MIN(len, (size_t)2000), body ? body : "");
	loop_stop(h->loop);
}

static int ask(const struct target *t, const char *url, int64_t seconds)
{
	static const struct http_header headers[] = { { "User-Agent", "lucid-rdp-healthcheck" }, { "Connection", "close" } };
	struct heard heard = { loop_new(), url, 1 };
	struct http_client *client = http_client_new(heard.loop, 1);
	struct http_tls tls = t->tls.pem;
	char text[256];
	const char *why = text;
	tls.trust_anyone = t->own;
	struct http_ask a = { .method = HTTP_GET, .url = url, .headers = headers, .n_headers = ARRAY_LEN(headers), .timeout_ms = seconds * 1000 };
	if (http_client_tls(client, &tls, text, sizeof text) < 0 || http_client_ask(client, &a, on_answer, &heard, &why, NULL) < 0)
		fprintf(stderr, "healthcheck: %s: %s\n", url, why);
	else
		loop_run(heard.loop);
	http_client_free(client);
	loop_free(heard.loop);
	return heard.code;
}

static char *with_path(const struct target *t, const char *url, const struct http_url *u)
{
	const char *path = t->live ? "/health" : "/health/ready";
	if (*u->path && !str_eq(u->path, "/"))
		return xstrdup(url);
	size_t len = (size_t)(u->path - url);
	bool colon = u->scheme == HTTP_LOCAL && url[len - 1] != ':';
	return xasprintf("%.*s%s%s", (int)len, url, colon ? ":" : "", path);
}

int cmd_healthcheck(struct cli *c, int argc, char **argv)
{
	_cleanup_(free_target) struct target t = { 0 };
	int code = EXIT_USAGE;
	int64_t seconds = TIMEOUT_S;
	struct http_url u;
	const char *why = "";
	if (!command_words(c, argc, argv, help, take, &t, &code))
		return code;
	if (t.timeout && !str_int(t.timeout, 1, 300, &seconds)) {
		fprintf(stderr, "healthcheck: --timeout takes 1 to 300 seconds\n");
		return EXIT_USAGE;
	}
	if (t.url && http_url_parse(t.url, &u, &why) < 0) {
		fprintf(stderr, "healthcheck: the URL must be http://host:port[/path], https:// or unix:/socket[:/path]: %s\n", why);
		return EXIT_USAGE;
	}
	_cleanup_(xfreep) char *found = t.url ? NULL : from_settings(&t, c);
	const char *base = t.url ? t.url : found;
	if (!base || http_url_parse(base, &u, &why) < 0)
		return 1;
	if (u.scheme == HTTP_SECURE && t.url)
		look_for_tls(&t, c);
	_cleanup_(xfreep) char *url = with_path(&t, base, &u);
	return ask(&t, url, seconds);
}
