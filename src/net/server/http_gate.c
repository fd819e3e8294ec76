#include "net/server/http_gate.h"

#include <event2/buffer.h>
#include <event2/event.h>

#include "lucid/clock.h"
#include "lucid/log.h"
#include "net/server/http_intake.h"
#include "net/server/http_life.h"
#include "net/server/http_out.h"
#include "net/server/http_secure.h"

#define PUMP_MAX 32		/* pipelined requests of a connection that are handled in one turn */
#define OPEN_BYTES 65536	/* input that is discarded in OPEN before the connection is closed */
#define LINGER_BYTES (64 << 20) /* the same in LINGER */

/* The inputs of the state machine. */
enum gate_input {
	IN_BYTES,  /* data has arrived */
	IN_END,	   /* the client has closed its sending side */
	IN_BROKEN, /* writing has failed */
	OUT_EMPTY, /* all queued data has been sent */
	AGAIN,	   /* http_gate_run_again */
	LATE,	   /* the deadline has passed */
	DRAIN,	   /* the server has begun to drain */
	GATE_INPUTS
};

/* When the idle timeout runs. Other deadlines are set when a state is entered. */
enum gate_timeout { TIMEOUT_NONE, TIMEOUT_ALWAYS, TIMEOUT_UNSENT /* while data is queued and the client takes none */ };

static void gate_input(struct http_conn *c, enum gate_input what);

static size_t gate_in_waiting(const struct http_conn *c)
{
	return evbuffer_get_length(bufferevent_get_input(c->bev));
}

/* --- reading on and off */

/* Pauses reading. Otherwise libevent would call on_readable in every turn while the input buffer is full. */
static void gate_pause(struct http_conn *c)
{
	c->stopped = true;
	bufferevent_disable(c->bev, EV_READ);
}

void http_gate_read_again(struct http_conn *c)
{
	if (!c->stopped)
		return;
	c->stopped = false;
	bufferevent_enable(c->bev, EV_READ);
	if (c->ssl)
		http_secure_wake(c);
}

void http_gate_run_again(struct http_conn *c)
{
	loop_defer(c->server->loop, &c->again);
}

/* --- the end of a request, and of a connection */

static void gate_linger(struct http_conn *c)
{
	http_gate_read_again(c);
	http_conn_enter(c, CONN_LINGER);
	c->deadline_ms = clock_mono_ms() + (int64_t)c->server->limits.linger_timeout_s * 1000;
	c->discarded = 0;
	evbuffer_drain(bufferevent_get_input(c->bev), SIZE_MAX);
	if (http_out_waiting(c) == 0)
		http_out_shut(c);
}

void http_gate_refuse(struct http_conn *c, int status, const char *why)
{
	struct http_server *s = c->server;
	char id[HTTP_ID_SIZE] = "";
	const struct http_header headers[] = { { "Content-Type", "application/json" }, { "X-Request-ID", id } };
	_cleanup_(blob_unrefp) struct blob *body = s->refusal ? s->refusal(status, why, c->peer, id, s->arg) : NULL;
	log_debug("http", "refused %s: %d, %s", c->peer, status, why);
	c->last = true;
	http_out_reply(c, status, headers, !body ? 0 : id[0] ? 2 : 1, body ? body->data : NULL, body ? body->len : 0, body);
	if (c->broken || (c->eof && http_out_waiting(c) == 0))
		http_life_close(c);
	else
		gate_linger(c);
}

static void gate_refuse_counted(struct http_conn *c, int status, const char *why)
{
	c->server->refused++;
	http_gate_refuse(c, status, why);
}

/* The reply has been sent: continue with the next request, or close. */
static void gate_settle(struct http_conn *c)
{
	bool more = gate_in_waiting(c) > 0;
	http_intake_shrink(c);
	if (c->last || c->server->draining || (c->eof && !more)) {
		if ((more || c->handed) && !c->eof)
			gate_linger(c);
		else
			http_life_end(c, false);
		return;
	}
	http_life_end(c, true);
	if (c->state == CONN_DEAD)
		return;
	http_conn_enter(c, CONN_IDLE);
	c->quiet_ms = clock_mono_ms();
	c->deadline_ms = 0;
	http_gate_read_again(c);
	if (more && !c->pumping)
		http_gate_run_again(c);
}

