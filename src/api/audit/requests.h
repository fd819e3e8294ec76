/* requests: audit entries for requests. Floor F5, loop thread only, never blocks. */
#ifndef API_AUDIT_REQUESTS_H
#define API_AUDIT_REQUESTS_H

struct api;
struct request;
/* Called for every response. location: of the created object, or NULL. */
void audit_request(const struct request *q, int err, const char *location);
/* For requests that the gate refuses. */
void audit_refusal(struct api *a, int err, int status, const char *why, const char *peer, const char *id);

#endif
