/* The .rdp file, whose values cannot inject lines, and the digest of long claim ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>

#include "roles/rdp-server-manager/connect/rdp_file.h"
#include "lucid/id.h"

static size_t lines(const char *s, const char *begin)
{
	size_t n = 0;
	for (const char *p = s; p && *p; p = strstr(p, "\r\n"), p = p ? p + 2 : NULL)
		n += !strncmp(p, begin, strlen(begin));
	return n;
}

static void test_rdp_file(void **state)
{
	_cleanup_(doc_unrefp) json_t *server = json_pack(
		"{s:i, s:{s:i, s:i, s:i}, s:{s:b, s:b, s:b, s:b}, s:{s:s}}", "port", 20000, "display", "width", 1000, "height", 700,
		"color_depth", 16, "channels", "clipboard", 1, "drive", 0, "sound", 0, "dynamic", 1, "security", "layer", "tls");
	struct strbuf b = { 0 };
	rdp_file_text(&b, server, "rdp.example.org", "alice");
	assert_non_null(strstr(b.s, "full address:s:rdp.example.org:20000\r\n"));
	assert_non_null(strstr(b.s, "username:s:alice\r\n"));
	assert_non_null(strstr(b.s, "desktopwidth:i:1000\r\n"));
	assert_non_null(strstr(b.s, "session bpp:i:16\r\n"));
	assert_non_null(strstr(b.s, "redirectclipboard:i:1\r\n"));
	assert_non_null(strstr(b.s, "drivestoredirect:s:\r\n"));
	assert_non_null(strstr(b.s, "audiomode:i:2\r\n"));
	assert_non_null(strstr(b.s, "negotiate security layer:i:0\r\n"));
	assert_true(str_ends(b.s, "\r\n"));
	for (const char *p = b.s; (p = strchr(p, '\n')); p++)
		assert_true(p > b.s && p[-1] == '\r');
	strbuf_reset(&b);
	/* no value begins a line */
	rdp_file_text(&b, server, "host\r\nalternate shell:s:evil", "root\r\nremoteapplicationmode:i:1");
	assert_int_equal(lines(b.s, "alternate shell"), 0);
	assert_int_equal(lines(b.s, "remoteapplicationmode:i:1"), 0);
	assert_int_equal(lines(b.s, "username"), 0);
	assert_int_equal(lines(b.s, "full address"), 1);
	strbuf_reset(&b);
	rdp_file_text(&b, server, "2001:db8::1", NULL);
	assert_non_null(strstr(b.s, "full address:s:[2001:db8::1]:20000\r\n"));
	strbuf_reset(&b);
	/* names of directory services are unchanged; ASCII stays ASCII, other text becomes UTF-16 with a byte order mark */
	rdp_file_text(&b, server, "h", "DOMAIN\\first last@realm");
	size_t before = b.len;
	rdp_file_encode(&b);
	assert_int_equal(b.len, before);
	assert_non_null(strstr(b.s, "username:s:DOMAIN\\first last@realm\r\n"));
	strbuf_reset(&b);
	rdp_file_text(&b, server, "h", "m\xc3\xbcller\xf0\x9f\x98\x80");
	rdp_file_encode(&b);
	assert_memory_equal(b.s, "\xff\xfe" "f\0u\0l\0l\0", 10);
	static const char name[] = ":\0m\0\xfc\0l\0l\0e\0r\0\x3d\xd8\x00\xde\r\0\n";
	assert_non_null(memmem(b.s, b.len, name, sizeof name - 1));
	strbuf_done(&b);
}

static void test_accounts(void **state)
{
	const char *const map[] = { "alice=al", "bo=x", "bob=robert", "eve=x=ev", NULL };
	assert_string_equal(rdp_account(map, "alice"), "al");
	assert_string_equal(rdp_account(map, "bob"), "robert");
	assert_string_equal(rdp_account(map, "b"), "b");
	assert_string_equal(rdp_account(map, "eve=x"), "ev");
	assert_string_equal(rdp_account(map, "eve"), "eve");
	assert_string_equal(rdp_account(NULL, "carol"), "carol");
}

static void test_sha256(void **state)
{
	static const struct {
		const char *text, *hex;
	} rows[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	char hex[ID_DIGEST_SIZE];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		id_digest(hex, rows[i].text, strlen(rows[i].text));
		assert_string_equal(hex, rows[i].hex);
	}
	char long_text[1000];
	memset(long_text, 'a', sizeof long_text);
	id_digest(hex, long_text, sizeof long_text);
	assert_string_equal(hex, "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rdp_file),
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_sha256),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
