/* The host's ini files: read as xrdp reads them, changed line by line, and validation of changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "host/system_xrdp/keys.h"
#include "lucid/str.h"

static const struct hostcfg_dirs dirs = { "/etc/xrdp", "/var/lib/lucid-rdp", "/var/log" };

static const char xrdp_ini[] = "; the head\n[Globals]\nport=3389\n; how deep\n#max_bpp=24\nfork = true\r\nautorun=\nown_key=7\n"
			       "\n[Logging]\nLogFile=xrdp.log ; there\nLogLevel=INFO\n\n[Channels]\nrdpdr=true\n\n[Xorg]\nname=Xorg\n"
			       "lib=libxup.so\nusername=ask\npassword=topsecret\nport=-1\ncode=20\n[Globals]\nport=1\n";
static const char sesman_ini[] = "[Globals]\nListenPort=3350\n[Sessions]\nX11DisplayOffset=10\nMaxSessions=50\n[Xorg]\nparam=/usr/lib/xorg/Xorg\n"
				 "param=-config\nparam=xrdp/xorg.conf\n[SessionVariables]\nPULSE_SCRIPT=/etc/xrdp/pulse/default.pa\n";

static json_t *json(const char *text)
{
	json_t *doc = doc_parse(text, strlen(text), NULL, 0);
	assert_non_null(doc);
	return doc;
}

/* The text of the changed file, or NULL with the invalid fields in *ret_faults. */
static char *change(enum hostcfg_file w, const char *ini, const char *sections, char **ret_faults, char **ret_changed)
{
	_cleanup_(inifile_freep) struct inifile *f = inifile_parse(ini);
	_cleanup_(doc_unrefp) json_t *doc = json(sections), *what = NULL;
	struct faults faults = { 0 };
	hostcfg_change(w, &dirs, f, doc, &faults, &what);
	hostcfg_check(w, &dirs, f, false, &faults);
	_cleanup_(doc_unrefp) json_t *list = faults_take(&faults);
	struct strbuf b = { 0 };
	const json_t *v;
	size_t n;
	json_array_foreach (list, n, v)
		strbuf_printf(&b, "%s%s", n ? " " : "", doc_str(v, "field", "?"));
	if (ret_faults)
		*ret_faults = strbuf_take(&b);
	else
		strbuf_done(&b);
	if (ret_changed)
		*ret_changed = doc_text(what);
	return list ? NULL : inifile_text(f);
}

static void test_as_xrdp_reads_it(void **state)
{
	_cleanup_(inifile_freep) struct inifile *f = inifile_parse(xrdp_ini);
	_cleanup_(doc_unrefp) json_t *raw = inifile_doc(f), *typed = hostcfg_typed(HOSTCFG_XRDP, raw);
	_cleanup_(xfreep) char *text = doc_text(typed), *same = inifile_text(f);
	/* order kept, comments removed, the second [Globals] ignored, the password hidden */
	assert_string_equal(text,
			    "{\"Globals\":{\"port\":3389,\"fork\":true,\"autorun\":\"\",\"own_key\":\"7\"},"
			    "\"Logging\":{\"LogFile\":\"xrdp.log\",\"LogLevel\":\"INFO\"},\"Channels\":{\"rdpdr\":true},"
			    "\"Xorg\":{\"name\":\"Xorg\",\"lib\":\"libxup.so\",\"username\":\"ask\",\"password\":\"********\","
			    "\"port\":-1,\"code\":20}}");
	assert_null(strstr(text, "topsecret"));
	assert_string_equal(same, xrdp_ini);
	assert_int_equal(hostcfg_xrdp_port(f), 3389);
}

