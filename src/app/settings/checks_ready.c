#include "app/settings/checks_ready.h"

#include "app/redis.h"
#include "lucid/str.h"

static void check_store(void *arg, api_check_done done, void *token)
{
	const char *why = "";
	bool up = store_healthy(arg, &why);
	done(token, up ? API_HEALTHY : API_UNHEALTHY, why);
}

/* --- xrdp: host.info of the supervisor, as the agent role calls it */

struct asked {
	api_check_done done;
	void *token;
};

static void on_info(const struct reply *r, void *arg)
{
	struct asked *a = arg;
	const char *version = r->err ? NULL : doc_str(r->doc, "xrdp_version", NULL);
	if (r->err)
		a->done(a->token, API_UNHEALTHY, r->message);
	else if (!version)
		a->done(a->token, API_UNHEALTHY, err_text(ERR_NO_XRDP));
	else if (str_eq(doc_str(r->doc, "isolation", ""), "shared"))
		a->done(a->token, API_UNHEALTHY, "isolation is shared: servers use the host's own sesman; run the program as root and permit mount namespaces");
	else
		a->done(a->token, API_HEALTHY, version);
	free(a);
}

/* Reports a fault that the supervisor names in a member of its answer (null: none). Without an answer, the check xrdp reports why. */
static void say_fault(const struct reply *r, struct asked *a, const char *member)
{
	const char *fault = r->err ? NULL : doc_str(r->doc, member, NULL);
	a->done(a->token, r->err ? API_DISABLED : fault ? API_UNHEALTHY : API_HEALTHY, r->err ? "the supervisor did not answer" : fault);
	free(a);
}

static void on_certificate(const struct reply *r, void *arg)
{
	say_fault(r, arg, "certificate_fault");
}

static void on_storage(const struct reply *r, void *arg)
{
	say_fault(r, arg, "storage_fault");
}

static void on_desktops(const struct reply *r, void *arg)
{
	say_fault(r, arg, "desktop_fault");
}

static void ask_info(struct bus *b, call_done on_done, api_check_done done, void *token)
{
	struct asked *a = XNEW(struct asked);
	*a = (struct asked){ done, token };
	bus_call(b, &(struct call_args){ .op = op_find("host.info"), .deadline_ms = 4500 }, on_done, a);
}

static void check_certificate(void *arg, api_check_done done, void *token)
{
	ask_info(arg, on_certificate, done, token);
}

static void check_storage(void *arg, api_check_done done, void *token)
{
	ask_info(arg, on_storage, done, token);
}

static void check_desktops(void *arg, api_check_done done, void *token)
{
	ask_info(arg, on_desktops, done, token);
}

static void check_xrdp(void *arg, api_check_done done, void *token)
{
	ask_info(arg, on_info, done, token);
}

void checks_ready_add(struct api *a, struct store *store, bool mongodb, struct redis *redis, struct bus *b, const struct role *const *roles)
{
	api_add_check(a, mongodb ? "mongodb" : "store", true, check_store, store);
	redis_add_check(redis, a);
	for (; *roles; roles++) {
		if (!str_eq((*roles)->name, "xrdp-integration"))
			continue;
		api_add_check(a, "xrdp", false, check_xrdp, b);
		api_add_check(a, "certificate", false, check_certificate, b);
		api_add_check(a, "storage", false, check_storage, b);
		api_add_check(a, "desktops", false, check_desktops, b);
	}
}
