#include "app/settings/tls_files.h"

#include <errno.h>
#include <stdio.h>

#include "lucid/str.h"
#include "sys/files.h"

#define FILE_MAX (1 << 20)

static void free_text(char **text)
{
	if (!*text)
		return;
	mem_wipe(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

static bool read_option(const struct config *c, const char *option, char **ret, char *why, size_t size)
{
	const char *path = config_str(c, option);
	if (!*path)
		return true;
	*ret = file_read(path, FILE_MAX, NULL); /* follows links, because ACME clients renew certificates by links */
	if (!*ret)
		snprintf(why, size, "%s: cannot read %s: %s", option, path, strerror(errno));
	return *ret;
}

void tls_files_set(struct tls_files *t, char *cert, char *key, char *client_ca, bool only_1_3)
{
	tls_files_done(t);
	*t = (struct tls_files){ cert, key, client_ca, { cert, key, client_ca, only_1_3 } };
}

/* Tries both sides, because a role presents the same certificate when it calls another one. */
static bool try_out(const struct http_tls *pem, char *why, size_t size)
{
	char what[256];
	struct ssl_ctx_st *server = tls_server_new(pem, what, sizeof what);
	struct ssl_ctx_st *client = server ? tls_client_new(pem, what, sizeof what) : NULL;
	if (!client)
		snprintf(why, size, "TLS_CERT_FILE, TLS_KEY_FILE%s: %s", pem->client_ca ? ", TLS_CLIENT_CA_FILE" : "", what);
	tls_unref(server);
	tls_unref(client);
	return client;
}

bool tls_files_read(const struct config *c, struct tls_files *ret, char *why, size_t size)
{
	_cleanup_(tls_files_done) struct tls_files t = { 0 };
	_cleanup_(free_text) char *cert = NULL;
	_cleanup_(free_text) char *key = NULL;
	_cleanup_(free_text) char *client_ca = NULL;
	if (!read_option(c, "TLS_CERT_FILE", &cert, why, size) || !read_option(c, "TLS_KEY_FILE", &key, why, size) ||
	    !read_option(c, "TLS_CLIENT_CA_FILE", &client_ca, why, size))
		return false;
	tls_files_set(&t, TAKE_PTR(cert), TAKE_PTR(key), TAKE_PTR(client_ca), str_eq(config_str(c, "TLS_MIN_VERSION"), "1.3"));
	if (t.cert && !try_out(&t.pem, why, size))
		return false;
	tls_files_done(ret);
	*ret = t;
	t = (struct tls_files){ 0 };
	return true;
}

void tls_files_done(struct tls_files *t)
{
	free_text(&t->cert);
	free_text(&t->key);
	free_text(&t->client_ca);
	t->pem = (struct http_tls){ 0 };
}
