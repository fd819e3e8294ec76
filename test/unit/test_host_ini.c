/* The generated files: their content, and that callers cannot inject lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/xrdp_config/ini.h"
#include "host/xrdp_config/pam_file.h"
#include "host/xrdp_config/profiles.h"

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

static void test_content_of_the_files(void **state)
{
	json_t *spec = good();
	assert_non_null(spec);
	struct ini_in in = input(spec);
	char *x = ini_xrdp(&in), *s = ini_sesman(&in), *p = pam_file_text(&in);
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
					      "IdleTimeLimit=0",
					      "DisconnectedTimeLimit=0",
					      "KillDisconnected=false",
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
	has(p, "session substack /etc/xrdp/pam-session");
	has(p, "account required pam_exec.so quiet /usr/bin/lucid-rdp pam-hook admit /run/lucid-rdp/xrdp/hook.sock");
	has(p, "session optional pam_exec.so quiet /usr/bin/lucid-rdp pam-hook /run/lucid-rdp/xrdp/hook.sock");
	char *access = pam_access_text(in.spec);
	assert_non_null(strstr(access, "allowed_users"));
	assert_null(strstr(access, "allowed_groups"));
	free(access);
	free(x);
	free(s);
	free(p);
	json_decref(spec);
}

/* Put every hostile text into every string of the specification: the files must differ only where a valid choice is made. */
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
			/* the first round has a harmless unknown value: all others must produce the same files */
			const char *text = k ? evil[k - 1] : "zzz";
			json_object_set_new(at, places[n][1], json_stringn_nocheck(text, strlen(text)));
			struct ini_in in = input(spec);
			char *made[3] = { ini_xrdp(&in), ini_sesman(&in), pam_file_text(&in) };
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
	char *text = pam_names_text(spec, "security.allowed_users");
	/* each name is one unchanged line, because pam_listfile compares lines byte by byte; invalid names are omitted */
	assert_string_equal(text, "$(touch /tmp/lrdp-evil)\n`id`; id #\na b\n../../etc/shadow\n-rf\n%s%n\n");
	free(text);
	json_array_clear(list);
	json_array_append_new(list, json_stringn_nocheck("a\0b", 3));
	json_array_append_new(list, json_string("root\nalice"));
	text = pam_names_text(spec, "security.allowed_users");
	assert_string_equal(text, ""); /* nobody may log in, not everybody */
	free(text);
	json_array_append_new(list, json_string("alice"));
	json_array_append_new(list, json_string("DOMAIN\\m\xc3\xbcller"));
	text = pam_names_text(spec, "security.allowed_users");
	assert_string_equal(text, "alice\nDOMAIN\\m\xc3\xbcller\n");
	free(text);
	text = pam_access_text(spec);
	assert_non_null(strstr(text, "account requisite pam_listfile.so quiet item=user"));
	assert_null(strstr(text, "alice"));
	free(text);
	/* what is bind-mounted over another file is the same for every definition, because it cannot be changed while the server runs */
	json_t *other = json_object();
	struct ini_in in = input(spec), in_other = input(other);
	text = pam_file_text(&in);
	char *text_other = pam_file_text(&in_other);
	assert_non_null(strstr(text, "\naccount include /etc/xrdp/pam-access\n"));
	assert_string_equal(text, text_other);
	free(text);
	free(text_other);
	json_decref(other);
	json_decref(list);
	assert_null(pam_names_text(spec, "security.allowed_groups"));
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
	has(x, "max_bpp=16"); /* the next lower depth that xrdp supports */
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

/* Run the login script of this command in a home with these files; what the desktop wrote, the caller's. */
static char *run_startwm(const char *command, const char *profile, const char *xsessionrc)
{
	char home[] = "/tmp/lrdp-startwm-XXXXXX", out[2048] = "";
	assert_non_null(mkdtemp(home));
	char *script = ini_startwm("sample", command, "SAMPLE");
	const char *const files[][2] = { { "startwm.sh", script }, { ".profile", profile }, { ".xsessionrc", xsessionrc } };
	for (size_t n = 0; n < ARRAY_LEN(files); n++) {
		_cleanup_(xfreep) char *path = xasprintf("%s/%s", home, files[n][0]);
		FILE *f = fopen(path, "w");
		assert_non_null(f);
		fputs(files[n][1], f);
		fclose(f);
	}
	char *run = xasprintf("cd %s && env -i HOME=%s TMPDIR=%s DISPLAY=:77 PATH=/bin:/usr/bin /bin/sh %s/startwm.sh </dev/null >out 2>&1; "
			      "cat .xsession-errors; cat out",
			      home, home, home, home);
	FILE *p = popen(run, "r");
	size_t len = fread(out, 1, sizeof out - 1, p);
	out[len] = '\0';
	pclose(p);
	_cleanup_(xfreep) char *clear = xasprintf("rm -rf %s /run/xrdp/user/*-77", home);
	assert_int_equal(system(clear), 0);
	free(run);
	free(script);
	return xstrdup(out);
}

