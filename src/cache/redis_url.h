/*
 * redis_url: where Redis is. Floor F3, any thread, pure.
 *   redis://[[user]:password@]host[:port][/database]
 *   unix:/path/of/socket[?db=database]    unix://[[user]:password@]/path/of/socket[?db=database]
 * User and password may be percent-encoded. rediss:// is refused: Debian's hiredis has no TLS.
 */
#ifndef CACHE_REDIS_URL_H
#define CACHE_REDIS_URL_H

#include "lucid/base.h"

struct redis_url {
	bool local;	   /* a Unix socket; host is its path */
	uint16_t port;	   /* local: 0 */
	int database;
	char host[256];	   /* name or address, without brackets */
	char user[129];	   /* "": Redis' own default */
	char password[513]; /* "": none */
};

/* 0 or -ERR_INVALID with a static sentence (ret_why may be NULL), which quotes nothing of the URL. */
int redis_url_parse(const char *text, struct redis_url *u, const char **ret_why);
bool redis_url_same(const struct redis_url *a, const struct redis_url *b);
/* For logs: "host:port/database", without user and password. */
void redis_url_show(const struct redis_url *u, char *dst, size_t size);
/* It means the machine itself, or what takes itself for one: localhost, 127.0.0.0/8, ::1. Not a Unix socket. */
bool redis_url_is_loopback(const struct redis_url *u);

#endif
