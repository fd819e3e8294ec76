/*
 * allowed_hosts: the host names that requests may use (ALLOWED_HOSTS). Floor F5, loop thread only, never blocks. Protects against DNS
 * rebinding: a web page whose host name resolves to this host must not reach the API as its own origin. A request without a host, which
 * HTTP/1.0 allows, is refused. Requests of other roles, which use internal names and addresses, are exempt because of their token.
 */
#ifndef API_PROXY_ALLOWED_HOSTS_H
#define API_PROXY_ALLOWED_HOSTS_H

struct api;
struct request;
void allowed_hosts_reload(struct api *a);
/* Why the host of the request is not allowed, static; NULL: it is. */
const char *allowed_hosts_refusal(struct request *q);

#endif
