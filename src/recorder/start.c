#include "recorder/start.h"

#include "lucid/str.h"

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool start_hex(const char *text, uint8_t *ret, size_t n)
{
	if (!text || strlen(text) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static int base64_digit(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The key: 43 digits and one '='. */
static bool read_key(const char *text, uint8_t ret[RECORD_KEY_BYTES])
{
	uint32_t bits = 0;
	size_t made = 0;
	if (!text || strlen(text) != 44 || text[43] != '=')
		return false;
	for (size_t i = 0; i < 43; i++) {
		int digit = base64_digit(text[i]);
		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		if (i % 4 && made < RECORD_KEY_BYTES)
			ret[made++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
	}
	mem_wipe(&bits, sizeof bits);
	return made == RECORD_KEY_BYTES;
}

static bool read_cipher(const char *text, enum record_cipher *ret)
{
	for (int c = RECORD_PLAIN; c <= RECORD_CHACHA20_POLY1305; c++)
		if (str_eq(text, record_cipher_to_string((enum record_cipher)c))) {
			*ret = (enum record_cipher)c;
			return true;
		}
	return false;
}

static bool read_number(const json_t *body, const char *name, int64_t otherwise, int64_t min, int64_t max, int64_t *ret)
{
	*ret = doc_int(body, name, otherwise);
	return *ret >= min && *ret <= max;
}

static const char *read_numbers(const json_t *body, struct start *ret)
{
	int64_t level, rate, seconds, megabytes, records, seq;
	if (!read_number(body, "level", 0, 0, 19, &level))
		return "level must be 0 to 19";
	if (!read_number(body, "frame_rate", 30, 1, 60, &rate))
		return "frame_rate must be 1 to 60";
	if (!read_number(body, "chunk_seconds", 30, RECORD_CHUNK_MS_MIN / 1000, RECORD_CHUNK_MS_MAX / 1000, &seconds))
		return "chunk_seconds must be 5 to 60";
	if (!read_number(body, "max_mb_per_min", 0, 0, 1000000, &megabytes))
		return "max_mb_per_min must be 0 to 1000000";
	if (!read_number(body, "max_records", 0, 0, RECORD_RECORDS_MAX, &records))
		return "max_records must be 0 to 65536";
	if (!read_number(body, "first_seq", 0, 0, RECORD_CHUNKS_MAX, &seq))
		return "first_seq is out of range";
	if (!read_number(body, "start_us", -1, 0, INT64_MAX / 2, &ret->start_us))
		return "start_us is missing";
	if (!read_number(body, "gap_from_us", 0, 0, INT64_MAX / 2, &ret->gap_from_us))
		return "gap_from_us is out of range";
	ret->level = (int)level;
	ret->frame_rate = (unsigned)rate;
	ret->chunk_ms = (unsigned)seconds * 1000;
	ret->max_mb_per_min = (unsigned)megabytes;
	ret->max_records = (unsigned)records;
	ret->first_seq = (uint32_t)seq;
	return NULL;
}

const char *start_parse(const json_t *body, struct start *ret)
{
	*ret = (struct start){ 0 };
	const char *cipher = doc_str(body, "cipher", NULL), *prev_hash = doc_str(body, "prev_hash", NULL);
	if (!record_id_parse(doc_str(body, "recording_id", ""), ret->id))
		return "recording_id is not a UUID";
	ret->cipher = record_cipher_here();
	if (cipher && !read_cipher(cipher, &ret->cipher))
		return "unknown cipher";
	if (ret->cipher != RECORD_PLAIN && !read_key(doc_str(body, "key", NULL), ret->key))
		return "key is not the base64 text of 32 bytes";
	if (!start_hex(doc_str(body, "cookie", NULL), ret->cookie, sizeof ret->cookie))
		return "cookie is not the hex text of 16 bytes";
	if (prev_hash && !start_hex(prev_hash, ret->prev_hash, sizeof ret->prev_hash))
		return "prev_hash is not the hex text of 32 bytes";
	if (!record_codec_from_string(doc_str(body, "codec", "zstd"), &ret->codec))
		return "unknown codec";
	if (!quality_from_string(doc_str(body, "quality", "high"), &ret->quality))
		return "unknown quality";
	return read_numbers(body, ret);
}
