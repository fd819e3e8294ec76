/* rdp_file: the keys and their encoding, and that no value can begin a line of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "lucid/rdp_file.h"

static struct strbuf text;

static const char *write_file(const struct rdp_file *f)
{
	strbuf_done(&text);
	rdp_file_write(&text, f);
	return text.s;
}

static bool has(const char *line)
{
	char whole[256];
	snprintf(whole, sizeof whole, "\r\n%s\r\n", line);
	return (!strncmp(text.s, line, strlen(line)) && !strncmp(text.s + strlen(line), "\r\n", 2)) || strstr(text.s, whole);
}

static void lines_of_a_server_follow_its_definition(void **state)
{
	_cleanup_(doc_unrefp) json_t *server = json_pack(
		"{s:i, s:{s:i, s:i, s:i}, s:{s:b, s:b, s:b, s:b}, s:{s:s}}", "port", 20000, "display", "width", 1000, "height", 700,
		"color_depth", 16, "channels", "clipboard", 1, "drive", 0, "sound", 0, "dynamic", 1, "security", "layer", "tls");
	struct rdp_file f;
	rdp_file_of_server(&f, server);
	f.host = "rdp.example.org";
	f.username = "alice";
	write_file(&f);
	static const char *const lines[] = { "full address:s:rdp.example.org:20000", "username:s:alice", "desktopwidth:i:1000", "desktopheight:i:700",
					     "session bpp:i:16", "dynamic resolution:i:1", "redirectclipboard:i:1", "drivestoredirect:s:", "audiomode:i:2",
					     "authentication level:i:2", "enablecredsspsupport:i:0", "prompt for credentials:i:1", "screen mode id:i:1" };
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		if (!has(lines[i]))
			fail_msg("no line \"%s\" in:\n%s", lines[i], text.s);
	/* for every layer: with 0, xfreerdp does not connect, and mstsc begins with TLS, which xrdp does not understand */
	assert_true(has("negotiate security layer:i:1"));
	assert_null(strstr(text.s, "password"));
}

static void each_line_ends_with_cr_lf_and_is_key_type_value(void **state)
{
	struct rdp_file f = { .host = "h", .port = 3389, .username = "u" };
	const char *s = write_file(&f);
	assert_true(str_ends(s, "\r\n"));
	for (const char *line = s; *line; line = strstr(line, "\r\n") + 2) {
		size_t key = strcspn(line, ":\r\n");
		assert_true(key > 0 && line[key] == ':' && strchr("is", line[key + 1]) && line[key + 2] == ':');
		assert_true(line[strcspn(line, "\r\n")] == '\r');
	}
}

static void another_host_may_need_nla_and_has_its_own_defaults(void **state)
{
	struct rdp_file f = { .host = "win.example.org", .port = 3390, .username = "bob", .domain = "CORP", .nla = true, .policy = RDP_FILE_REFUSE };
	write_file(&f);
	assert_true(has("username:s:CORP\\bob"));
	assert_true(has("enablecredsspsupport:i:1"));
	assert_true(has("authentication level:i:1"));
	assert_null(strstr(text.s, "desktopwidth"));
	assert_null(strstr(text.s, "session bpp"));
	f.policy = RDP_FILE_CONNECT;
	f.username = "";
	write_file(&f);
	assert_true(has("authentication level:i:0"));
	assert_null(strstr(text.s, "username"));
}

static void no_value_begins_a_line(void **state)
{
	static const char *const breaks[] = { "\r\n", "\n", "\r", "\v", "\f", "\x1c", "\x1e", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9", "\x7f", "\t" };
	for (size_t i = 0; i < ARRAY_LEN(breaks); i++) {
		char bad[64];
		snprintf(bad, sizeof bad, "x%salternate shell:s:evil", breaks[i]);
		struct rdp_file f = { .host = bad, .port = 1, .username = bad, .domain = bad };
		write_file(&f);
		assert_true(has("full address:s:[xalternate shell:s:evil]:1"));
		assert_true(has("username:s:xalternate shell:s:evil\\xalternate shell:s:evil"));
	}
	struct rdp_file cut = { .host = "h", .port = 1, .username = "a\xe2" }; /* truncated UTF-8 does not lead beyond the end */
	write_file(&cut);
	assert_true(text.len > 0);
}

static void ipv6_addresses_are_in_brackets(void **state)
{
	struct rdp_file f = { .host = "2001:db8::1", .port = 20000 };
	write_file(&f);
	assert_true(has("full address:s:[2001:db8::1]:20000"));
	f.host = "[2001:db8::1]";
	write_file(&f);
	assert_true(has("full address:s:[2001:db8::1]:20000"));
}

static void ascii_stays_ascii_and_other_text_becomes_utf_16(void **state)
{
	struct rdp_file f = { .host = "h", .port = 1, .username = "DOMAIN\\first last@realm" };
	write_file(&f);
	assert_true(has("username:s:DOMAIN\\first last@realm"));
	f.username = "m\xc3\xbcller\xf0\x9f\x98\x80";
	write_file(&f);
	assert_memory_equal(text.s, "\xff\xfe" "f\0u\0l\0l\0", 10);
	assert_int_equal(text.len % 2, 0);
	static const char name[] = ":\0m\0\xfc\0l\0l\0e\0r\0\x3d\xd8\x00\xde\r\0\n";
	assert_non_null(memmem(text.s, text.len, name, sizeof name - 1));
}

static int forget_text(void **state)
{
	strbuf_done(&text);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_a_server_follow_its_definition),
		cmocka_unit_test(each_line_ends_with_cr_lf_and_is_key_type_value),
		cmocka_unit_test(another_host_may_need_nla_and_has_its_own_defaults),
		cmocka_unit_test(no_value_begins_a_line),
		cmocka_unit_test(ipv6_addresses_are_in_brackets),
		cmocka_unit_test(ascii_stays_ascii_and_other_text_becomes_utf_16),
	};
	return cmocka_run_group_tests(tests, NULL, forget_text);
}
