/* account: metrics and access log of each response. Floor F5, loop thread only, never blocks. */
#ifndef API_ANSWER_ACCOUNT_H
#define API_ANSWER_ACCOUNT_H

#include "lucid/base.h"

struct request;
struct account;
struct account *account_new(void);
void account_free(struct account *a);
void account_request(struct request *q, int status, size_t bytes); /* once for each request */

#endif
