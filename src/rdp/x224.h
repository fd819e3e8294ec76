/* x224: the first exchange of an RDP connection: an X.224 connection request with RDP negotiation, and its answer (MS-RDPBCGR 2.2.1.1 and
 * 2.2.1.2). Floor F3, pure. */
#ifndef RDP_X224_H
#define RDP_X224_H

#include "lucid/target.h"

#define X224_REQUEST_SIZE 19
#define X224_ANSWER_MAX 64 /* an answer has 11 or 19 bytes */

/* A request that offers TLS, NLA and NLA with early authorization. */
extern const unsigned char x224_request[X224_REQUEST_SIZE];

enum x224_result { X224_MORE /* the answer is not complete */, X224_ANSWERED, X224_OTHER /* not an answer of an RDP server */ };
/* Reads the first n bytes that the server sent. */
enum x224_result x224_answer(const unsigned char *data, size_t n, enum target_security *ret);

#endif