void http_gate_finish(struct http_conn *c)
{
	c->req.pending = false;
	if (c->state == CONN_DEAD) {
		http_life_bury(c);
		return;
	}
	http_conn_enter(c, CONN_WRITE);
	c->out_left = http_out_waiting(c);
	c->deadline_ms = 0;
	if (c->pumping)
		return; /* called from the handler within gate_pump, which settles it */
	if (c->broken)
		http_life_close(c);
	else if (c->out_left == 0)
		gate_settle(c);
}

/* --- IDLE, HEAD, BODY: requests */

/* True: a complete head is in c->buf. False: it is incomplete, or was refused. */
static bool gate_take_head(struct http_conn *c)
{
	const char *why = NULL;
	int r = http_intake_head(c, &why);
	if (r > 0) {
		gate_refuse_counted(c, r, why);
	} else if (r == INTAKE_PART && c->state == CONN_IDLE) {
		http_conn_enter(c, CONN_HEAD);
		c->deadline_ms = clock_mono_ms() + (int64_t)c->server->limits.head_timeout_s * 1000;
	}
	return r == INTAKE_WHOLE;
}

/* The head is valid and the body incomplete: send 100 Continue if the client expects it. */
static void gate_await_body(struct http_conn *c)
{
	static const char CONTINUE[] = "HTTP/1.1 100 Continue\r\n\r\n";
	http_conn_enter(c, CONN_BODY);
	c->deadline_ms = c->req.started_us / 1000 + (int64_t)c->server->limits.body_timeout_s * 1000;
	http_intake_room(c, c->req.head.body_len);
	if (c->req.head.expect_continue && gate_in_waiting(c) == 0)
		http_out_send(c, CONTINUE, sizeof CONTINUE - 1, NULL, 0, NULL);
}

static bool gate_take_body(struct http_conn *c)
{
	if (!http_intake_body(c)) {
		if (c->state != CONN_BODY)
			gate_await_body(c);
		if (c->broken)
			http_life_close(c);
		return false;
	}
	if (c->state == CONN_BODY)
		http_intake_room(c, 0);
	return true;
}

/* One step; true: another step may follow at once. */
static bool gate_advance(struct http_conn *c)
{
	if (gate_in_waiting(c) == 0)
		return false;
	if (c->state != CONN_BODY && !gate_take_head(c))
		return false;
	if (c->req.head.body_len && !gate_take_body(c))
		return false;
	http_conn_enter(c, CONN_BUSY);
	c->deadline_ms = 0;
	if (!http_life_begin(c))
		return false;
	memset(c->req.state, 0, sizeof c->req.state);
	c->req.pending = true;
	c->server->handler(&c->req, c->server->arg);
	if (c->state != CONN_WRITE)
		return false; /* the reply comes later */
	if (c->broken)
		http_life_close(c);
	else if (c->out_left == 0)
		gate_settle(c);
	return c->state == CONN_IDLE;
}

static bool gate_awaits_request(const struct http_conn *c)
{
	return c->state <= CONN_BODY;
}

static void gate_pump(struct http_conn *c)
{
	unsigned n = 0;
	c->pumping = true;
	while (n < PUMP_MAX && gate_advance(c))
		n++;
	c->pumping = false;
	if (n == PUMP_MAX)
		http_gate_run_again(c);
	else if (c->eof && gate_awaits_request(c))
		http_life_close(c); /* the rest of the request will not arrive */
	if (c->ssl && c->state != CONN_DEAD)
		http_secure_wake(c);
}

static void gate_end_request(struct http_conn *c)
{
	if (list_empty(&c->again.node)) /* otherwise complete requests are still in the input */
		http_life_close(c);
}

static void gate_late_head(struct http_conn *c)
{
	gate_refuse_counted(c, 408, "timed out waiting for the request head");
}

static void gate_late_body(struct http_conn *c)
{
	gate_refuse_counted(c, 408, "timed out waiting for the request body");
}

static void gate_drain_idle(struct http_conn *c)
{
	if (http_conn_is_idle(c))
		http_life_close(c);
}

/* --- OPEN, PARTS: streamed replies */

