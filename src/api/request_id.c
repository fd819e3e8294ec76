#include "api/request_id.h"

#include "api/request.h"
#include "lucid/id.h"

static void make_id(struct request *q)
{
	static const char hex[] = "0123456789abcdef";
	char *p = q->id_room;
	uint64_t n = ++q->api->next_id;
	memcpy(p, q->api->id_prefix, 8);
	p[8] = '-';
	size_t digits = 8;
	while (digits < 14 && n >> (4 * digits))
		digits++;
	for (size_t i = 0; i < digits; i++)
		p[9 + i] = hex[n >> (4 * (digits - 1 - i)) & 15];
	p[9 + digits] = 0;
	q->id = p;
}

void request_id_take(struct request *q)
{
	bool again;
	const char *id = http_req_header(q->http, "X-Request-ID", &again);
	if (id && !again && id_is_request(id))
		q->id = id;
	else
		make_id(q);
}

/* Version 00: 2-32-16-2 lower-case hex digits, ids not all zero */
const char *request_trace(struct request *q)
{
	static const char hex[] = "0123456789abcdef";
	bool again;
	const char *t = http_req_header(q->http, "traceparent", &again);
	if (!t || again || strlen(t) != 55 || t[0] != '0' || t[1] != '0' || strspn(t, hex) != 2 || t[2] != '-' ||
	    strspn(t + 3, hex) != 32 || t[35] != '-' || strspn(t + 36, hex) != 16 || t[52] != '-' ||
	    strspn(t + 53, hex) != 2)
		return NULL;
	return strspn(t + 3, "0") == 32 || strspn(t + 36, "0") == 16 ? NULL : t;
}
