#include "api/audit/requests.h"

#include <stdio.h>

#include "api/audit/audit.h"
#include "api/request.h"
#include "api/routes.h"
#include "lucid/errs.h"

#define OBJECT_MAX 200

/* The id of the created object, else the parameters of the path in order; "" if they are too long. */
static void find_object(const struct request *q, const char *location, char dst[OBJECT_MAX + 1])
{
	const char *params[OP_MAX_PARAMS] = { NULL };
	struct path path;
	size_t n = 0;
	dst[0] = 0;
	if (location) {
		const char *slash = strrchr(location, '/');
		str_copy(dst, OBJECT_MAX + 1, slash ? slash + 1 : location);
		return;
	}
	if (!q->op || !strchr(q->op->path, '{') || path_split(&path, http_req_path(q->http)))
		return;
	routes_find(q, &path, params);
	for (size_t i = 0; i < OP_MAX_PARAMS && params[i]; i++) {
		int more = snprintf(dst + n, OBJECT_MAX + 1 - n, "%s%s", n ? "/" : "", params[i]);
		if ((size_t)more > OBJECT_MAX - n) {
			dst[0] = 0;
			return;
		}
		n += (size_t)more;
	}
}

void audit_request(const struct request *q, int err, const char *location)
{
	char object[OBJECT_MAX + 1];
	bool reads = !q->op || q->op->flags & OP_READ || (q->op->flags & OP_REPEATED && q->caller.roles & CALLER_SERVICE);
	bool attempt = err == ERR_UNAUTHENTICATED || err == ERR_FORBIDDEN || err == ERR_RATE_LIMITED;
	if (!q->api->audit || (reads && !attempt))
		return;
	find_object(q, location, object);
	audit_note(q->api->audit, &(struct audit_fact){
					  .actor = q->caller.sub,
					  .action = q->op ? q->op->name : q->endpoint->path,
					  .object = object,
					  .from = q->caller.address,
					  .request_id = q->id,
					  .err = err,
				  });
}

void audit_refusal(struct api *a, int err, int status, const char *why, const char *peer, const char *id)
{
	char object[OBJECT_MAX + 1];
	if (!a->audit)
		return;
	snprintf(object, sizeof object, "%d, %s", status, why); /* a static text; nothing from the client is in it */
	audit_note(a->audit, &(struct audit_fact){ .action = "http.refused", .object = object, .from = peer, .request_id = id, .err = err,
						   .gate = true });
}
