/* parts: building blocks of the OpenAPI document. Floor F5, any thread, never blocks. Each function except openapi_path returns a new
 * document, which the caller owns. */
#ifndef API_REFERENCE_PARTS_H
#define API_REFERENCE_PARTS_H

#include "lucid/doc.h"

#define OPENAPI_JSON "application/json"

json_t *openapi_ref(const char *kind, const char *name); /* "schemas", "Server" */
json_t *openapi_content(const char *type, json_t *consume_schema);
json_t *openapi_text(void); /* the schema of a string */
/* in: "query", "path" or "header"; help NULL: none */
json_t *openapi_parameter(const char *name, const char *in, bool required, const char *help, json_t *consume_schema);
/* Sets the operationId, with '_' instead of dots: generators of clients drop dots, or the text after them. */
void openapi_set_id(json_t *operation, const char *name);
/* The item of a path, created if absent; borrowed from `paths`. */
json_t *openapi_path(json_t *paths, const char *path);

#endif