static void says(const char *command, const char *profile, const char *xsessionrc, const char *want)
{
	_cleanup_(xfreep) char *out = run_startwm(command, profile, xsessionrc);
	if (!strstr(out, want))
		fail_msg("%s: no \"%s\" in: %s", profile, want, out);
}

/* The shell must see the command as one word and run exactly that. */
static void test_startwm_runs_the_command(void **state)
{
	says("printf '%s|' \"it's\" one two", "", "", "it's|one|two|");
	says("echo $XDG_CURRENT_DESKTOP $DESKTOP_SESSION $XDG_SESSION_TYPE", "", "", "SAMPLE sample x11\n");
	says("echo [$LANG]", "unset LANG LC_ALL\n", "", "[C.UTF-8]\n");
	says("sed -n 's/^SigIgn.*\\(.\\)$/ignored \\1/p' /proc/self/status", "", "", "ignored 0\n"); /* SIGINT, SIGQUIT: Ctrl-C works */
}

/* Files of the user cannot end or move the desktop, and their exported variables are there. */
static void test_startwm_survives_profiles(void **state)
{
	static const char *const profiles[] = {
		"exit 3\n", "exec true\n", "exec sleep 1000\n", "DISPLAY=:1\nexport DISPLAY\n", "if then\n", "set -eu\nfalse\necho $NOPE\n",
		"kill -TERM $$\n", "XDG_RUNTIME_DIR=/nonexistent\nexport XDG_RUNTIME_DIR\nPATH=/nowhere\n", "read x\n", "trap - EXIT\nexit 1\n",
		"exec >/dev/null 2>&1\n", "unset HOME PATH\n", "export DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent SESSION_MANAGER=x\n",
		"readonly DISPLAY\nexport LANG=\"it's\n; exit\"\n",
	};
	for (size_t n = 0; n < ARRAY_LEN(profiles); n++) {
		says("echo up $DISPLAY", profiles[n], "", "up :77\n");
		says("echo up $DISPLAY", "", profiles[n], "up :77\n");
	}
	says("echo up $MINE $(umask)", "export MINE='a b'\numask 027\nexit 1\n", "", "up a b 0027\n");
	says("echo up $MINE $(umask)", "export MINE=x\n", "export MINE=\"$MINE y\"\numask 077\n", "up x y 0077\n");
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

static void fault_is(struct profiles *p, const char *name, const char *want)
{
	_cleanup_(xfreep) char *why = profiles_fault(p, name);
	if (want)
		assert_string_equal(why, want);
	else
		assert_null(why);
}

/* Each answer reflects the current files. */
static void test_profile_faults(void **state)
{
	char path[] = "/tmp/lrdp-profile-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	_cleanup_(xfreep) char *late = xasprintf("late=%s", path);
	struct profiles *p = profiles_new((const char *const[]){ late, NULL }, NULL);
	fault_is(p, NULL, "no desktop is installed on this host; install one (xfce4) or set DESKTOP_PROFILES");
	fault_is(p, "late", "profile late is not installed on this host; installed: none");
	fault_is(p, "other", "profile of that name is not installed on this host; installed: none");
	assert_int_equal(chmod(path, 0700), 0);
	fault_is(p, "", NULL);
	fault_is(p, "late", NULL);
	fault_is(p, "other", "profile of that name is not installed on this host; installed: late");
	profiles_free(p);
	p = profiles_new((const char *const[]){ late, "here=/bin/sh", NULL }, "late");
	fault_is(p, NULL, NULL);
	unlink(path);
	fault_is(p, NULL, "profile late is not installed on this host; installed: here");
	fault_is(p, "here", NULL);
	profiles_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content_of_the_files),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_numbers_are_bounded),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_startwm_runs_the_command),
		cmocka_unit_test(test_startwm_survives_profiles),
		cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_profile_faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
