/* errors: the error responses of the OpenAPI document, one named response for each status. Floor F5, any thread, never blocks. */
#ifndef API_REFERENCE_ERRORS_H
#define API_REFERENCE_ERRORS_H

#include "lucid/op.h"

json_t *openapi_error_schema(void); /* the component ApiError */
json_t *openapi_error_responses(void); /* the components of all statuses */
void openapi_add_error(json_t *responses, int status);
/* Adds all errors of an operation. */
void openapi_add_errors(json_t *responses, const struct op *op);

#endif
