/* The generated files: what stands in them, and that nothing a caller sends can. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include "host/ini.h"
#include "host/profiles.h"

static const char *const evil[] = {
	"x\nport=1",
	"tls\r\n[Globals]\r\nfork=false",
	"high\ncertificate=/tmp/mine",
	"]\n[Xorg]\nlib=/tmp/mine.so",
	"$(touch /tmp/lrdp-evil)",
	"`id`; id #",
	"a b",
	"../../etc/shadow",
	"root\nalice",
	"-rf",
	"%s%n",
	"\xff\xfe",
	"",
};

static struct ini_in input(const json_t *spec)
{
	return (struct ini_in){ .spec = spec,
				.sesman_port = 21000,
				.display_first = 1000,
				.cert = "/etc/xrdp/cert.pem",
				.key = "/etc/xrdp/key.pem",
				.log = "/var/log/lucid-rdp/xrdp/servers/x",
				.program = "/usr/bin/lucid-rdp",
				.hook_socket = "/run/lucid-rdp/xrdp/hook.sock",
				.common_auth = true };
}

static json_t *good(void)
{
	return json_pack("{s:s,s:i,s:{s:i},s:{s:s,s:i,s:i,s:i,s:b},s:{s:s,s:s,s:s,s:[s],s:[]},s:{s:b,s:b,s:b,s:b,s:b}}",
			 "name", "demo", "port", 13400, "display", "color_depth", 16, "desktop", "session", "xvnc",
			 "max_sessions", 7, "idle_timeout", 300, "disconnected_timeout", 90, "kill_disconnected", 0,
			 "security", "layer", "tls", "min_tls", "1.3", "crypt_level", "fips", "allowed_users", "alice",
			 "allowed_groups", "channels", "clipboard", 0, "drive", 0, "sound", 1, "rail", 1, "dynamic", 1);
}

static void has(const char *text, const char *line)
{
	_cleanup_(xfreep) char *want = xasprintf("\n%s\n", line);
	if (!strstr(text, want))
		fail_msg("no line %s in\n%s", line, text);
}

static void test_what_stands_there(void **state)
{
	json_t *spec = good();
	assert_non_null(spec);
	struct ini_in in = input(spec);
	char *x = ini_xrdp(&in), *s = ini_sesman(&in), *p = ini_pam(&in);
	static const char *const xrdp[] = { "port=13400",
					    "security_layer=tls",
					    "ssl_protocols=TLSv1.3",
					    "crypt_level=fips",
					    "max_bpp=16",
					    "cliprdr=false",
					    "rdpdr=false",
					    "rdpsnd=true",
					    "lib=libvnc.so",
					    "EnableSyslog=false",
					    "LogFile=/var/log/lucid-rdp/xrdp/servers/x/xrdp.log",
					    "autorun=Xvnc" };
	static const char *const sesman[] = { "ListenPort=21000",
					      "X11DisplayOffset=1000",
					      "MaxSessions=7",
					      "IdleTimeLimit=300",
					      "DisconnectedTimeLimit=90",
					      "KillDisconnected=true",
					      "AllowRootLogin=false",
					      "DefaultWindowManager=/etc/xrdp/startwm.sh",
					      "EnableFuseMount=false" };
	for (size_t n = 0; n < ARRAY_LEN(xrdp); n++)
		has(x, xrdp[n]);
	for (size_t n = 0; n < ARRAY_LEN(sesman); n++)
		has(s, sesman[n]);
	assert_null(strstr(x, "libxup"));
	assert_null(strstr(s, "TerminalServer"));
	assert_null(strstr(p, "pam_systemd"));
	assert_null(strstr(p, "common-session"));
	has(p, "session optional pam_exec.so quiet /usr/bin/lucid-rdp pam-hook /run/lucid-rdp/xrdp/hook.sock");
	char *access = ini_pam_access(in.spec);
	assert_non_null(strstr(access, "allowed_users"));
	assert_null(strstr(access, "allowed_groups"));
	free(access);
	free(x);
	free(s);
	free(p);
	json_decref(spec);
}

/* Put every hostile text into every string of the specification: the files must not change by a byte beyond a choice. */
static void test_hostile(void **state)
{
	static const char *const places[][2] = {
		{ "security", "layer" },      { "security", "min_tls" }, { "security", "crypt_level" },
		{ "desktop", "session" },     { "desktop", "profile" },  { NULL, "name" },
		{ NULL, "user_id" },          { NULL, "server_id" },     { "channels", "sound" },
		{ "display", "color_depth" }, { NULL, "port" }
	};
	for (size_t n = 0; n < ARRAY_LEN(places); n++) {
		char *usual[3] = { 0 };
		for (size_t k = 0; k <= ARRAY_LEN(evil); k++) {
			json_t *spec = good(), *at = places[n][0] ? json_object_get(spec, places[n][0]) : spec;
			/* the first round has something harmless that is no choice: all the others must look like it */
			const char *text = k ? evil[k - 1] : "zzz";
			json_object_set_new(at, places[n][1], json_stringn_nocheck(text, strlen(text)));
			struct ini_in in = input(spec);
			char *made[3] = { ini_xrdp(&in), ini_sesman(&in), ini_pam(&in) };
			for (size_t m = 0; m < 3; m++) {
				if (k)
					assert_string_equal(made[m], usual[m]);
				else
					usual[m] = xstrdup(made[m]);
				free(made[m]);
			}
			json_decref(spec);
		}
		for (size_t m = 0; m < 3; m++)
			free(usual[m]);
	}
}

