/*
 * url: the URL of Redis. Floor F3, any thread, pure.
 *   redis://[[user]:password@]host[:port][/database]
 *   unix:/path/of/socket[?db=database]    unix://[[user]:password@]/path/of/socket[?db=database]
 * User and password may be percent-encoded. rediss:// is refused: Debian's hiredis has no TLS.
 */
#ifndef REDIS_URL_H
#define REDIS_URL_H

#include "lucid/base.h"

struct redis_url {
	bool local;	   /* a Unix socket; host is its path */
	uint16_t port;	   /* local: 0 */
	int database;
	char host[256];	   /* name or address, without brackets */
	char user[129];	   /* "": the default user of Redis */
	char password[513]; /* "": none */
};

/* 0, or -ERR_INVALID with a static sentence that quotes nothing of the URL; ret_why may be NULL. */
int redis_url_parse(const char *text, struct redis_url *u, const char **ret_why);
bool redis_url_same(const struct redis_url *a, const struct redis_url *b);
/* For logs: "host:port/database", without user and password. */
void redis_url_show(const struct redis_url *u, char *dst, size_t size);
/* The host is localhost, in 127.0.0.0/8, or ::1. False for a Unix socket. */
bool redis_url_is_loopback(const struct redis_url *u);

#endif