/* True: the client no longer reads the stream. An HTTP/1.0 client may close its sending side and still read. */
static bool gate_is_deserted(const struct http_conn *c)
{
	return c->broken || (c->eof && (c->state == CONN_OPEN || c->chunked));
}

static void gate_end_stream(struct http_conn *c)
{
	if (gate_is_deserted(c))
		http_life_close(c);
}

static void gate_room(struct http_conn *c)
{
	if (c->events->room)
		c->events->room(c->events_arg);
}

static void gate_discard(struct http_conn *c, size_t max)
{
	c->discarded += gate_in_waiting(c);
	evbuffer_drain(bufferevent_get_input(c->bev), SIZE_MAX);
	if (c->discarded > max)
		http_life_close(c);
	else if (c->ssl)
		http_secure_wake(c);
}

static void gate_discard_open(struct http_conn *c)
{
	gate_discard(c, OPEN_BYTES);
}

/* --- UPGRADED */

static const struct http_upgrade_events *gate_endpoint(const struct http_conn *c)
{
	return CONTAINER_OF(c->events, const struct http_upgrade_events, stream);
}

/* Lets the endpoint read the input. If it leaves too much unread, reading from the client is paused. */
static void gate_hand_over(struct http_conn *c)
{
	if (gate_in_waiting(c) || c->eof)
		gate_endpoint(c)->readable(c->events_arg);
	if (c->state != CONN_UPGRADED)
		return;
	if (gate_in_waiting(c) >= HTTP_UPGRADE_IN)
		gate_pause(c);
	else if (c->ssl)
		http_secure_wake(c);
}

static void gate_upgraded_again(struct http_conn *c)
{
	if (c->broken) {
		http_life_close(c);
		return;
	}
	if (c->server->draining && !c->told) {
		c->told = true;
		if (gate_endpoint(c)->drain)
			gate_endpoint(c)->drain(c->events_arg);
	}
	if (c->state == CONN_UPGRADED)
		gate_hand_over(c);
}

/* --- LINGER */

static void gate_discard_linger(struct http_conn *c)
{
	gate_discard(c, LINGER_BYTES);
}

static void gate_end_linger(struct http_conn *c)
{
	if (http_out_waiting(c) == 0)
		http_life_close(c);
}

static void gate_linger_sent(struct http_conn *c)
{
	if (c->eof)
		http_life_close(c);
	else
		http_out_shut(c);
}

/* --- the table: for each state, the action for each input. Without an action, the input is ignored; eof and broken are remembered. */

static const struct gate_row {
	enum gate_timeout timeout;
	void (*on[GATE_INPUTS])(struct http_conn *c);
} STATES[CONN_STATES] = {
	[CONN_IDLE] = { TIMEOUT_ALWAYS,
			{ [IN_BYTES] = gate_pump,
			  [IN_END] = gate_end_request,
			  [IN_BROKEN] = http_life_close,
			  [AGAIN] = gate_pump,
			  [LATE] = http_life_close,
			  [DRAIN] = gate_drain_idle } },
	[CONN_HEAD] = { TIMEOUT_NONE,
			{ [IN_BYTES] = gate_pump,
			  [IN_END] = gate_end_request,
			  [IN_BROKEN] = http_life_close,
			  [AGAIN] = gate_pump,
			  [LATE] = gate_late_head } },
	[CONN_BODY] = { TIMEOUT_NONE,
			{ [IN_BYTES] = gate_pump,
			  [IN_END] = gate_end_request,
			  [IN_BROKEN] = http_life_close,
			  [AGAIN] = gate_pump,
			  [LATE] = gate_late_body } },
	/* no action at IN_END: a client that has closed only its sending side still gets the reply */
	[CONN_BUSY] = { TIMEOUT_NONE, { [IN_BYTES] = gate_pause } },
	/* a client that reads keeps its connection, however slow it is */
	[CONN_WRITE] = { TIMEOUT_ALWAYS,
			 { [IN_BYTES] = gate_pause,
			   [IN_BROKEN] = http_life_close,
			   [OUT_EMPTY] = gate_settle,
			   [LATE] = http_life_close } },
	[CONN_OPEN] = { TIMEOUT_UNSENT,
			{ [IN_BYTES] = gate_discard_open,
			  [IN_END] = gate_end_stream,
			  [IN_BROKEN] = http_life_close,
			  [OUT_EMPTY] = gate_room,
			  [AGAIN] = gate_end_stream,
			  [LATE] = http_life_close } },
	[CONN_PARTS] = { TIMEOUT_UNSENT,
			 { [IN_BYTES] = gate_pause,
			   [IN_END] = gate_end_stream,
			   [IN_BROKEN] = http_life_close,
			   [OUT_EMPTY] = gate_room,
			   [AGAIN] = gate_end_stream,
			   [LATE] = http_life_close } },
	/* the endpoint is told of a drain at the end of the turn, as it may then end other connections */
	[CONN_UPGRADED] = { TIMEOUT_UNSENT,
			    { [IN_BYTES] = gate_hand_over,
			      [IN_END] = gate_hand_over,
			      [IN_BROKEN] = http_life_close,
			      [OUT_EMPTY] = gate_room,
			      [AGAIN] = gate_upgraded_again,
			      [LATE] = http_life_close,
			      [DRAIN] = http_gate_run_again } },
	[CONN_LINGER] = { TIMEOUT_NONE,
			  { [IN_BYTES] = gate_discard_linger,
			    [IN_END] = gate_end_linger,
			    [IN_BROKEN] = http_life_close,
			    [OUT_EMPTY] = gate_linger_sent,
			    [LATE] = http_life_close } },
};

