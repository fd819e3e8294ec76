/* openapi: the description of the API (OpenAPI 3.1), from the rows of the roles in this process. Floor F5, any thread, never blocks. */
#ifndef API_REFERENCE_OPENAPI_H
#define API_REFERENCE_OPENAPI_H

#include "api/env.h"
#include "lucid/doc.h"

/* The caller owns the document. base: the URL of the server. */
json_t *openapi_document(const struct api_env *env, const char *base);

#endif
