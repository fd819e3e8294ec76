/*
 * http_conn: what the parts of the server share: http_gate.c (bytes, requests, replies, deadlines), http_secure.c (what is
 * different with TLS) and http_server.c (libevhtp: listeners, connections, limits over all, drain). Floor F2, loop thread.
 * Nobody else includes it.
 *
 * libevhtp accepts, owns the connection and its bufferevent, and keeps the life of a request (begin, reply, keep alive or
 * close). Its parser never sees a byte from the network: the gate has checked and cut the head itself, and hands evhtp one
 * constant request line per whole request. That closes the parser's faults (libevhtp splits targets at buffer edges,
 * overlooks encodings, keeps every header) by construction, and saves what evhtp would allocate for each header line.
 *
 * A connection is always in one state:
 *   IDLE → HEAD → BODY → BUSY (the handler has the request) → WRITE (its reply is leaving) → IDLE …
 *   BUSY → STREAM (an answer that goes on; what the client sends meanwhile is thrown away) → WRITE
 *   anything → LINGER (the last reply is leaving; what still comes is thrown away, so that a reset does not destroy it)
 *   anything → DEAD (unlinked; the memory goes at the end of the turn, or with the reply that is still owed)
 */
#ifndef NET_HTTP_CONN_H
#define NET_HTTP_CONN_H

#include <event2/bufferevent.h>
#include <netinet/in.h>
#include <stdalign.h>

#include "net/http_head.h"
#include "net/http_wire.h"
#include "net/tls.h"

enum http_conn_state { CONN_IDLE, CONN_HEAD, CONN_BODY, CONN_BUSY, CONN_WRITE, CONN_STREAM, CONN_LINGER, CONN_DEAD };

struct evhtp_connection;
struct evhtp_request;

struct http_server {
	struct loop *loop;
	struct http_limits limits;
	http_handler handler;
	http_refusal refusal;
	void *arg;
	struct list listeners, conns, dead;
	struct ssl_ctx_st *tls; /* of connections to come; NULL: none is set, and secure listeners take nobody */
	size_t n_conns; /* without those over the cap, */
	size_t n_over;	/* which are only being told so */
	size_t crowd;	/* the most of them since memory was given back */
	uint64_t accepted, refused, capped;
	struct bufferevent *feeder; /* never on the network: holds the constant line while evhtp parses it */
	struct http_conn *feeding;
	bufferevent_data_cb evhtp_read, evhtp_write; /* evhtp's own callbacks, which the gate stands in for */
	struct loop_timer *sweep;	 /* deadlines of all connections, while there are any */
	struct loop_timer *accept_again; /* after running out of descriptors */
	int64_t starved_ms;		 /* when that was last logged */
	struct loop_task reap;
	bool draining;
	int64_t drain_by_ms;
	void (*on_drained)(void *arg);
	void *drained_arg;
	int64_t date_s;
	char date[HTTP_DATE_SIZE];
};

struct http_req {
	bool pending; /* given to the handler, not yet answered */
	int64_t started_us;
	struct http_head head;
	alignas(int64_t) char state[HTTP_REQ_STATE];
};

struct http_conn {
	struct list node;
	struct http_server *server; /* NULL once the server is freed */
	struct evhtp_connection *ev;
	struct evhtp_request *ev_req;
	struct bufferevent *bev;
	int fd, tag;
	enum http_conn_state state;
	bool over;    /* beyond the cap */
	bool eof;     /* the client will send no more */
	bool broken;  /* nothing can be written any more */
	bool last;    /* close after this reply */
	bool stopped; /* reading is, until the request at hand is answered */
	bool pumping; /* gate_pump is on the stack and will go on itself */
	bool shut;    /* LINGER: our side is closed */
	bool shaken;  /* the handshake is done */
	struct ssl_st *ssl; /* the bufferevent's; NULL: no TLS between us and the socket */
	struct loop_task again;
	int64_t deadline_ms; /* 0: the sweep sets it (IDLE), or there is none (BUSY) */
	size_t out_left;     /* WRITE: what was unsent at the last look */
	size_t scanned;	     /* HEAD: bytes of it already looked at */
	size_t lingered;     /* LINGER, STREAM: bytes thrown away */
	const struct http_stream_events *events; /* STREAM: the handler's */
	void *events_arg;
	bool body;    /* STREAM: of the kind that has an end, */
	bool chunked; /* in chunks, */
	bool chunks;  /* of which there was one */
	char *buf; /* head and body of the request, each terminated */
	size_t buf_cap, body_at;
	char peer[INET6_ADDRSTRLEN];
	struct http_req req;
};

/* The gate's side. */
void http_gate_open(struct http_conn *c);		   /* a new connection, bev set */
void http_gate_pump(struct http_conn *c);		   /* handle what has come in */
void http_gate_read_again(struct http_conn *c);		   /* what came while a request was at hand */
void http_gate_refuse(struct http_conn *c, int status, const char *why);
void http_gate_expire(struct http_conn *c, int64_t now_ms); /* the sweep came by */
const char *http_gate_date(struct http_server *s);	    /* for the Date of a head that leaves now */
/* Write; on failure c->broken is set. The body is copied, or with blob referenced (which may be the head, without a body). */
void http_gate_send(struct http_conn *c, const char *head, size_t head_len, const char *body, size_t body_len, struct blob *blob);
void http_gate_finish(struct http_conn *c);		    /* the handler has nothing more to say */

/* http_stream.c: the connection of a stream is dead; what was written to it has left. */
void http_stream_gone(struct http_conn *c);
void http_stream_room(struct http_conn *c);
bool http_stream_minds(const struct http_conn *c); /* that the client sends no more */

/* What TLS does differently; for connections with ssl set. */
void http_secure_send(struct http_conn *c, const char *head, size_t head_len, const char *body, size_t body_len,
		      struct blob *blob);
void http_secure_wake(struct http_conn *c);   /* room was made in the input: go on reading */
void http_secure_open(struct http_conn *c);   /* the handshake is done */
void http_secure_failed(struct http_conn *c); /* it will not be; the connection is closed next */

/* The server's side. */
bool http_server_begin(struct http_conn *c);		   /* a whole request: tell evhtp; false: the connection died */
void http_server_end(struct http_conn *c, bool keep);	   /* its reply has left; !keep closes */
void http_server_close(struct http_conn *c);		   /* at once */
void http_server_bury(struct http_conn *c);		   /* memory of a DEAD connection that owes no reply */

#endif
