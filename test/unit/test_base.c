#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lucid/clock.h"
#include "lucid/doc.h"
#include "lucid/errs.h"
#include "lucid/file_name.h"
#include "lucid/id.h"
#include "lucid/map.h"
#include "lucid/near.h"
#include "lucid/str.h"
#include "lucid/text.h"
#include "lucid/under_way.h"

static void test_copy_refuses_what_does_not_fit(void **state)
{
	char b[4];
	assert_true(str_copy(b, sizeof b, "abc"));
	assert_string_equal(b, "abc");
	assert_false(str_copy(b, sizeof b, "abcd"));
	assert_string_equal(b, "");
}

static void test_utf8(void **state)
{
	static const struct {
		const char *s;
		bool ok;
	} t[] = { { "a", true }, { "ä€😀", true }, { "\xc0\x80", false }, { "\xed\xa0\x80", false }, { "\xf4\x90\x80\x80", false },
		  { "\xe2\x82", false }, { "\xff", false } };
	size_t chars = 0;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(str_utf8(t[i].s, strlen(t[i].s), &chars), t[i].ok);
	assert_true(str_utf8("ä€😀", strlen("ä€😀"), &chars));
	assert_int_equal(chars, 3);
	static const char *const controls[] = { "a\x01", "\x7f", "a\nb", "\xc2\x85", "x\xc2\x9f", "\xe2\x80\xa8", "\xe2\x80\xa9" };
	for (size_t i = 0; i < ARRAY_LEN(controls); i++)
		assert_true(str_has_control(controls[i], false));
	assert_true(str_has_control("a\xc2\x85", true));
	assert_false(str_has_control("a\n\tb", true));
	assert_false(str_has_control("\xc2\xa0 ä€😀 \xe2\x80\xa7", false));
}

