#include "roles/rdp-resource-monitor/alert/signature.h"

#include <stdio.h>

#include "lucid/id.h"
#include "lucid/str.h"

void signature_make(char dst[SIGNATURE_SIZE], char ret_time[SIGNATURE_TIME_SIZE], const char *secret, int64_t wall_s, const void *body,
		    size_t len)
{
	struct strbuf signed_text = { 0 };
	char hex[ID_DIGEST_SIZE];
	snprintf(ret_time, SIGNATURE_TIME_SIZE, "%lld", (long long)wall_s);
	strbuf_printf(&signed_text, "%s.", ret_time);
	strbuf_add(&signed_text, body, len);
	id_hmac(hex, secret, strlen(secret), signed_text.s, signed_text.len);
	snprintf(dst, SIGNATURE_SIZE, "t=%s,v1=%s", ret_time, hex);
	strbuf_done(&signed_text);
}
