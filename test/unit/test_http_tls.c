/* http over TLS: all tests of the plain server again, through a tunnel that speaks TLS to it. */
#define RIG_TLS 1
#include "test/unit/test_http.c"