static void test_sending_back_what_was_read_changes_nothing(void **state)
{
	_cleanup_(inifile_freep) struct inifile *f = inifile_parse(xrdp_ini);
	_cleanup_(doc_unrefp) json_t *raw = inifile_doc(f), *typed = hostcfg_typed(HOSTCFG_XRDP, raw);
	_cleanup_(xfreep) char *sections = doc_text(typed), *changed = NULL, *before = inifile_text(f);
	_cleanup_(xfreep) char *after = change(HOSTCFG_XRDP, xrdp_ini, sections, NULL, &changed);
	assert_string_equal(changed, "[]");
	assert_string_equal(after, before);
}

static void test_lines_stay(void **state)
{
	_cleanup_(xfreep) char *changed = NULL;
	_cleanup_(xfreep) char *t = change(HOSTCFG_XRDP, xrdp_ini,
					   "{\"globals\":{\"PORT\":3390,\"max_bpp\":16,\"own_key\":null,\"fork\":\"yes\"},"
					   "\"Logging\":{\"LogFile\":\"/var/log/x.log\"},"
					   "\"Mine 2\":{\"name\":\"Mine\",\"lib\":\"libvnc.so\",\"ip\":\"127.0.0.1\",\"port\":\"ask5900\"}}",
					   NULL, &changed);
	assert_non_null(t);
	assert_string_equal(t, "; the head\n[Globals]\nport=3390\n; how deep\n#max_bpp=24\nmax_bpp=16\nfork = true\r\nautorun=\n\n"
			       "[Logging]\nLogFile=/var/log/x.log ; there\nLogLevel=INFO\n\n[Channels]\nrdpdr=true\n\n[Xorg]\nname=Xorg\n"
			       "lib=libxup.so\nusername=ask\npassword=topsecret\nport=-1\ncode=20\n[Globals]\nport=1\n\n[Mine 2]\n"
			       "name=Mine\nlib=libvnc.so\nip=127.0.0.1\nport=ask5900\n");
	assert_string_equal(changed, "[\"Globals.PORT\",\"Globals.max_bpp\",\"Globals.own_key\",\"Logging.LogFile\",\"Mine 2.name\","
				     "\"Mine 2.lib\",\"Mine 2.ip\",\"Mine 2.port\"]");
}

static void test_existing_incomplete_pair_does_not_block_changes(void **state)
{
	static const char half[] = "[Globals]\nport=3389\ncertificate=/etc/xrdp/mine.pem\nkey_file=\n[Xorg]\nlib=libxup.so\n";
	_cleanup_(xfreep) char *t = change(HOSTCFG_XRDP, half, "{\"Globals\":{\"max_bpp\":16}}", NULL, NULL);
	assert_non_null(t);
}

static void test_sections_go_and_params_repeat(void **state)
{
	_cleanup_(xfreep) char *a = change(HOSTCFG_SESMAN, sesman_ini,
					   "{\"Xorg\":{\"param\":[\"/usr/lib/xorg/Xorg\",\"-config\",\"xrdp/xorg.conf\",\"-noreset\"]}}", NULL, NULL);
	assert_non_null(strstr(a, "param=xrdp/xorg.conf\nparam=-noreset\n[SessionVariables]"));
	_cleanup_(xfreep) char *b = change(HOSTCFG_SESMAN, sesman_ini, "{\"Xorg\":{\"param\":[\"Xorg\"]}}", NULL, NULL);
	assert_non_null(strstr(b, "[Xorg]\nparam=Xorg\n[SessionVariables]"));
	_cleanup_(xfreep) char *c =
		change(HOSTCFG_XRDP, xrdp_ini, "{\"V\":{\"name\":\"V\",\"lib\":\"libvnc.so\"},\"Xorg\":null}", NULL, NULL);
	assert_null(strstr(c, "libxup.so"));
	assert_non_null(strstr(c, "[V]\nname=V\nlib=libvnc.so\n"));
	_cleanup_(xfreep) char *d =
		change(HOSTCFG_XRDP, xrdp_ini, "{\"Xorg\":{\"password\":\"other\"}}", NULL, NULL);
	assert_non_null(strstr(d, "\npassword=other\n"));
}