static void test_names(void **state)
{
	json_t *spec = good(), *list = json_array();
	for (size_t n = 0; n < ARRAY_LEN(evil); n++)
		json_array_append_new(list, json_stringn_nocheck(evil[n], strlen(evil[n])));
	json_array_append_new(list, json_stringn_nocheck("a\0b", 3));
	json_array_append_new(list, json_integer(5));
	json_object_set(json_object_get(spec, "security"), "allowed_users", list);
	char *text = ini_names(spec, "security.allowed_users");
	assert_string_equal(text, ""); /* nobody, not everybody */
	free(text);
	json_array_append_new(list, json_string("alice"));
	text = ini_names(spec, "security.allowed_users");
	assert_string_equal(text, "alice\n");
	free(text);
	text = ini_pam_access(spec);
	assert_non_null(strstr(text, "account requisite pam_listfile.so quiet item=user"));
	assert_null(strstr(text, "alice"));
	free(text);
	/* what is bound over another file is the same for every definition: it cannot be changed while the server runs */
	json_t *other = json_object();
	struct ini_in in = input(spec), in_other = input(other);
	text = ini_pam(&in);
	char *text_other = ini_pam(&in_other);
	assert_non_null(strstr(text, "\naccount include /etc/xrdp/pam-access\n"));
	assert_string_equal(text, text_other);
	free(text);
	free(text_other);
	json_decref(other);
	json_decref(list);
	assert_null(ini_names(spec, "security.allowed_groups"));
	json_decref(spec);
}

static void test_numbers_are_bounded(void **state)
{
	json_t *spec = good();
	json_object_set_new(json_object_get(spec, "desktop"), "max_sessions", json_integer(1LL << 40));
	json_object_set_new(spec, "port", json_integer(-5));
	json_object_set_new(json_object_get(spec, "display"), "color_depth", json_integer(23));
	struct ini_in in = input(spec);
	char *x = ini_xrdp(&in), *s = ini_sesman(&in);
	has(s, "MaxSessions=50");
	has(x, "port=1");
	has(x, "max_bpp=16"); /* the next depth below that xrdp knows */
	free(x);
	free(s);
	json_decref(spec);
}

static void test_paths(void **state)
{
	assert_true(ini_path_ok("/var/lib/lucid-rdp"));
	static const char *const bad[] = { "",        "/",    "var/lib", "/a b", "/a\nb",    "/a;b",
					   "/a/../b", "/a'b", "/a$b",    "/a#b", "/\xc3\xa4" };
	for (size_t n = 0; n < ARRAY_LEN(bad); n++)
		assert_false(ini_path_ok(bad[n]));
}

/* The shell must see the command as one word and run just that. */
static void test_startwm(void **state)
{
	char *script = ini_startwm("printf '%s|' \"it's\" one two");
	char path[64];
	snprintf(path, sizeof path, "/tmp/lrdp-startwm-%d", getpid());
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(script, f);
	fclose(f);
	char *command = xasprintf("HOME=/nonexistent DISPLAY=:77 PATH=/nowhere:/bin:/usr/bin /bin/sh %s 2>&1", path);
	FILE *run = popen(command, "r");
	char out[256] = "";
	size_t len = fread(out, 1, sizeof out - 1, run);
	out[len] = '\0';
	pclose(run);
	unlink(path);
	assert_non_null(strstr(out, "it's|one|two|"));
	free(command);
	free(script);
}

static void test_profiles(void **state)
{
	struct profiles *p = profiles_new(
	    (const char *const[]){ "gone=/nonexistent/wm --x", "here=/bin/sh -c true", "bad\n=x", NULL }, "");
	assert_int_equal(profiles_count(p), 2);
	assert_false(profiles_find(p, "gone")->installed);
	assert_true(profiles_find(p, "here")->installed);
	assert_string_equal(profiles_default(p), "here");
	assert_null(profiles_find(p, "here; id"));
	assert_string_equal(profiles_find(p, NULL)->command, "/bin/sh -c true");
	profiles_free(p);
	p = profiles_new(NULL, NULL);
	assert_true(profiles_count(p) >= 5);
	assert_null(profiles_find(p, "unknown"));
	profiles_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_stands_there),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_numbers_are_bounded),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_startwm),
		cmocka_unit_test(test_profiles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
