/* connection: one RDP connection to an instance, and the logins behind connections. Floor F3, supervisor only, loop thread. Implemented by
 * the files of host/login. */
#ifndef HOST_LOGIN_CONNECTION_H
#define HOST_LOGIN_CONNECTION_H

#include "host/callbacks.h"
#include "host/desktop/desktop.h"
#include "host/kernel/sock_diag.h"

struct connection {
	struct list node; /* observed->connections */
	struct instance *instance;
	uint64_t cookie, inode;
	char id[17];
	char peer[46];
	uint16_t peer_port;
	pid_t pid; /* the xrdp process that serves it; 0: not found yet */
	uint64_t pid_start;
	struct watch *watch; /* of that process; NULL: it has ended, or could not be watched and is found to have ended by a sweep */
	int display; /* 0: it shows no desktop yet */
	char user[DESKTOP_USER_MAX];
	uint64_t bytes_in, bytes_out;
	int64_t started_ms;
	int64_t closing_ms; /* since when the client has closed while the process runs; 0: it has not closed */
	int64_t since_ms;   /* monotonic: first seen */
	struct tcp_sock sock; /* as last seen */
	bool admitted;	    /* connection_bounds.c: it was within the bounds */
	const char *cut_for; /* static: why the supervisor closed it; NULL: it did not */
	bool told;	    /* its opening was published */
	bool seen;	    /* in the sweep in progress */
	struct list cuts;   /* struct cut: requests that wait for its end */
};

/* Connections that were closed because of a bound. */
enum refusal { REFUSED_SERVER, REFUSED_ADDRESS, REFUSED_TIMEOUT, REFUSED_BLOCKED, REFUSAL_KINDS };
struct refusals {
	int64_t total;			/* since this process observes the instance */
	int64_t untold[REFUSAL_KINDS];	/* since the last event */
	int64_t full_ms, told_ms;	/* monotonic: the last one beyond a bound on numbers, and the last event; 0: never */
	char address[46];		/* of the last one */
};

/* connections.c */
void connections_sweep(struct host *h);
/* The same, but only if there may be a change: each connection is a child of xrdp, so it starts and ends with a process. */
void connections_look(struct host *h);
json_t *connection_doc(const struct connection *c);
struct connection *connection_of_display(struct instance *i, int display); /* the newest; NULL: none */
void connection_served_by(struct connection *c, pid_t pid, uint64_t start); /* pid 0: its process is not known */
void connections_forget(struct instance *i); /* without events */
void connection_closed(struct connection *c); /* it has ended: publishes that, answers the requests that wait for it, frees it */
void connection_abort(struct connection *c); /* ends it at once, through its socket and its process */
void connections_leave(struct instance *i, int display); /* the desktop on this display has ended: no connection shows it */

/* connection_cut.c: ends the xrdp process by SIGTERM, then by SIGKILL; then answers as host.connection.cut does. */
void connection_cut(struct connection *c, host_done done, void *arg);
void connection_cuts_answer(struct connection *c);

/* logins.c. The hook calls the first three; the first two return false if the login must be refused. */
bool login_begins(struct instance *i, const char *user, const char *detail);
bool login_passes(struct instance *i, const char *user, bool limited); /* limited: quotas apply */
void login_allowed(struct instance *i, const char *user);
/* The login of this account that was allowed last has made a desktop that a quota does not allow: it fails. */
void login_exceeds(struct instance *i, const char *user, const char *static_reason, char *consume_why);
void login_connected(const struct connection *c); /* it shows a desktop */
void login_left(const struct connection *c);	  /* it has ended */
void logins_poll(void *host);
void logins_sweep(struct instance *i);
bool logins_expected(const struct instance *i); /* PAM has allowed one, and its desktop or its connection to one is not seen yet */
/* Closes the connections to the sesmans of all instances that are not from their xrdp. One or two netlink dumps, does not block. */
void logins_cut_strangers(struct host *h);
void logins_forget(struct instance *i);
/* The accounts, each once, whose login was allowed and makes a desktop that does not run yet. Borrowed until the loop's turn ends. */
size_t logins_awaited(const struct instance *i, const char **dst, size_t max);

/* connection_bounds.c: closes connections beyond a bound of struct login_settings. True while there were some. */
bool connection_bounds_judge(struct instance *i);
/* {current, without_user, max, refused, exhausted}; the caller frees. */
json_t *connection_bounds_doc(const struct instance *i);
/* The part of an address that identifies a client: the IPv4 address, or the first 64 bits of the IPv6 address. */
void connection_client(const char *address, char dst[46]);

#endif
