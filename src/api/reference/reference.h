/*
 * reference: /openapi.json, and /docs and /redoc, which render it for browsers (only with DEBUG=true). Floor F5, loop thread only, never
 * blocks. Each page is made on request and cached until a request uses another public URL.
 */
#ifndef API_REFERENCE_REFERENCE_H
#define API_REFERENCE_REFERENCE_H

struct request;
struct reference;
struct reference *reference_new(void);
void reference_free(struct reference *r);
void reference_openapi_page(struct request *q);
void reference_docs_page(struct request *q);

#endif
