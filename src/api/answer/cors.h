/*
 * cors: cross-origin resource sharing (CORS_ORIGINS). Floor F5, loop thread only, never blocks. Pages of the listed origins may read
 * responses, with the credentials that a browser adds itself (cookies, client certificates). `*` allows every page, without credentials.
 * Without origins no CORS header is sent, and browsers withhold responses from pages of other origins. Other clients are not affected.
 */
#ifndef API_ANSWER_CORS_H
#define API_ANSWER_CORS_H

#include "net/http.h"

#define CORS_HEADERS 7

struct api;
struct request;
void cors_reload(struct api *a);
/* Writes the headers and returns their number. Values belong to the configuration or the endpoint, or are static. */
size_t cors_headers(struct request *q, struct http_header to[CORS_HEADERS]);

#endif
