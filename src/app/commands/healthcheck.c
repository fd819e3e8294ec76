#include <stdio.h>

#include "app/settings/app_config.h"
#include "app/commands/commands.h"
#include "app/roles.h"
#include "app/settings/tls_files.h"
#include "net/client/http_client.h"
#include "net/http_host.h"
#include "net/http_url.h"

#define TIMEOUT_S 5 /* the same as the time limit of each readiness check */

static const char help[] =
	"lucid-rdp healthcheck [URL] [--live] [--timeout SECONDS] [OPTION…]: asks a running program whether it is ready. Exits 0 if so, otherwise\n"
	"1 with a sentence. Without a URL it asks GET /health/ready on the first role's port, found from the same settings.\n"
	"  URL                  http://host:port[/path], https://… or unix:/socket[:/path]; /health/ready where it has no path\n"
	"  --live               ask /health instead: is the program alive\n"
	"  --timeout SECONDS    for the whole check; default 5\n";

struct target {
	const char *url, *timeout;
	bool live;
	struct tls_files tls;
	bool own; /* this host's program, found from the settings */
	char *host; /* value of the Host header; NULL: that of the URL */
};

static void free_target(struct target *t)
{
	free(t->host);
	tls_files_done(&t->tls);
}

static int healthcheck_option(struct cli *c, int argc, char **argv, int *i, void *arg)
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

/* The URL of the program on this host; if it listens on all addresses, by loopback. */
static char *own_url(const struct config *c)
{
	const struct role *roles[ROLES_N + 1];
	char why[512];
	const char *const *bind = config_list(c, "BIND_ADDRESS");
	if (!roles_select(config_list(c, "ROLE"), roles, why, sizeof why))
		return NULL;
	if (bind[0] && str_starts(bind[0], "unix:"))
		return xstrdup(bind[0]);
	const char *host = !bind[0] || str_eq(bind[0], "0.0.0.0") ? "127.0.0.1" : str_eq(bind[0], "::") ? "::1" : bind[0];
	bool six = strchr(host, ':');
	return xasprintf("http%s://%s%s%s:%d", *config_str(c, "TLS_CERT_FILE") ? "s" : "", six ? "[" : "", host, six ? "]" : "",
			 (int)config_int(c, roles[0]->option[ROLE_OPT_PORT]));
}

/* A host name that ALLOWED_HOSTS permits, because the address that is called need not be listed. NULL: any name is permitted, or none was
 * found. */
static char *allowed_name(const struct config *c)
{
	static const char any[] = "lucid-rdp";
	const char *const *list = config_list(c, "ALLOWED_HOSTS");
	struct strbuf b = { 0 };
	for (const char *const *p = list; *p; p++)
		if (str_eq(*p, "*"))
			return NULL;
	for (const char *p = *list; p && *p; p++)
		if (*p == '*')
			strbuf_puts(&b, any);
		else
			strbuf_putc(&b, *p);
	if (b.s && strchr(b.s, ':') && b.s[0] != '[' && strchr(b.s, ':') != strrchr(b.s, ':')) {
		_cleanup_(xfreep) char *bare = strbuf_take(&b);
		strbuf_printf(&b, "[%s]", bare);
	}
	bool good = b.s && http_host_ok(b.s, b.len);
	char *name = good ? strbuf_take(&b) : NULL;
	strbuf_done(&b);
	return name;
}

/* The URL from the settings; NULL after printing why there is none. */
static char *from_settings(struct target *t, struct cli *c)
{
	char why[512];
	c->secrets = SECRETS_SKIP;
	struct config *config = app_config_load_or_say(c);
	char *url = config ? own_url(config) : NULL;
	t->own = true;
	if (config)
		t->host = allowed_name(config);
	if (url && str_starts(url, "https:") && !tls_files_read(config, &t->tls, why, sizeof why)) {
		/* the certificate is needed only if clients must present one */
		if (*config_str(config, "TLS_CLIENT_CA_FILE")) {
			fprintf(stderr, "healthcheck: %s\n", why);
			free(url);
			url = NULL;
		}
	}
	config_free(config);
	return url;
}

static bool is_loopback(const struct http_url *u)
{
	return u->scheme == HTTP_LOCAL || str_eq(u->host, "localhost") || str_eq(u->host, "::1") || str_starts(u->host, "127.");
}

/* For a URL from the command line: uses the certificates of the settings, if there are any, for https, and a name of ALLOWED_HOSTS for a
 * program on this host. */
static void look_at_settings(struct target *t, struct cli *c, const struct http_url *u)
{
	char why[512];
	struct strbuf ignored = { 0 };
	c->secrets = SECRETS_SKIP;
	struct config *config = app_config_load(c, &ignored, &ignored);
	if (config && u->scheme == HTTP_SECURE)
		tls_files_read(config, &t->tls, why, sizeof why);
	if (config && is_loopback(u))
		t->host = allowed_name(config);
	config_free(config);
	strbuf_done(&ignored);
}

struct heard {
	struct loop *loop;
	const char *url;
	int code;
};

static void on_health(const struct http_result *res, void *arg)
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

static int healthcheck_ask(const struct target *t, const char *url, int64_t seconds)
{
	static const struct http_header headers[] = { { "User-Agent", "lucid-rdp-healthcheck" }, { "Connection", "close" } };
	struct heard heard = { loop_new(), url, 1 };
	struct http_client *client = http_client_new(heard.loop, 1);
	struct http_tls tls = t->tls.pem;
	char text[256];
	const char *why = text;
	tls.trust_anyone = t->own;
	struct http_ask a = { .method = HTTP_GET, .url = url, .host = t->host, .headers = headers, .n_headers = ARRAY_LEN(headers), .timeout_ms = seconds * 1000 };
	if (http_client_tls(client, &tls, text, sizeof text) < 0 || http_client_ask(client, &a, on_health, &heard, &why, NULL) < 0)
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
	if (!command_words(c, argc, argv, help, healthcheck_option, &t, &code))
		return code;
	if (t.timeout && !str_int(t.timeout, 1, 300, &seconds)) {
		fprintf(stderr, "healthcheck: --timeout must be 1 to 300 seconds\n");
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
	if (t.url && (u.scheme == HTTP_SECURE || is_loopback(&u)))
		look_at_settings(&t, c, &u);
	_cleanup_(xfreep) char *url = with_path(&t, base, &u);
	return healthcheck_ask(&t, url, seconds);
}
