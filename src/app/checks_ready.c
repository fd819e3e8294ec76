#include "app/checks_ready.h"

#include "app/redis.h"
#include "lucid/str.h"

static void check_store(void *arg, api_check_done done, void *token)
{
	const char *why = "";
	bool up = store_healthy(arg, &why);
	done(token, up ? API_HEALTHY : API_UNHEALTHY, why);
}

/* --- xrdp: asked of the supervisor, as the agent role would */

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
		a->done(a->token, API_UNHEALTHY, "isolation is shared: servers use the host's own sesman; run it as root and let it make mount namespaces");
	else
		a->done(a->token, API_HEALTHY, version);
	free(a);
}

static void check_xrdp(void *arg, api_check_done done, void *token)
{
	struct asked *a = XNEW(struct asked);
	*a = (struct asked){ done, token };
	bus_call(arg, &(struct call_args){ .op = op_find("host.info"), .deadline_ms = 4500 }, on_info, a);
}

void checks_ready_add(struct api *a, struct store *store, bool mongodb, struct redis *redis, struct bus *b, const struct role *const *roles)
{
	api_add_check(a, mongodb ? "mongodb" : "store", true, check_store, store);
	redis_add_check(redis, a);
	for (; *roles; roles++)
		if (str_eq((*roles)->name, "xrdp-integration"))
			api_add_check(a, "xrdp", false, check_xrdp, b);
}
