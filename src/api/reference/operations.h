/* operations: an operation in the OpenAPI document, with the schemas of its shapes. Floor F5, any thread, never blocks. */
#ifndef API_REFERENCE_OPERATIONS_H
#define API_REFERENCE_OPERATIONS_H

#include "lucid/op.h"

void openapi_add_operation(json_t *paths, json_t *schemas, const struct op *op);

#endif
