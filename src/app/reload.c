#include "app/reload.h"

#include "app/settings/app_config.h"
#include "app/settings/keys.h"
#include "app/tls_ready.h"
#include "sys/log.h"

struct differences {
	json_t *values;
	struct strbuf live, not_live; /* names */
};

static void note(const struct option *row, const char *text, const char *source, bool given, void *arg)
{
	struct differences *d = arg;
	struct strbuf *names = row->flags & OPT_LIVE ? &d->live : &d->not_live;
	strbuf_printf(names, "%s%s", names->len ? ", " : "", row->name);
	if (row->flags & OPT_LIVE)
		json_array_append_new(d->values, json_pack("{s:s,s:s,s:s,s:b}", "name", row->name, "text", text, "source", source, "given", given));
}

static void say_faults(struct strbuf *faults)
{
	char *rest = faults->s;
	for (char *line = rest ? strsep(&rest, "\n") : NULL; line; line = strsep(&rest, "\n"))
		if (*line)
			log_error("reload", "%s", line);
	log_error("reload", "reload failed; the previous settings stay in force");
}

static void tls_digest(const struct tls_files *t, char dst[ID_DIGEST_SIZE])
{
	const char *const texts[] = { t->cert, t->key, t->client_ca, t->pem.only_1_3 ? "1.3" : "" };
	char all[ARRAY_LEN(texts)][ID_DIGEST_SIZE];
	dst[0] = 0;
	if (!t->cert)
		return;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		id_digest(all[i], texts[i] ? texts[i] : "", texts[i] ? strlen(texts[i]) : 0);
	id_digest(dst, all, sizeof all);
}

static bool tls_is_new(const struct reload *r)
{
	char next[ID_DIGEST_SIZE];
	tls_digest(&r->next_tls, next);
	return !str_eq(r->tls_digest, next);
}

/* Compares the content of the files, because certificates are renewed under the same names. */
static void note_tls(struct reload *r, json_t *doc, struct differences *d)
{
	const struct tls_files *t = &r->next_tls;
	tls_digest(t, r->next_tls_digest);
	if (!*r->tls_digest != !t->cert) {
		strbuf_printf(&d->not_live, "%sTLS on/off", d->not_live.len ? ", " : "");
		return;
	}
	if (str_eq(r->tls_digest, r->next_tls_digest))
		return;
	strbuf_printf(&d->live, "%sthe TLS files", d->live.len ? ", " : "");
	json_t *tls = json_object();
	doc_set_str(tls, "cert", t->cert);
	doc_set_str(tls, "key", t->key);
	doc_set_str(tls, "client_ca", t->client_ca);
	doc_set_bool(tls, "only_1_3", t->pem.only_1_3);
	doc_set(doc, "tls", tls);
}

/* The same for the file with the public keys. The server reads that file itself when it applies the changes. */
static void note_keys(struct reload *r, struct differences *d)
{
	static const char name[] = "JWT_PUBLIC_KEY_FILE";
	str_copy(r->next_keys, sizeof r->next_keys, r->keys);
	if (!str_eq(config_str(r->config, name), config_str(r->next, name)))
		return; /* another file is read only at the next start */
	keys_digest(r->next, r->next_keys);
	if (!str_eq(r->keys, r->next_keys))
		strbuf_printf(&d->live, "%sthe keys in %s", d->live.len ? ", " : "", name);
}

static json_t *reload_compare(struct reload *r)
{
	struct differences d = { .values = json_array() };
	json_t *doc = json_object();
	config_compare(r->config, r->next, note, &d);
	note_tls(r, doc, &d);
	note_keys(r, &d);
	if (d.not_live.len)
		log_warn("reload", "changed, but applied only at the next start: %s", d.not_live.s);
	if (!d.live.len)
		log_info("reload", "no setting changed that can be applied without a restart");
	else
		doc_set_str(doc, "names", d.live.s);
	json_object_set_new(doc, "values", d.values);
	if (!d.live.len) {
		doc_unref_secret(doc);
		doc = NULL;
	}
	strbuf_done(&d.live);
	strbuf_done(&d.not_live);
	return doc;
}

void reload_begin(struct reload *r)
{
	keys_digest(r->config, r->keys);
	tls_digest(r->tls, r->tls_digest);
}

json_t *reload_read(struct reload *r)
{
	struct strbuf faults = { 0 }, ignored = { 0 };
	struct cli cli = *r->cli;
	char why[512];
	json_t *doc = NULL;
	cli.secrets = SECRETS_SKIP; /* generated secrets do not change */
	r->next = app_config_load(&cli, &faults, &ignored);
	if (r->next && !tls_files_read(r->next, &r->next_tls, why, sizeof why))
		strbuf_printf(&faults, "%s\n", why);
	else if (r->next && r->next_tls.cert && tls_is_new(r) && !tls_ready_in_time(&r->next_tls.pem, why, sizeof why))
		strbuf_printf(&faults, "TLS_CERT_FILE %s: %s\n", config_str(r->next, "TLS_CERT_FILE"), why);
	if (faults.len)
		say_faults(&faults);
	else
		doc = reload_compare(r);
	strbuf_done(&faults);
	strbuf_done(&ignored);
	if (!doc)
		reload_end(r, false);
	return doc;
}

void log_use_level(const struct config *c)
{
	enum log_level level;
	if (log_level_from_string(config_str(c, "LOG_LEVEL"), &level))
		log_set_level(level);
}

static void take_value(const struct option *row, const char *text, const char *source, bool given, void *arg)
{
	struct strbuf ignored = { 0 }; /* cannot fail: the value was parsed with the same row before */
	if (row->flags & OPT_LIVE)
		config_put(arg, row->name, text, source, given, &ignored);
	strbuf_done(&ignored);
}

void reload_end(struct reload *r, bool taken)
{
	if (taken) {
		config_compare(r->config, r->next, take_value, r->config);
		log_use_level(r->config);
		str_copy(r->keys, sizeof r->keys, r->next_keys);
	}
	if (taken && *r->tls_digest && r->next_tls.cert)
		str_copy(r->tls_digest, sizeof r->tls_digest, r->next_tls_digest);
	if (taken && r->next_tls.cert && r->tls->cert) {
		tls_files_done(r->tls);
		*r->tls = r->next_tls;
		r->next_tls = (struct tls_files){ 0 };
	}
	tls_files_done(&r->next_tls);
	config_free(TAKE_PTR(r->next));
}

bool reload_values(struct config *c, const json_t *doc, struct strbuf *faults)
{
	size_t i;
	json_t *v;
	bool ok = true;
	json_array_foreach(json_object_get(doc, "values"), i, v)
		ok = ok && config_put(c, doc_str(v, "name", ""), doc_str(v, "text", ""), doc_str(v, "source", ""), doc_bool(v, "given", false), faults);
	return ok;
}

static char *text_of(const json_t *tls, const char *key)
{
	const char *s = doc_str(tls, key, NULL);
	return s ? xstrdup(s) : NULL;
}

void reload_tls(const json_t *doc, struct tls_files *ret)
{
	const json_t *tls = json_object_get(doc, "tls");
	tls_files_done(ret);
	if (tls)
		tls_files_set(ret, text_of(tls, "cert"), text_of(tls, "key"), text_of(tls, "client_ca"), doc_bool(tls, "only_1_3", false));
}
