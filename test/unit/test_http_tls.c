/* http over TLS: every case of the plain server once more, through a tunnel that speaks TLS to it. */
#define RIG_TLS 1
#include "test/unit/test_http.c"
