/*
 * service_token: what this process shows to others when one of its roles calls. Floor F3, loop thread only, never blocks.
 * Signed once and used until half of its life is over, or the keys or the clock have changed. For whom a call is made stands
 * beside it (bus/acting.h).
 */
#ifndef AUTH_SERVICE_TOKEN_H
#define AUTH_SERVICE_TOKEN_H

#include "auth/token.h"

#define SERVICE_TOKEN_LIFE_S 300
#define SERVICE_TOKEN_SUB "lucid-rdp"

struct service_token;
struct service_token *service_token_new(struct token_keys *keys); /* which outlive it */
void service_token_free(struct service_token *t);		   /* takes NULL */
/* "Bearer …", borrowed until the next time. */
const char *service_token_get(struct service_token *t);

#endif
