/* sha256: FIPS 180-4, for ids that do not fit. Floor F6, any thread. Not for: anything secret. */
#ifndef SERVERS_SHA256_H
#define SERVERS_SHA256_H

#include "lucid/base.h"

#define SHA256_HEX_SIZE 65
void sha256_hex(char dst[SHA256_HEX_SIZE], const void *data, size_t n);

#endif
