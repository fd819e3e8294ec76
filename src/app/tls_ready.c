#include "app/tls_ready.h"

#include <stdio.h>

#include "net/cert_check.h"
#include "net/tls.h"

static struct cert_state shown; /* of the certificate that the listeners present */

static void look_at_certificate(const struct http_tls *pem, struct cert_state *ret)
{
	*ret = (struct cert_state){ 0 };
	cert_check(pem->cert, strlen(pem->cert), pem->key, strlen(pem->key), cert_now_ms(), ret);
}

static bool in_time(struct cert_state *s, char *why, size_t size)
{
	int64_t now = cert_now_ms();
	if (now >= s->not_before_ms && now <= s->not_after_ms)
		return true;
	s->fault = now > s->not_after_ms ? CERT_EXPIRED : CERT_NOT_YET;
	cert_fault_text(s, why, size);
	return false;
}

void tls_ready_take(const struct http_tls *pem)
{
	look_at_certificate(pem, &shown);
}

bool tls_ready_in_time(const struct http_tls *pem, char *why, size_t size)
{
	struct cert_state s;
	look_at_certificate(pem, &s);
	return in_time(&s, why, size);
}

static void check_in_time(UNUSED void *arg, api_check_done done, void *token)
{
	char why[200] = "";
	bool good = in_time(&shown, why, sizeof why);
	done(token, good ? API_HEALTHY : API_UNHEALTHY, why);
}

void tls_ready_add(struct api *a)
{
	api_add_check(a, "tls", false, check_in_time, NULL);
}
