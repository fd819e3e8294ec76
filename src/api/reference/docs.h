/* docs: renders the OpenAPI document as an HTML page. Floor F5, any thread, never blocks. The page has no scripts and loads nothing from
 * other hosts; its style sheet is an asset (assets.h). */
#ifndef API_REFERENCE_DOCS_H
#define API_REFERENCE_DOCS_H

#include "lucid/doc.h"

/* The caller owns the page. prefix: the public prefix of all paths, or "". */
struct blob *docs_html(const json_t *openapi, const char *prefix);

#endif
