#include <stdio.h>

#include "lucid/id.h"
#include "lucid/record.h"
#include "lucid/str.h"
#include "record/bytes.h"

static const char *const codecs[] = { [RECORD_NONE] = "none", [RECORD_LZ4] = "lz4", [RECORD_ZSTD] = "zstd" };
static const char *const ciphers[] = { [RECORD_PLAIN] = "none", [RECORD_AES256_GCM] = "aes-256-gcm", [RECORD_CHACHA20_POLY1305] = "chacha20-poly1305" };
static const char *const gaps[] = { "other", [RECORD_GAP_LOST] = "lost", [RECORD_GAP_PAUSED] = "paused", [RECORD_GAP_RESTART] = "restart", [RECORD_GAP_DISK] = "disk" };

const char *record_chunk_name(char dst[RECORD_NAME_SIZE], uint32_t seq)
{
	snprintf(dst, RECORD_NAME_SIZE, "%08u.rck", seq);
	return dst;
}

const char *record_codec_to_string(enum record_codec c)
{
	return (size_t)c < ARRAY_LEN(codecs) ? codecs[c] : "unknown";
}

bool record_codec_from_string(const char *s, enum record_codec *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(codecs); i++)
		if (str_eq(s, codecs[i])) {
			*ret = (enum record_codec)i;
			return true;
		}
	return false;
}

const char *record_cipher_to_string(enum record_cipher c)
{
	return (size_t)c < ARRAY_LEN(ciphers) ? ciphers[c] : "unknown";
}

const char *record_gap_to_string(enum record_gap g)
{
	return gaps[(size_t)g < ARRAY_LEN(gaps) ? (size_t)g : 0];
}

bool record_id_parse(const char *uuid, uint8_t ret[RECORD_ID_BYTES])
{
	static const uint8_t groups[] = { 4, 2, 2, 2, 6 };
	if (!id_is_uuid(uuid))
		return false;
	for (size_t i = 0; i < sizeof groups; ret += groups[i], uuid += 2 * groups[i] + 1, i++)
		bytes_from_hex(ret, uuid, groups[i]);
	return true;
}

void record_id_text(char dst[37], const uint8_t id[RECORD_ID_BYTES])
{
	char hex[2 * RECORD_ID_BYTES];
	str_hex(hex, id, RECORD_ID_BYTES);
	snprintf(dst, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

uint8_t record_activity_level(uint64_t changed_pixels, uint64_t screen_pixels)
{
	if (!changed_pixels || !screen_pixels)
		return 0;
	uint64_t x = changed_pixels * 1024 / screen_pixels; /* fewer than 2^54 pixels change in a second */
	int level = x ? 64 - __builtin_clzll(x) : 1;
	return (uint8_t)MIN(level, RECORD_ACTIVITY_MAX);
}
