/*
 * service_token: the token with which the roles of this process call other processes. Floor F3, loop thread only, never blocks. It is
 * reused until half of its lifetime is over, the keys are replaced, or the clock is set back. The user for whom a call is made is sent
 * separately (bus/acting.h).
 */
#ifndef AUTH_SERVICE_TOKEN_H
#define AUTH_SERVICE_TOKEN_H

#include "auth/token.h"

#define SERVICE_TOKEN_LIFE_S 300
#define SERVICE_TOKEN_SUB "lucid-rdp"

struct service_token;
struct service_token *service_token_new(struct token_keys *keys); /* `keys` must outlive it */
void service_token_free(struct service_token *t);		   /* takes NULL */
/* "Bearer …", borrowed until the next call. */
const char *service_token_get(struct service_token *t);
/* Seals `text` for the token that service_token_get returned last. */
void service_token_seal(struct service_token *t, const char *text, char ret[TOKEN_SEAL_SIZE]);

#endif
