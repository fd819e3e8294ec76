/* tls_ready: readiness check of the validity period of TLS_CERT_FILE, the certificate of the roles' listeners. Floor F7, server process,
 * loop thread. An expired certificate does not prevent the start, because the clock may be wrong. */
#ifndef APP_TLS_READY_H
#define APP_TLS_READY_H

#include "api/api.h"

void tls_ready_take(const struct http_tls *pem); /* the certificate that the listeners present from now on */
void tls_ready_add(struct api *a);
/* False, with a reason, if it is not valid now. */
bool tls_ready_in_time(const struct http_tls *pem, char *why, size_t size);

#endif
