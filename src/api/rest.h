/* rest: passes each request to its page or operation. Floor F5, loop thread only, never blocks. */
#ifndef API_REST_H
#define API_REST_H

#include "net/http.h"

/* The handler of http_server_new; arg is the api. */
void rest_on_request(struct http_req *r, void *arg);

#endif
