/*
 * http_conn: the types that the modules of the HTTP server share, and the states of a connection. Floor F2, loop thread. Included by
 * src/net/server only.
 *
 *   http_server   listeners, settings, deadlines, drain                     uses all below
 *   http_upgrade  connections upgraded to WebSocket   ┐
 *   http_stream   replies without a known length      ├ the handler's side, above the gate
 *   http_request  the request, and replies in one piece ┘
 *   http_gate     the state machine of a connection
 *   http_intake   parses requests from the input              http_out     sends data and replies
 *   http_crowd    limits on connections, by http_share        http_secure  what differs with TLS
 *   http_life     libevhtp's side of requests and connections
 *
 * libevhtp accepts and owns connections and their bufferevents, and tracks each request (begin, reply, keep alive or close). Its parser
 * never sees a byte from the network: the gate checks and splits the head itself, and feeds evhtp a constant request line for each
 * complete request. That avoids faults of the parser (it splits targets at buffer boundaries, ignores encodings, keeps every header), and
 * saves what evhtp would allocate for each header line.
 */
#ifndef NET_SERVER_HTTP_CONN_H
#define NET_SERVER_HTTP_CONN_H

#include <event2/bufferevent.h>
#include <netinet/in.h>
#include <stdalign.h>

#include "net/http_head.h"
#include "net/http_wire.h"
#include "net/tls.h"

/* The states of a connection. http_conn.c has the legal transitions, http_gate.c the actions. */
enum http_conn_state {
	CONN_IDLE,     /* no byte of the next request has arrived */
	CONN_HEAD,     /* the head is incomplete */
	CONN_BODY,     /* the head is valid, the body is incomplete */
	CONN_BUSY,     /* the handler has the request */
	CONN_WRITE,    /* the reply is complete and is being sent */
	CONN_OPEN,     /* HTTP_STREAM_OPEN; input from the client is discarded */
	CONN_PARTS,    /* HTTP_STREAM_BODY */
	CONN_UPGRADED, /* after a 101: the bytes of both directions belong to the endpoint */
	CONN_LINGER,   /* the last reply is being sent; input is read and discarded, as a reset would destroy the reply */
	CONN_DEAD,     /* unlinked; freed at the end of the loop's turn, or with the handler's pending reply */
	CONN_STATES
};

struct evhtp_connection;
struct evhtp_request;
struct share;

struct http_server {
	struct loop *loop;
	struct http_limits limits;
	http_handler handler;
	http_refusal refusal;
	void *arg;
	struct list listeners, conns, dead;
	struct ssl_ctx_st *tls; /* for new connections; NULL: not set, and secure listeners refuse all connections */
	size_t n_conns; /* open connections, n_over not included */
	size_t n_over;	/* connections beyond a limit, open only to receive the 503 */
	struct map *shares; /* connections by address */
	http_exempt exempt;
	int64_t crowded_ms; /* when an address with too many connections was last logged */
	size_t crowd;	/* highest number of connections since memory was last returned to the system */
	uint64_t accepted, refused, capped;
	struct bufferevent *feeder; /* has no socket: holds the constant request line while evhtp parses it */
	struct http_conn *feeding;
	bufferevent_data_cb evhtp_read, evhtp_write; /* evhtp's callbacks, which the gate replaces */
	struct loop_timer *sweep;	 /* checks the deadlines of all connections */
	struct loop_timer *accept_again; /* retries after running out of descriptors */
	int64_t starved_ms;		 /* when a lack of descriptors was last logged */
	int64_t starving_ms;		 /* when the lack of descriptors began; 0: there is none */
	int accept_reserve;		 /* a spare descriptor, to accept and refuse clients when no other is left */
	struct loop_task reap;
	bool draining;
	int64_t drain_by_ms;
	void (*on_drained)(void *arg);
	void *drained_arg;
	int64_t date_s;
	char date[HTTP_DATE_SIZE];
};

struct http_req {
	bool pending; /* the handler has not replied yet */
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
	bool over;    /* counted in n_over */
	bool eof;     /* the client has closed its sending side */
	bool broken;  /* writing has failed */
	bool last;    /* close after this reply */
	bool handed;  /* was upgraded: linger at the end, as the client may still be sending */
	bool told;    /* UPGRADED: the endpoint was told of the drain */
	bool stopped; /* reading is paused, until the reply is sent or the endpoint takes the buffered input */
	bool pumping; /* gate_pump is on the stack and continues itself */
	bool shut;    /* LINGER: our sending side is closed */
	bool shaken;  /* the TLS handshake is complete */
	struct ssl_st *ssl; /* the bufferevent's; NULL: no TLS */
	struct share *share; /* the count of its address; NULL: it is not counted */
	struct loop_task again;
	int64_t quiet_ms;    /* IDLE, HEAD: when waiting for the head began */
	int64_t deadline_ms; /* 0: the sweep sets it (IDLE), or there is none (BUSY) */
	size_t out_left;     /* unsent bytes at the last sweep, to detect clients that do not read */
	size_t scanned;	     /* HEAD: bytes already checked */
	size_t discarded;    /* LINGER, OPEN: bytes of discarded input */
	const struct http_stream_events *events; /* OPEN, PARTS, UPGRADED: the handler's */
	void *events_arg;
	bool chunked; /* PARTS: Transfer-Encoding: chunked */
	bool chunks;  /* a chunk was sent */
	char *buf; /* head and body of the request, each terminated */
	size_t buf_cap, body_at;
	char peer[INET6_ADDRSTRLEN];
	struct http_req req;
};

static inline struct http_conn *http_conn_of(struct http_req *r)
{
	return CONTAINER_OF(r, struct http_conn, req);
}

/* All state changes; an illegal transition is a programming error and aborts. */
void http_conn_enter(struct http_conn *c, enum http_conn_state to);
/* "192.0.2.1", "::1", "unix" */
void http_conn_peer(char dst[INET6_ADDRSTRLEN], const struct sockaddr *sa);
/* No byte of the next request has arrived, not even in the kernel's buffer. */
bool http_conn_is_idle(const struct http_conn *c);
void http_conn_free(struct http_conn *c);

#endif
