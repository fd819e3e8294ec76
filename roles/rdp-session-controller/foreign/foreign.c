#include "roles/rdp-session-controller/foreign/foreign.h"

#include "lucid/str.h"
#include "lucid/target.h"

static void check_password(const struct controller *c, const char *password, struct faults *f)
{
	if (password && !c->env.seal)
		faults_add(f, "rdp_config.password", "cannot be stored, because MASTER_KEY is not set; have an admin set it (at least 32 bytes), or omit the password");
}

/* Such a name has a domain already, and clients join the two. */
static void check_domain(const json_t *config, struct faults *f)
{
	const char *username = doc_str(config, "username", NULL);
	if (!doc_str(config, "domain", NULL))
		return;
	if (!username)
		faults_add(f, "rdp_config.domain", "requires a username; omit it, or name the account");
	else if (strpbrk(username, "\\@"))
		faults_add(f, "rdp_config.domain", "cannot be combined with a username that has a domain (DOMAIN\\name, name@realm); send it in one of the two");
}

void foreign_check(const struct controller *c, const json_t *declared, struct faults *f)
{
	if (!target_host_ok(doc_str(declared, "host", "")))
		faults_add(f, "rdp_config.host", "must be a host name, or an IPv4 or IPv6 address in its usual form, such as 192.0.2.7 or 2001:db8::7");
	check_domain(declared, f);
	check_password(c, doc_str(declared, "password", NULL), f);
}

json_t *foreign_config(const json_t *declared)
{
	if (!json_is_object(declared))
		return NULL;
	json_t *config = json_object();
	doc_set_str(config, "host", doc_str(declared, "host", ""));
	doc_set_int(config, "port", doc_int(declared, "port", FOREIGN_PORT));
	doc_set_str(config, "username", doc_str(declared, "username", NULL));
	doc_set_str(config, "domain", doc_str(declared, "domain", NULL));
	doc_set_bool(config, "has_password", doc_str(declared, "password", NULL) != NULL);
	return config;
}

void foreign_check_change(const struct controller *c, const json_t *doc, const json_t *patch, struct faults *f)
{
	const json_t *change = json_object_get(patch, "rdp_config"), *stored = json_object_get(doc, "rdp_config");
	if (json_is_object(change) && !json_is_object(stored)) {
		faults_add(f, "rdp_config", "must be null: the session is on a server of this installation; declare another session for a foreign RDP host");
	} else if (json_is_null(change) && json_is_object(stored)) {
		faults_add(f, "rdp_config", "cannot be removed; end the session and declare another one");
	} else if (change) {
		_cleanup_(doc_unrefp) json_t *next = doc_merge(stored, change);
		check_domain(next, f);
		check_password(c, foreign_password(patch), f);
	}
}

void foreign_change(const json_t *doc, const json_t *patch, json_t *next)
{
	static const char *const nullable[] = { "username", "domain" };
	if (!foreign_doc(doc))
		return;
	json_t *config = json_copy(json_object_get(next, "rdp_config"));
	for (size_t i = 0; i < ARRAY_LEN(nullable); i++)
		if (!json_object_get(config, nullable[i]))
			doc_set(config, nullable[i], NULL);
	json_object_del(config, "password");
	bool has = doc_bool(config, "has_password", false);
	doc_set_bool(config, "has_password", foreign_password(patch) || (has && !foreign_password_removed(doc, patch)));
	doc_set(next, "rdp_config", config);
}

const char *foreign_password(const json_t *body)
{
	return doc_str(json_object_get(body, "rdp_config"), "password", NULL);
}

bool foreign_password_removed(const json_t *doc, const json_t *patch)
{
	const json_t *given = json_object_get(json_object_get(patch, "rdp_config"), "password");
	return json_is_null(given) && doc_bool(json_object_get(doc, "rdp_config"), "has_password", false);
}
