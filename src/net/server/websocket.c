#include "net/server/websocket.h"

#include <openssl/evp.h>
#include <string.h>

#include "net/http_head.h"

#define KEY_LEN 24  /* base64 of 16 bytes */
#define LINES_MAX 4 /* Connection or Upgrade headers that are examined */

static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 1.3 */

static int websocket_refuse(int status, const char *why, const char **ret_why)
{
	*ret_why = why;
	return status;
}

static bool websocket_header_has(const struct http_req *r, const char *name, const char *token)
{
	const char *lines[LINES_MAX];
	size_t n = http_req_headers(r, name, lines, LINES_MAX);
	for (size_t i = 0; i < n; i++)
		if (http_head_list_has(lines[i], token))
			return true;
	return false;
}

/* 16 bytes in base64: 22 digits, of which the last encodes two bits only, and the padding. */
static bool websocket_key_ok(const char *key)
{
	static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	return strlen(key) == KEY_LEN && strspn(key, DIGITS) == KEY_LEN - 2 && strchr("AQgw", key[KEY_LEN - 3]) && strcmp(key + KEY_LEN - 2, "==") == 0;
}

static void websocket_accept(const char *key, char ret[WEBSOCKET_ACCEPT_SIZE])
{
	unsigned char sum[20];
	char text[KEY_LEN + sizeof GUID];
	memcpy(text, key, KEY_LEN);
	memcpy(text + KEY_LEN, GUID, sizeof GUID);
	if (!EVP_Digest(text, sizeof text - 1, sum, NULL, EVP_sha1(), NULL))
		abort(); /* no memory */
	EVP_EncodeBlock((unsigned char *)ret, sum, sizeof sum);
}

int websocket_check(const struct http_req *r, bool http10, char ret_accept[WEBSOCKET_ACCEPT_SIZE], const char **ret_why)
{
	bool again;
	/* RFC 9110 7.8: an Upgrade in an HTTP/1.0 request is ignored */
	if (http10 || !websocket_header_has(r, "Upgrade", "websocket") || !websocket_header_has(r, "Connection", "upgrade"))
		return websocket_refuse(426, "this path speaks WebSocket only; send Connection: Upgrade and Upgrade: websocket over HTTP/1.1", ret_why);
	if (http_req_method(r) != HTTP_GET)
		return websocket_refuse(400, "a WebSocket handshake must be a GET", ret_why);
	const char *version = http_req_header(r, "Sec-WebSocket-Version", &again);
	if (!version || again)
		return websocket_refuse(400, "a WebSocket handshake must have exactly one Sec-WebSocket-Version", ret_why);
	if (strcmp(version, WEBSOCKET_VERSION) != 0)
		return websocket_refuse(426, "Sec-WebSocket-Version must be " WEBSOCKET_VERSION, ret_why);
	const char *key = http_req_header(r, "Sec-WebSocket-Key", &again);
	if (!key || again || !websocket_key_ok(key))
		return websocket_refuse(400, "Sec-WebSocket-Key must be there exactly once, 16 bytes in base64", ret_why);
	websocket_accept(key, ret_accept);
	return 0;
}
