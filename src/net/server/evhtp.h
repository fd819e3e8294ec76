/* evhtp: libevhtp's header, without its conflicts with our code: functions without prototypes, and a LIST_FOREACH of its own. */
#ifndef NET_SERVER_EVHTP_H
#define NET_SERVER_EVHTP_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <evhtp.h>
#pragma GCC diagnostic pop
#undef LIST_FOREACH
#undef LIST_FOREACH_SAFE

#endif