static void test_int(void **state)
{
	int64_t v = 7;
	static const char *const bad[] = { "", "-", "+1", " 1", "1 ", "1a", "0x1", "99999999999999999999", "1.0" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(str_int(bad[i], INT64_MIN, INT64_MAX, &v));
	assert_int_equal(v, 7);
	assert_true(str_int("-42", -42, 0, &v));
	assert_int_equal(v, -42);
	assert_false(str_int("5", 6, 9, &v));
}

static void test_near_names(UNUSED void **state)
{
	static const char *const near[][2] = {
		{ "LOG_LEVLE", "LOG_LEVEL" }, { "log-level", "LOG_LEVEL" }, { "LEVEL_LOG", "LOG_LEVEL" }, { "version", "--version" },
		{ "--roles", "--role" }, { "--env_file", "--env-file" }, { "rdp-sever-manager", "rdp-server-manager" }, { "tokn", "token" },
		{ "BIND_ADDR", "BIND_ADDRESS" }, { "DATA_DIRECTORY", "DATA_DIR" }, { "TLS_CERT", "TLS_CERT_FILE" }, { "PORT_RANGE", "PORT_RANGE_START" },
		{ "TRUSTED_PROXY", "TRUSTED_PROXIES" }, { "ALLOWED_PROXIES", "ALLOWED_PROXY" }, { "rdp-server", "rdp-server-manager" },
	};
	static const char *const apart[][2] = {
		{ "SSL_CERT_FILE", "TLS_CERT_FILE" }, { "HOME", "ROLE" }, { "PATH", "PORT" }, { "PWD", "PID" }, { "", "ROLE" },
		{ "LOGNAME", "LOG_DIR" }, { "--", "--set" }, { "XDG_RUNTIME_DIR", "RUNTIME_DIR" }, { "TLS", "TLS_CERT_FILE" }, { "TLS_CERT_FILE_EXTRA", "TLS_CERT_FILE" },
		{ "TLS__KEY", "TLS_CERT_FILE" }, { "A_B", "ABC_BCD" },
	};
	for (size_t i = 0; i < ARRAY_LEN(near); i++)
		if (!near_alike(near[i][0], near[i][1]))
			fail_msg("%s is near %s", near[i][0], near[i][1]);
	for (size_t i = 0; i < ARRAY_LEN(apart); i++)
		if (near_alike(apart[i][0], apart[i][1]))
			fail_msg("%s is not near %s", apart[i][0], apart[i][1]);
}

static void test_match(void **state)
{
	assert_true(str_match("server.*", "server.status"));
	assert_false(str_match("server.*", "servers"));
	assert_true(str_match("*", ""));
	assert_true(str_match("a*b*c", "axxbyyc"));
	assert_false(str_match("a*b*c", "axxbyy"));
}

static void count_one(void *arg)
{
	++*(int *)arg;
}

static void test_who_waits_is_told_once_when_nothing_is_under_way(UNUSED void **state)
{
	struct under_way u = { 0 };
	int told = 0;
	under_way_wait(&u, count_one, &told);
	assert_int_equal(told, 1); /* no other warning */
	under_way_begin(&u);
	under_way_begin(&u);
	under_way_wait(&u, count_one, &told);
	under_way_end(&u);
	assert_int_equal(told, 1);
	under_way_end(&u);
	assert_int_equal(told, 2);
	under_way_begin(&u);
	under_way_end(&u);
	assert_int_equal(told, 2);
}

static void test_hex_and_percent(UNUSED void **state)
{
	static const struct {
		const char *s;
		int byte;
	} of[] = { { "%00", 0 }, { "%2f", '/' }, { "%2Fx", '/' }, { "%aF", 0xaf }, { "%ff", 255 }, { "", -1 }, { "%", -1 }, { "%4", -1 },
		   { "%g0", -1 }, { "%0g", -1 }, { "41", -1 }, { "%:0", -1 }, { "%0@", -1 }, { "%`0", -1 }, { "% 1", -1 } };
	char text[] = "........!";
	str_hex(text, "\x00\x9a\xff\x10", 4);
	assert_string_equal(text, "009aff10!");
	for (size_t i = 0; i < ARRAY_LEN(of); i++)
		assert_int_equal(str_percent(of[i].s), of[i].byte);
}

static void test_strbuf_json_and_bound(void **state)
{
	struct strbuf b = { 0 };
	strbuf_json(&b, "a\"\\\n\x01ä\xff");
	assert_string_equal(b.s, "\"a\\\"\\\\\\n\\u0001ä?\"");
	strbuf_done(&b);
	struct strbuf small = { .max = 8 };
	strbuf_puts(&small, "1234");
	strbuf_puts(&small, "56789");
	assert_true(small.overflow);
	assert_string_equal(small.s, "1234");
	strbuf_done(&small);
}

static void test_map(void **state)
{
	struct map *m = map_new(1000);
	char key[16];
	for (intptr_t i = 0; i < 1000; i++) {
		snprintf(key, sizeof key, "k%d", (int)i);
		assert_true(map_put(m, key, (void *)(i + 1), NULL));
	}
	assert_false(map_put(m, "one more", m, NULL));
	void *old = NULL;
	assert_true(map_put(m, "k7", (void *)99, &old));
	assert_ptr_equal(old, (void *)8);
	struct map_pos pos = { 0 };
	const char *k;
	void *v;
	size_t seen = 0;
	while (map_next(m, &pos, &k, &v)) {
		seen++;
		if (seen % 2)
			map_remove(m, k); /* the current one may be removed during the iteration */
	}
	assert_int_equal(seen, 1000);
	assert_int_equal(map_count(m), 500);
	assert_null(map_get(m, "k0"));
	assert_ptr_equal(map_get(m, "k7"), (void *)99);
	map_free(m, NULL);
}

static void test_time(void **state)
{
	char iso[CLOCK_ISO_SIZE];
	int64_t ms;
	assert_string_equal(clock_iso(iso, 1700000000123), "2023-11-14T22:13:20.123Z");
	assert_true(clock_from_iso("2023-11-14T22:13:20.123Z", &ms));
	assert_true(ms == 1700000000123);
	assert_true(clock_from_iso("2023-11-15T00:13:20+02:00", &ms));
	assert_true(ms == 1700000000000);
}

static void test_times_are_those_of_rfc_3339(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2023-11-14t22:13:20z", 1700000000000 },
		{ "2023-11-14T22:13:20.5Z", 1700000000500 },
		{ "2023-11-14T22:13:20.1239999999999Z", 1700000000123 },
		{ "2023-11-14T22:13:20-00:00", 1700000000000 },
		{ "2023-11-14T00:13:20-22:00", 1700000000000 },
		{ "2023-11-15T22:12:20+23:59", 1700000000000 },
		{ "2024-02-29T00:00:00Z", 1709164800000 },
		{ "2000-02-29T00:00:00Z", 951782400000 },
		{ "2016-12-31T23:59:60Z", 1483228800000 },
		{ "2016-12-31T18:59:60.25-05:00", 1483228800250 },
		{ "2015-07-01T01:59:60+02:00", 1435708800000 },
		{ "9999-12-31T23:59:59.999Z", 253402300799999 },
		{ "1969-12-31T23:00:00-01:00", 0 },
	};
	static const char *const bad[] = {
		"", "2023", "2023-11-14", "2023-11-14T22:13:20", "2023-11-14 22:13:20Z", "2023-11-14T22:13Z", "20231114T221320Z",
		/* days of months, leap years */
		"2023-13-01T00:00:00Z", "2023-00-01T00:00:00Z", "2023-01-00T00:00:00Z", "2023-01-32T00:00:00Z", "2023-04-31T00:00:00Z",
		"2023-06-31T00:00:00Z", "2023-09-31T00:00:00Z", "2023-11-31T00:00:00Z", "2023-02-29T00:00:00Z", "2024-02-30T00:00:00Z",
		"2100-02-29T00:00:00Z",
		/* hours, minutes, seconds */
		"2023-01-01T24:00:00Z", "2023-01-01T25:00:00Z", "2023-01-01T00:60:00Z", "2023-01-01T00:00:61Z",
		/* leap seconds at other times */
		"2016-12-31T22:59:60Z", "2016-12-30T23:59:60Z", "2016-03-31T23:59:60Z", "2016-12-31T23:59:60+01:00",
		/* two digits, no signs, no blanks */
		"2023-1-01T00:00:00Z", "2023-01-1T00:00:00Z", "2023-01-01T0:00:00Z", "2023-01-01T00:0:00Z", "2023-01-01T00:00:0Z",
		"2023-01-01T00:00: 1Z", "2023-01-01T00: 1:00Z", "2023-01-01T+1:00:00Z", "2023-01-01T00:00:-1Z", " 2023-01-01T00:00:00Z",
		"2023-01-01T00:00:00Z ", "2023-01-01T00:00:00 Z", "+023-01-01T00:00:00Z", "02023-01-01T00:00:00Z", "2023-01-01T00:00:00.Z",
		"2023-01-01T00:00:00,5Z", "2023-01-01T00:00:00.5", "2023-01-01T00:00:00.-5Z",
		/* zones */
		"2023-01-01T00:00:00+24:00", "2023-01-01T00:00:00+00:60", "2023-01-01T00:00:00+99:99", "2023-01-01T00:00:00+1:00",
		"2023-01-01T00:00:00+0100", "2023-01-01T00:00:00+01", "2023-01-01T00:00:00+01:0", "2023-01-01T00:00:00+-1:00",
		"2023-01-01T00:00:00+01:00Z", "2023-01-01T00:00:00ZZ", "2023-01-01T00:00:00 02:00", "2023-01-01T00:00:00UTC",
		/* outside of the range that can be printed */
		"1969-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1970-01-01T00:59:59+01:00", "9999-12-31T23:59:59-00:01",
	};
	char iso[CLOCK_ISO_SIZE];
	int64_t ms, again;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(clock_from_iso(good[i].text, &ms));
		assert_true(ms == good[i].ms);
		assert_true(clock_from_iso(clock_iso(iso, ms), &again) && again == ms);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (clock_from_iso(bad[i], &ms))
			fail_msg("%s was taken", bad[i]);
}