static const struct {
	enum hostcfg_file file;
	const char *sections, *fields;
} bad[] = {
	{ HOSTCFG_XRDP, "{\"Globals\":{\"no_such\":1}}", "sections.Globals.no_such" },
	{ HOSTCFG_XRDP, "{\"Globals\":{\"port\":0,\"max_bpp\":64,\"fork\":\"maybe\"}}",
	  "sections.Globals.port sections.Globals.max_bpp sections.Globals.fork" },
	{ HOSTCFG_XRDP, "{\"Globals\":{\"port\":null}}", "sections.Globals.port" },
	{ HOSTCFG_XRDP, "{\"Globals\":{\"port\":\"tcp://evil host:1\"}}", "sections.Globals.port" },
	{ HOSTCFG_XRDP, "{\"Globals\":{\"autorun\":\"Nobody\"}}", "sections.Globals.autorun" },
	{ HOSTCFG_XRDP, "{\"Globals\":{\"autorun\":\"a\\nport=1\"}}", "sections.Globals.autorun" },
	{ HOSTCFG_XRDP, "{\"Globals\":{\"ls_title\":\"x [Xorg]\"}}", "sections.Globals.ls_title" },
	{ HOSTCFG_XRDP, "{\"Globals\":{\"ls_title\":\"x # y\"}}", "sections.Globals.ls_title" },
	{ HOSTCFG_XRDP, "{\"Globals\":{\"ls_title\":\"$HOME\"}}", "sections.Globals.ls_title" },
	{ HOSTCFG_XRDP, "{\"Globals\":{\"certificate\":\"/etc/shadow\",\"key_file\":\"/etc/ssl/../shadow\"}}",
	  "sections.Globals.certificate sections.Globals.key_file" },
	{ HOSTCFG_XRDP, "{\"Globals\":{\"certificate\":\"/etc/ssl/certs/x.pem\"}}", "sections.Globals.key_file" },
	{ HOSTCFG_XRDP, "{\"Globals\":{\"certificate\":\"x.pem\",\"key_file\":\"x.key\"}}",
	  "sections.Globals.certificate sections.Globals.key_file" },
	{ HOSTCFG_XRDP, "{\"Globals\":{\"own_key\":\"/etc/shadow\"}}", "sections.Globals.own_key" },
	{ HOSTCFG_XRDP, "{\"Globals\":{\"ssl_protocols\":\"TLSv1.2, TLSv9\"}}", "sections.Globals.ssl_protocols" },
	{ HOSTCFG_XRDP, "{\"Globals\":{\"blue\":\"blue\"}}", "sections.Globals.blue" },
	{ HOSTCFG_XRDP, "{\"Globals\":{\"a=b\":\"x\"}}", "sections.Globals.a=b" },
	{ HOSTCFG_XRDP, "{\"Globals\":{\"port\":[3389]}}", "sections.Globals.port" },
	{ HOSTCFG_XRDP, "{\"Globals\":{\"port\":{}}}", "sections.Globals.port" },
	{ HOSTCFG_XRDP, "{\"Globals\":null}", "sections.Globals" },
	{ HOSTCFG_XRDP, "{\"Globals\":7}", "sections.Globals" },
	{ HOSTCFG_XRDP, "{\"Xorg\":null}", "sections.Xorg" },
	{ HOSTCFG_XRDP, "{\"Xorg\":{\"lib\":\"/tmp/mine.so\"}}", "sections.Xorg.lib" },
	{ HOSTCFG_XRDP, "{\"Xorg\":{\"port\":\"/tmp/x\"}}", "sections.Xorg.port" },
	{ HOSTCFG_XRDP, "{\"New\":{\"name\":\"New\"}}", "sections.New.lib" },
	{ HOSTCFG_XRDP, "{\"New\":{\"lib\":\"libvnc.so\",\"password\":\"********\"}}", "sections.New.password" },
	{ HOSTCFG_XRDP, "{\"N]\\n[x\":{\"lib\":\"libvnc.so\"}}", "sections.N]?[x" },
	{ HOSTCFG_XRDP, "{\"Logging\":{\"LogFile\":\"/etc/cron.d/x\"}}", "sections.Logging.LogFile" },
	{ HOSTCFG_SESMAN, "{\"Globals\":{\"DefaultWindowManager\":\"/tmp/evil.sh\"}}", "sections.Globals.DefaultWindowManager" },
	{ HOSTCFG_SESMAN, "{\"Globals\":{\"ReconnectScript\":\"../x\"}}", "sections.Globals.ReconnectScript" },
	{ HOSTCFG_SESMAN, "{\"Mine\":{\"a\":\"b\"}}", "sections.Mine" },
	{ HOSTCFG_SESMAN, "{\"Xorg\":{\"param\":[\"/bin/sh\",\"-c\"]}}", "sections.Xorg.param" },
	{ HOSTCFG_SESMAN, "{\"Xorg\":{\"param\":[\"Xorg\",\"-logfile\",\"/etc/x\"]}}", "sections.Xorg.param" },
	{ HOSTCFG_SESMAN, "{\"Xorg\":{\"param\":\"Xorg\"}}", "sections.Xorg.param" },
	{ HOSTCFG_SESMAN, "{\"SessionVariables\":{\"LD_PRELOAD\":\"x.so\"}}", "sections.SessionVariables.LD_PRELOAD" },
	{ HOSTCFG_SESMAN, "{\"SessionVariables\":{\"X\":\"a:/tmp/x\"}}", "sections.SessionVariables.X" },
	{ HOSTCFG_SESMAN, "{\"Sessions\":{\"X11DisplayOffset\":58999,\"MaxSessions\":1000}}", "sections.Sessions.X11DisplayOffset" },
};

