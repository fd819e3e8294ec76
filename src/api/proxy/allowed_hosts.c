#include "api/proxy/allowed_hosts.h"

#include "api/access.h"
#include "api/proxy/public_url.h"
#include "api/request.h"
#include "net/http_host.h"

static bool is_allowed(struct request *q, const char *host)
{
	char name[HTTP_HOST_MAX + 1], allowed[HTTP_HOST_MAX + 1];
	if (!http_host_name(host, name))
		return false;
	for (const char *const *p = config_list(q->api->env.config, "ALLOWED_HOSTS"); *p; p++)
		if (http_host_name(*p, allowed) && str_match(allowed, name))
			return true;
	return false;
}

/* The host that a trusted proxy forwards is used in links, and the proxy may forward a name that the client invented: check it too. */
static bool forwarded_is_allowed(struct request *q)
{
	char text[HTTP_HOST_MAX + 7];
	struct span host = public_forwarded_host(q);
	if (!host.s)
		return true;
	if (host.len >= sizeof text || !http_host_ok(host.s, host.len))
		return false;
	memcpy(text, host.s, host.len);
	text[host.len] = 0;
	return is_allowed(q, text);
}

const char *allowed_hosts_refusal(struct request *q)
{
	if (q->api->any_host || (is_allowed(q, http_req_host(q->http)) && forwarded_is_allowed(q)) || access_is_role(q))
		return NULL;
	return "the Host header names a host that is not in ALLOWED_HOSTS; use an allowed name, or add this one";
}

void allowed_hosts_reload(struct api *a)
{
	a->any_host = false;
	for (const char *const *host = config_list(a->env.config, "ALLOWED_HOSTS"); *host; host++)
		a->any_host |= str_eq(*host, "*");
}
