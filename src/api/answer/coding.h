/* coding: content codings that a client accepts (RFC 9110, 12.5.3). Floor F5, any thread, pure. */
#ifndef API_ANSWER_CODING_H
#define API_ANSWER_CODING_H

#include "lucid/base.h"

/* True if an Accept-Encoding header names the coding with a weight above 0. `*` is not taken for it: clients send that without knowing every
 * coding. header NULL: false. */
bool coding_accepted(const char *header, const char *coding);

#endif
