#include "rdp/x224.h"

#define TPKT_VERSION 3
#define CONNECT_CONFIRM 0xd0
#define HEAD 11 /* TPKT and X.224 */
#define NEGOTIATION 8
#define RESPONSE 2
#define FAILURE 3

#define PROTOCOL_RDP 0
#define PROTOCOL_SSL 1
#define PROTOCOL_HYBRID 2
#define PROTOCOL_HYBRID_EX 8

/* Codes of a failure after which the server would still accept classic RDP security, and the one that asks for a client certificate. */
#define SSL_NOT_ALLOWED 2
#define SSL_CERT_NOT_ON_SERVER 3
#define SSL_WITH_USER_AUTH_REQUIRED 6

const unsigned char x224_request[X224_REQUEST_SIZE] = {
	TPKT_VERSION, 0, 0, X224_REQUEST_SIZE, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, NEGOTIATION, 0, PROTOCOL_SSL | PROTOCOL_HYBRID | PROTOCOL_HYBRID_EX, 0, 0, 0,
};

static enum x224_result negotiated(const unsigned char *p, enum target_security *ret)
{
	uint32_t value = p[4] | (uint32_t)p[5] << 8 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 24;
	static const struct {
		unsigned char type;
		uint32_t value;
		enum target_security is;
	} known[] = {
		{ RESPONSE, PROTOCOL_RDP, TARGET_RDP },	     { RESPONSE, PROTOCOL_SSL, TARGET_TLS },
		{ RESPONSE, PROTOCOL_HYBRID, TARGET_NLA },   { RESPONSE, PROTOCOL_HYBRID_EX, TARGET_NLA },
		{ FAILURE, SSL_NOT_ALLOWED, TARGET_RDP },    { FAILURE, SSL_CERT_NOT_ON_SERVER, TARGET_RDP },
		{ FAILURE, SSL_WITH_USER_AUTH_REQUIRED, TARGET_TLS },
	};
	for (size_t i = 0; p[2] == NEGOTIATION && !p[3] && i < ARRAY_LEN(known); i++)
		if (known[i].type == p[0] && known[i].value == value) {
			*ret = known[i].is;
			return X224_ANSWERED;
		}
	return X224_OTHER;
}

enum x224_result x224_answer(const unsigned char *data, size_t n, enum target_security *ret)
{
	static const unsigned char head[] = { TPKT_VERSION, 0, 0 };
	if (memcmp(data, head, MIN(n, sizeof head)) != 0)
		return X224_OTHER; /* at once, because other protocols may send less than an answer and then wait */
	if (n < 4)
		return X224_MORE;
	size_t len = data[3];
	if (len != HEAD && len != HEAD + NEGOTIATION)
		return X224_OTHER;
	if ((n > 4 && data[4] != len - 5) || (n > 5 && data[5] != CONNECT_CONFIRM))
		return X224_OTHER;
	if (n < len)
		return X224_MORE;
	if (len == HEAD + NEGOTIATION)
		return negotiated(data + HEAD, ret);
	*ret = TARGET_RDP;
	return X224_ANSWERED;
}