static void gate_input(struct http_conn *c, enum gate_input what)
{
	void (*on)(struct http_conn *c) = STATES[c->state].on[what];
	if (on)
		on(c);
}

/* --- events */

static void on_gate_again(struct loop_task *t)
{
	gate_input(CONTAINER_OF(t, struct http_conn, again), AGAIN);
}

static void on_readable(UNUSED struct bufferevent *bev, void *arg)
{
	gate_input(arg, IN_BYTES);
}

static void on_written(UNUSED struct bufferevent *bev, void *arg)
{
	if (http_out_waiting(arg) == 0)
		gate_input(arg, OUT_EMPTY);
}

static void on_gate_event(UNUSED struct bufferevent *bev, short what, void *arg)
{
	struct http_conn *c = arg;
	if (what & BEV_EVENT_CONNECTED) {
		http_secure_open(c);
		return;
	}
	if (c->ssl && !c->shaken && what & BEV_EVENT_ERROR)
		http_secure_failed(c);
	if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)))
		return;
	/* one event may report both: end of input, and a failed write */
	c->eof |= (what & BEV_EVENT_EOF) != 0;
	c->broken |= (what & (BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) != 0;
	if (c->ssl && !c->broken)
		http_secure_write_on(c);
	gate_input(c, c->broken ? IN_BROKEN : IN_END);
}

void http_gate_open(struct http_conn *c)
{
	loop_task_init(&c->again, on_gate_again);
	c->state = CONN_IDLE;
	c->quiet_ms = clock_mono_ms();
	bufferevent_setcb(c->bev, on_readable, on_written, on_gate_event, c);
	http_intake_room(c, 0);
	if (c->ssl) /* the handshake has an absolute deadline too: a client that trickles bytes cannot extend it */
		c->deadline_ms = clock_mono_ms() + (int64_t)c->server->limits.head_timeout_s * 1000;
}

void http_gate_expire(struct http_conn *c, int64_t now_ms)
{
	enum gate_timeout timeout = STATES[c->state].timeout;
	if (timeout != TIMEOUT_NONE && c->state != CONN_IDLE) {
		size_t left = http_out_waiting(c);
		if (left != c->out_left || (!left && timeout == TIMEOUT_UNSENT))
			c->deadline_ms = 0;
		c->out_left = left;
	}
	if (c->deadline_ms == 0) {
		if (timeout == TIMEOUT_ALWAYS || (timeout == TIMEOUT_UNSENT && c->out_left))
			c->deadline_ms = now_ms + (int64_t)c->server->limits.idle_timeout_s * 1000;
		return;
	}
	if (now_ms >= c->deadline_ms)
		gate_input(c, LATE);
}

void http_gate_drain(struct http_conn *c)
{
	gate_input(c, DRAIN);
}