static void test_invalid_changes_are_refused(void **state)
{
	for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
		_cleanup_(xfreep) char *faults = NULL;
		_cleanup_(xfreep) char *text =
			change(bad[k].file, bad[k].file == HOSTCFG_XRDP ? xrdp_ini : sesman_ini, bad[k].sections, &faults, NULL);
		if (text || !str_eq(faults, bad[k].fields))
			fail_msg("%s: faults %s, not %s", bad[k].sections, faults, bad[k].fields);
	}
}

static void test_ports(void **state)
{
	static const struct {
		const char *value;
		int port;
	} rows[] = { { "3389", 3389 },		    { "tcp://:3390", 3390 },	  { "tcp://.:3391", 3391 },
		     { "tcp://127.0.0.1:3392", 3392 }, { "tcp6://:3393", 3393 },  { "tcp://10.0.0.1:3394", 0 },
		     { "vsock://-1:3395", 0 },	    { "vsock://-1:1, 3396", 3396 }, { "", 0 } };
	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		_cleanup_(xfreep) char *text = xasprintf("[globals]\nport=%s\n", rows[k].value);
		_cleanup_(inifile_freep) struct inifile *f = inifile_parse(text);
		assert_int_equal(hostcfg_xrdp_port(f), rows[k].port);
	}
}

static void test_sesman_numbers(void **state)
{
	static const struct {
		const char *ini;
		int port, first, count;
	} rows[] = {
		{ "", 3350, 10, 51 },
		{ "[Globals]\nListenPort = 3351\n[Sessions]\n X11displayOffset = 20 ; from\nMaxSessions=4\n", 3351, 20, 5 },
		{ "[Sessions]\nMaxSessions=0\n", 3350, 10, 1000 },
		{ "[Sessions]\nX11DisplayOffset=2147483647\nMaxSessions=99999999999\n", 3350, 10, 1000 },
		/* in other sections they have no meaning */
		{ "ListenPort=1\n[Globals]\nX11DisplayOffset=20\n[Other]\nListenPort=2\n", 3350, 10, 51 },
	};
	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		_cleanup_(inifile_freep) struct inifile *f = inifile_parse(rows[k].ini);
		int first;
		assert_int_equal(hostcfg_sesman_displays(f, &first), rows[k].count);
		assert_int_equal(first, rows[k].first);
		assert_int_equal(hostcfg_sesman_port(f), rows[k].port);
	}
}

