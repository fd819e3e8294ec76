/* request_id: the id and the trace of a request. Floor F5, loop thread only, never blocks. */
#ifndef API_REQUEST_ID_H
#define API_REQUEST_ID_H

struct request;
/* Sets q->id: the client's X-Request-ID if it is valid, else a new id. */
void request_id_take(struct request *q);
/* The traceparent header (W3C Trace Context) if it is well-formed, else NULL. */
const char *request_trace(struct request *q);

#endif