static void test_file_names_are_safe(void **state)
{
	static const struct {
		const char *name, *want;
	} rows[] = {
		{ "desk", "filename=\"desk.rdp\"" },
		{ "desk 1.RDP", "filename=\"desk 1.rdp\"" },
		{ ".rdp", "filename=\"_rdp.rdp\"" },
		{ "../../etc/passwd", "filename=\"_._.._etc_passwd.rdp\"" },
		{ "C:\\Windows\\x", "filename=\"C__Windows_x.rdp\"" },
		{ "a\"; filename=\"evil.exe", "filename=\"a_; filename=_evil.exe.rdp\"" },
		{ "a\r\nSet-Cookie: x", "filename=\"a__Set-Cookie_ x.rdp\"" },
		{ "<b>|?*", "filename=\"_b____.rdp\"" },
		{ "-rf", "filename=\"_rf.rdp\"" },
		{ ".hidden", "filename=\"_hidden.rdp\"" },
		{ "...", "filename=\"desktop.rdp\"" },
		{ "", "filename=\"desktop.rdp\"" },
		{ "dots. . ", "filename=\"dots.rdp\"" },
		{ "nul", "filename=\"_nul.rdp\"" },
		{ "COM1.x", "filename=\"_COM1.x.rdp\"" },
		{ "COM10", "filename=\"COM10.rdp\"" },
		{ "com²", "filename=\"_com_.rdp\"; filename*=UTF-8''_com%C2%B2.rdp" },
		{ "comß", "filename=\"com_.rdp\"; filename*=UTF-8''com%C3%9F.rdp" },
		{ "con ", "filename=\"_con.rdp\"" },
		{ "a%41", "filename=\"a_41.rdp\"; filename*=UTF-8''a%2541.rdp" },
		{ "Zoë", "filename=\"Zo_.rdp\"; filename*=UTF-8''Zo%C3%AB.rdp" },
		{ "日本", "filename=\"__.rdp\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.rdp" },
		{ "fdp.\xe2\x80\xae" "exe", "filename=\"fdp._exe.rdp\"" },
		{ "it's; a=b", "filename=\"it's; a=b.rdp\"" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(xfreep) char *text = file_name_disposition(rows[i].name, ".rdp");
		assert_true(str_starts(text, "attachment; "));
		assert_string_equal(text + strlen("attachment; "), rows[i].want);
	}
	char longest[64 * 4 + 1] = "";
	for (int i = 0; i < 64; i++)
		strcat(longest, "😀");
	_cleanup_(xfreep) char *text = file_name_disposition(longest, ".rdp");
	const char *star = strstr(text, "filename*=");
	assert_non_null(star);
	assert_int_equal(strlen(star), strlen("filename*=UTF-8''.rdp") + 3 * 200);
}

static void test_invisible_characters_are_refused_in_names(void **state)
{
	static const uint32_t unfit[] = { 0xad,	  0x34f,  0x61c,  0x115f, 0x180e, 0x200b, 0x200c, 0x200d, 0x200e, 0x200f, 0x2028, 0x202a,
					  0x202b, 0x202c, 0x202d, 0x202e, 0x2060, 0x2061, 0x2064, 0x2066, 0x2067, 0x2068, 0x2069, 0x206f,
					  0x3164, 0xfdd0, 0xfe0f, 0xfeff, 0xffa0, 0xfff9, 0xfffe, 0x1d173, 0xe0001, 0xe0041, 0xe007f,
					  0xe0100, 0xe0fff, 0x1fffe, 0x10ffff };
	static const uint32_t blanks[] = { 0x20, 0xa0, 0x1680, 0x2000, 0x2009, 0x202f, 0x205f, 0x2800, 0x3000 };
	char name[16] = "a";
	for (size_t i = 0; i < ARRAY_LEN(unfit); i++) {
		size_t n = 1;
		uint32_t c = unfit[i];
		if (c < 0x800) {
			name[n++] = (char)(0xc0 | c >> 6);
		} else if (c < 0x10000) {
			name[n++] = (char)(0xe0 | c >> 12);
			name[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		} else {
			name[n++] = (char)(0xf0 | c >> 18);
			name[n++] = (char)(0x80 | (c >> 12 & 0x3f));
			name[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		}
		name[n++] = (char)(0x80 | (c & 0x3f));
		strcpy(name + n, "b");
		assert_true(str_utf8(name, strlen(name), NULL));
		assert_int_equal(text_unfit(name, TEXT_NAME), c);
		assert_false(text_is_subject(name));
	}
	for (size_t i = 0; i < ARRAY_LEN(blanks); i++) {
		size_t n = blanks[i] < 0x80 ? 1 : blanks[i] < 0x800 ? 2 : 3;
		char blank[4] = { (char)blanks[i] }, text[16];
		if (n == 2)
			snprintf(blank, sizeof blank, "%c%c", (int)(0xc0 | blanks[i] >> 6), (int)(0x80 | (blanks[i] & 0x3f)));
		else if (n == 3)
			snprintf(blank, sizeof blank, "%c%c%c", (int)(0xe0 | blanks[i] >> 12), (int)(0x80 | (blanks[i] >> 6 & 0x3f)),
				 (int)(0x80 | (blanks[i] & 0x3f)));
		snprintf(text, sizeof text, "%sx", blank);
		assert_true(text_blank_ends(text));
		snprintf(text, sizeof text, "x%s", blank);
		assert_true(text_blank_ends(text));
		snprintf(text, sizeof text, "x%sx", blank);
		assert_false(text_blank_ends(text));
	}
	/* visible characters of any script are kept */
	static const char *const fit[] = { "anna", "müller", "Zoë O’Neil", "日本語", "العربية", "हिन्दी", "😀 desk", "a\xc2\xa0z", "e\xcc\x81", "\xee\x80\x80" };
	for (size_t i = 0; i < ARRAY_LEN(fit); i++)
		assert_true(text_is_subject(fit[i]));
	/* prose may have joiners and selectors, but no direction changes */
	assert_int_equal(text_unfit("👩‍💻 ❤️ نامه‌ای", TEXT_PROSE), 0);
	assert_int_equal(text_unfit("a\xe2\x80\xae", TEXT_PROSE), 0x202e);
	assert_int_equal(text_unfit("a\xe2\x81\xa6", TEXT_PROSE), 0x2066);
	assert_int_equal(text_unfit("a\xf3\xa0\x81\x81", TEXT_PROSE), 0xe0041);
}

static void test_ids(void **state)
{
	char a[ID_UUID_SIZE], b[ID_UUID_SIZE];
	id_uuid(a);
	id_uuid(b);
	assert_true(id_is_uuid(a));
	assert_string_not_equal(a, b);
	assert_false(id_is_uuid("123E4567-E89B-42D3-A456-426614174000"));
	assert_false(id_is_uuid("123e4567"));
	assert_true(id_is_request("a.B_9-"));
	assert_false(id_is_request(""));
	assert_false(id_is_request("a b"));
}

static void test_parse_refuses(void **state)
{
	char why[128], deep[200];
	static const char *const bad[] = { "", "{", "{\"a\":1,\"a\":2}", "{} x", "[1,]", "\"\xff\"", "1e999", "[1.7976931348623157e308]", "{\"a\\u0000b\":1}", "'a'" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		json_t *doc = doc_parse(bad[i], strlen(bad[i]), why, sizeof why);
		assert_null(doc);
		assert_true(strlen(why) > 3);
	}
	memset(deep, '[', sizeof deep);
	assert_null(doc_parse(deep, sizeof deep, why, sizeof why));
	assert_non_null(strstr(why, "levels"));
	_cleanup_(doc_unrefp) json_t *ok = doc_parse("{\"s\":\"[[[[\",\"n\":9007199254740993}", 33, why, sizeof why);
	assert_true(doc_int(ok, "n", 0) == 9007199254740993);
}

static void test_merge_patch(void **state)
{
	_cleanup_(doc_unrefp) json_t *t = json_pack("{s:i,s:{s:i,s:i}}", "a", 1, "b", "c", 2, "d", 3);
	_cleanup_(doc_unrefp) json_t *p = json_pack("{s:n,s:{s:n,s:i}}", "a", "b", "c", "e", 4);
	_cleanup_(doc_unrefp) json_t *m = doc_merge(t, p);
	_cleanup_(xfreep) char *text = doc_text(m);
	assert_string_equal(text, "{\"b\":{\"d\":3,\"e\":4}}");
	assert_int_equal(doc_int(t, "a", 0), 1);
}

static void test_blob_of_any_size(void **state)
{
	json_t *doc = json_object();
	char *big = xmalloc(5001);
	memset(big, 'x', 5000);
	big[5000] = 0;
	doc_set_str(doc, "a", big);
	struct blob *b = doc_blob(doc);
	assert_int_equal(b->len, 5008);
	assert_int_equal(strlen(b->data), b->len);
	blob_unref(b);
	json_decref(doc);
	free(big);
}

static void test_errors_have_rows(void **state)
{
	for (int e = 1; e < ERR_COUNT; e++) {
		assert_int_equal(err_from_name(err_name(e)), e);
		assert_in_range(err_status(e), 400, 599);
		assert_true(str_starts(err_code(e), "LUCID_ERR_"));
		assert_true(strlen(err_text(-e)) > 5);
	}
	assert_int_equal(err_from_name("no such"), ERR_INTERNAL);
}

/* Responses without a token contain no paths of the host, but routes of the API are kept. */
static void test_paths_are_hidden(void **state)
{
	static const struct {
		const char *text, *told;
	} rows[] = {
		{ "the disk that holds /var/lib/x/store/lucid.db is full: free some space", "the disk that holds FILE is full: free some space" },
		{ "/var/lib/x: Permission denied", "FILE: Permission denied" },
		{ "run lucid-rdp restore /b/2026.db --yes, start again", "run lucid-rdp restore FILE --yes, start again" },
		{ "cannot listen on unix:/run/x/sock: in use", "cannot listen on unix:FILE: in use" },
		{ "(/a/b) and \"/c d\" end in /e/f.", "(FILE) and \"FILE d\" end in FILE." },
		{ "see GET /api/v1/xrdp/desktops, or /nodes", "see GET /api/v1/xrdp/desktops, or /nodes" },
		{ "http://host/path and/or 3/4", "http://host/path and/or 3/4" },
		{ "a / b //", "a / b //" },
		{ "", "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct strbuf b = { 0 };
		strbuf_without_paths(&b, rows[i].text);
		assert_string_equal(b.s ? b.s : "", rows[i].told);
		strbuf_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy_refuses_what_does_not_fit), cmocka_unit_test(test_utf8), cmocka_unit_test(test_int),
		cmocka_unit_test(test_match), cmocka_unit_test(test_near_names), cmocka_unit_test(test_strbuf_json_and_bound), cmocka_unit_test(test_hex_and_percent), cmocka_unit_test(test_who_waits_is_told_once_when_nothing_is_under_way), cmocka_unit_test(test_map),
		cmocka_unit_test(test_time), cmocka_unit_test(test_times_are_those_of_rfc_3339),
		cmocka_unit_test(test_invisible_characters_are_refused_in_names), cmocka_unit_test(test_file_names_are_safe), cmocka_unit_test(test_ids), cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_merge_patch), cmocka_unit_test(test_blob_of_any_size), cmocka_unit_test(test_errors_have_rows),
		cmocka_unit_test(test_paths_are_hidden),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