/* Of two sections with the same name, the second one must not take effect when the first is removed. */
static void test_duplicate_sections(void **state)
{
	_cleanup_(xfreep) char *t = change(HOSTCFG_XRDP, "[Globals]\nport=1\n[X]\nlib=a\n; why\n[Xorg]\nlib=b\n[x]\nlib=/tmp/evil.so\n",
					   "{\"X\":null}", NULL, NULL);
	assert_string_equal(t, "[Globals]\nport=1\n; why\n[Xorg]\nlib=b\n");
}

/* Settings that each connection reads need no restart; settings of the listener do. */
static void test_settings_that_need_a_restart(void **state)
{
	static const char before[] = "[Globals]\nport=1\nmax_bpp=24\n[Logging]\nLogLevel=INFO\n[Xorg]\nlib=x\n";
	static const struct {
		const char *after;
		bool needs;
	} rows[] = {
		{ before, false },
		{ "; new\n[globals]\nPort = 1\n[Logging]\nLogLevel=INFO\n[Other]\nport=2\n", false },
		{ "[Globals]\nport=2\n[Logging]\nLogLevel=INFO\n", true },
		{ "[Globals]\n[Logging]\nLogLevel=INFO\n", true },
		{ "[Globals]\nport=1\ntcp_nodelay=true\n[Logging]\nLogLevel=INFO\n", true },
		{ "[Globals]\nport=1\n[Logging]\nLogLevel=DEBUG\n", true },
		{ "[Globals]\nport=1\n", true },
	};
	for (size_t k = 0; k < ARRAY_LEN(rows); k++)
		assert_int_equal(hostcfg_needs_start(before, rows[k].after), rows[k].needs);
}

/* The files of the package are valid, and a change of every value to itself is accepted. */
static void test_debians_own_files(void **state)
{
	static const char *const paths[] = { "/etc/xrdp/xrdp.ini", "/etc/xrdp/sesman.ini" };
	for (int w = 0; w < HOSTCFG_FILES; w++) {
		FILE *file = fopen(paths[w], "re");
		static char text[HOSTCFG_FILE_MAX + 1];
		assert_non_null(file); /* of the package xrdp, which the tests install */
		text[fread(text, 1, HOSTCFG_FILE_MAX, file)] = 0;
		fclose(file);
		_cleanup_(inifile_freep) struct inifile *f = inifile_parse(text);
		struct faults faults = { 0 };
		hostcfg_check((enum hostcfg_file)w, &dirs, f, true, &faults);
		_cleanup_(doc_unrefp) json_t *list = faults_take(&faults), *raw = inifile_doc(f);
		_cleanup_(xfreep) char *why = doc_text(list);
		assert_string_equal(why, "null");
		_cleanup_(doc_unrefp) json_t *typed = hostcfg_typed((enum hostcfg_file)w, raw);
		_cleanup_(xfreep) char *sections = doc_text(typed), *changed = NULL;
		_cleanup_(xfreep) char *after = change((enum hostcfg_file)w, text, sections, NULL, &changed);
		assert_string_equal(changed, "[]");
		assert_string_equal(after, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_xrdp_reads_it),
		cmocka_unit_test(test_sending_back_what_was_read_changes_nothing),
		cmocka_unit_test(test_lines_stay),
		cmocka_unit_test(test_existing_incomplete_pair_does_not_block_changes),
		cmocka_unit_test(test_sections_go_and_params_repeat),
		cmocka_unit_test(test_invalid_changes_are_refused),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_sesman_numbers),
		cmocka_unit_test(test_settings_that_need_a_restart),
		cmocka_unit_test(test_duplicate_sections),
		cmocka_unit_test(test_debians_own_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
