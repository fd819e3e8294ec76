/* The configuration engine: precedence, expansion, files, and all faults that it detects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lucid/str.h"
#include "sys/config/config.h"

static const char *const colours[] = { "RED", "GREEN", NULL };
static const struct option rows[] = {
	{ "NAME", "ALSO,OTHER", OPT_TEXT, 0, 0, 20, NULL, NULL, "nobody", "A name.", NULL },
	{ "NONE", NULL, OPT_TEXT, 0, 0, 0, NULL, NULL, "", "No default.", NULL },
	{ "SECRET", "KEY", OPT_TEXT, OPT_SECRET, 4, 64, NULL, NULL, "", "A secret.", NULL },
	{ "COUNT", NULL, OPT_INT, 0, 1, 100, "things", NULL, "7", "A number.", NULL },
	{ "FLAG", NULL, OPT_BOOL, 0, 0, 0, NULL, NULL, "false", "A switch.", NULL },
	{ "ITEMS", NULL, OPT_LIST, 0, 0, 8192, NULL, NULL, "a,b", "A list.", NULL },
	{ "ORIGINS", NULL, OPT_LIST, OPT_EMPTY_OK, 0, 0, NULL, NULL, "*", "A list that may be empty.", NULL },
	{ "COLOUR", NULL, OPT_ENUM, 0, 0, 0, NULL, colours, "RED", "A colour.", NULL },
	{ "PIE_URL", NULL, OPT_TEXT, OPT_NOT_BUILT, 0, 0, NULL, NULL, "", "A pie.", "the bakery" },
	{ "OLD", NULL, OPT_TEXT, OPT_IGNORED, 0, 0, NULL, NULL, "", "Means nothing.", NULL },
	{ "PORT_A", NULL, OPT_INT, OPT_PORT | OPT_LISTENS, 1, 65535, NULL, NULL, "81", "A port.", NULL },
	{ "PORT_B", NULL, OPT_INT, OPT_PORT, 1, 65535, NULL, NULL, "82", "The first of a range.", NULL },
	{ "PORT_C", NULL, OPT_INT, OPT_PORT | OPT_LISTENS, 1, 65535, NULL, NULL, "83", "A port.", NULL },
	{ "CERT_FILE", NULL, OPT_TEXT, 0, 0, 0, NULL, NULL, "", "A file's name.", NULL },
};

struct fixture {
	char dir[32], was[4096];
	char *env[16];
	const char *set[16], *files[8];
	struct config_input in;
	struct strbuf faults, warnings;
	struct config *c;
};

static int set_up(void **state)
{
	struct fixture *f = XNEW(struct fixture);
	strcpy(f->dir, "/tmp/lrdp-config-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_non_null(getcwd(f->was, sizeof f->was));
	assert_int_equal(chdir(f->dir), 0);
	f->in = (struct config_input){ .env = f->env, .set = f->set };
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { ".env", "a", "b", "c", "conf", "value" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		remove(names[i]);
	assert_int_equal(chdir(f->was), 0);
	assert_int_equal(rmdir(f->dir), 0);
	config_free(f->c);
	strbuf_done(&f->faults);
	strbuf_done(&f->warnings);
	free(f);
	return 0;
}

static void put(const char *path, const char *text, size_t len)
{
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(text, 1, len, out), len);
	fclose(out);
}

static void put_file(const char *path, const char *text)
{
	put(path, text, strlen(text));
}

static struct config *load(struct fixture *f)
{
	config_free(f->c);
	strbuf_reset(&f->faults);
	strbuf_reset(&f->warnings);
	f->c = config_load(rows, ARRAY_LEN(rows), &f->in, &f->faults, &f->warnings);
	assert_true(!f->c == (f->faults.len > 0));
	return f->c;
}

static void load_ok(struct fixture *f)
{
	if (!load(f))
		fail_msg("%s", f->faults.s);
}

static void is(struct fixture *f, const char *name, const char *value, const char *source)
{
	assert_string_equal(config_str(f->c, name), value);
	assert_string_equal(config_source(f->c, name), source);
}

static void fault_has(struct fixture *f, const char *text)
{
	assert_null(load(f));
	if (!strstr(f->faults.s, text))
		fail_msg("wanted \"%s\" in:\n%s", text, f->faults.s);
}

static void conf_fault(struct fixture *f, const char *conf, const char *text)
{
	put_file("conf", conf);
	f->in.config_file = "conf";
	fault_has(f, text);
}

static size_t lines(const struct strbuf *b)
{
	size_t n = 0;
	for (size_t i = 0; i < b->len; i++)
		n += b->s[i] == '\n';
	return n;
}

/* Removes the sources one by one, from the highest; the next one then counts. */
static void precedence(void **state)
{
	struct fixture *f = *state;
	put_file("a", "NAME=from-a\n");
	put_file("b", "NAME=from-b\n");
	put_file(".env", "NAME=from-dotenv\n");
	put_file("conf", "NAME=from-conf\n");
	f->set[0] = "NAME=from-set";
	f->env[0] = (char[]){ "NAME=from-env" };
	f->files[0] = "a";
	f->files[1] = "b";
	f->in.env_files = f->files;
	f->in.config_file = "conf";
	load_ok(f);
	is(f, "NAME", "from-set", "--set");
	f->set[0] = NULL;
	load_ok(f);
	is(f, "NAME", "from-env", "environment");
	f->env[0] = NULL;
	load_ok(f);
	is(f, "NAME", "from-b", "b");
	f->files[1] = NULL;
	load_ok(f);
	is(f, "NAME", "from-a", "a");
	f->in.env_files = NULL;
	load_ok(f);
	is(f, "NAME", "from-dotenv", ".env");
	f->in.no_dotenv = true;
	load_ok(f);
	is(f, "NAME", "from-conf", "conf");
	assert_true(config_given(f->c, "NAME"));
	f->in.config_file = NULL;
	load_ok(f);
	is(f, "NAME", "nobody", "default");
	assert_false(config_given(f->c, "NAME"));
}

/* An alias in a higher source has precedence over the name in a lower one, and NAME_FILE has the precedence of its source. */
static void aliases_and_files_keep_their_source(void **state)
{
	struct fixture *f = *state;
	put_file("conf", "NAME=low\nSECRET=from-conf\n");
	put_file("value", "from the file\r\n");
	f->in.config_file = "conf";
	f->env[0] = (char[]){ "OTHER=high" };
	f->env[1] = (char[]){ "KEY_FILE=value" };
	load_ok(f);
	is(f, "NAME", "high", "environment");
	is(f, "SECRET", "from the file", "value");
	put_file("value", "two\n\n");
	fault_has(f, "control characters");
	put_file("value", "");
	load_ok(f);
	is(f, "SECRET", "", "value");
	assert_false(config_given(f->c, "SECRET"));
	f->env[1] = (char[]){ "CERT_FILE=/etc/cert" };
	load_ok(f);
	is(f, "CERT_FILE", "/etc/cert", "environment");
}

static void types(void **state)
{
	struct fixture *f = *state;
	f->set[0] = "COUNT=100";
	f->set[1] = "FLAG=On";
	f->set[2] = "ITEMS= x , y,z ";
	f->set[3] = "COLOUR=green";
	load_ok(f);
	assert_int_equal(config_int(f->c, "COUNT"), 100);
	assert_true(config_bool(f->c, "FLAG"));
	assert_string_equal(config_str(f->c, "FLAG"), "true");
	assert_string_equal(config_str(f->c, "COLOUR"), "GREEN");
	const char *const *l = config_list(f->c, "ITEMS");
	assert_string_equal(l[0], "x");
	assert_string_equal(l[1], "y");
	assert_string_equal(l[2], "z");
	assert_null(l[3]);
	f->set[2] = "ITEMS=[\"a,b\", \"c\"]";
	load_ok(f);
	l = config_list(f->c, "ITEMS");
	assert_string_equal(l[0], "a,b");
	assert_string_equal(l[1], "c");
	assert_null(l[2]);
	f->set[2] = "ITEMS=[]";
	load_ok(f);
	assert_null(config_list(f->c, "ITEMS")[0]);
}

static void bad_values(void **state)
{
	static const char *const bad[][2] = {
		{ "COUNT=0", "COUNT: \"0\" from --set: a whole number from 1 to 100 (things)" },
		{ "COUNT=101", "from 1 to 100" },
		{ "COUNT=7.5", "from 1 to 100" },
		{ "COUNT= 7", "from 1 to 100" },
		{ "COUNT=99999999999999999999", "from 1 to 100" },
		{ "COUNT=", "COUNT: \"\" from --set" },
		{ "FLAG=maybe", "FLAG: \"maybe\" from --set: true or false" },
		{ "COLOUR=blue", "one of RED, GREEN" },
		{ "NAME=123456789012345678901", "at most 20 characters" },
		{ "NAME=a\nb", "control characters" },
		{ "NAME=\xff", "not UTF-8" },
		{ "NAME=", "it is empty" },
		{ "ITEMS=a,,b", "an item is empty" },
		{ "ITEMS=a,", "an item is empty" },
		{ "ITEMS=[1]", "must be a string" },
		{ "ITEMS=[\"a\"", "not a JSON array" },
		{ "ITEMS=[\"a\", \"\"]", "an item is empty" },
		{ "PIE_URL=x", "PIE_URL: \"x\" from --set: this program does not support the bakery yet; omit PIE_URL" },
		{ "NOBODY=1", "NOBODY: from --set: unknown setting" },
		{ "name=x", "unknown setting; did you mean NAME?" },
		{ "just-text", "--set number 1: must be NAME=value" },
		{ "=x", "--set number 1" },
		{ "SECRET=abc", "SECRET: \"********\" from --set: text of 4 to 64 characters" },
		{ "CERT_FILE_FILE=/nowhere/at/all", "cannot read the file: No such file" },
		{ "SECRET_FILE=/tmp", "not a regular file" },
		{ "SECRET_FILE=", "its name is empty" },
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		f->set[0] = bad[i][0];
		fault_has(f, bad[i][1]);
		assert_int_equal(lines(&f->faults), 1);
	}
}

static void empty_values(void **state)
{
	struct fixture *f = *state;
	put_file("conf", "NONE=something\nORIGINS=here\n");
	f->in.config_file = "conf";
	f->env[0] = (char[]){ "NONE=" };
	f->env[1] = (char[]){ "ORIGINS=" };
	load_ok(f);
	is(f, "NONE", "", "environment");
	assert_false(config_given(f->c, "NONE"));
	assert_true(config_given(f->c, "ORIGINS"));
	assert_null(config_list(f->c, "ORIGINS")[0]);
	/* an empty value that counts as not set may still have a computed default */
	assert_true(config_default(f->c, "NONE", "computed", &f->faults));
	is(f, "NONE", "computed", "default");
	assert_true(config_default(f->c, "ORIGINS", "*", &f->faults));
	is(f, "ORIGINS", "", "environment");
	f->env[2] = (char[]){ "PIE_URL=" };
	load_ok(f);
}

static void expansion(void **state)
{
	static const char *const cases[][2] = {
		{ "${HOME_TOWN}", "Bern" },
		{ "${HOME_TOWN:-x}", "Bern" },
		{ "${NOWHERE:-x}", "x" },
		{ "${EMPTY:-x}", "x" },
		{ "${EMPTY}", "" },
		{ "a${HOME_TOWN}b${NOWHERE:-}c", "aBernbc" },
		{ "${NOWHERE:-${EMPTY:-deep}}", "deep" },
		{ "${EARLIER}", "first" },
		{ "\"${HOME_TOWN} # no\" # yes", "Bern # no" },
		{ "'${HOME_TOWN}'", "${HOME_TOWN}" },
		{ "\\${HOME_TOWN}", "${HOME_TOWN}" },
		{ "\"a \\\"b\\\" \\\\\"", "a \"b\" \\" },
		{ "$HOME_TOWN $5", "$HOME_TOWN $5" },
		{ "plain # comment", "plain" },
		{ "pl#ain", "pl#ain" },
		{ "# comment", "" },
		{ "a=b=c", "a=b=c" },
		{ "${SETNAME}", "told" },
	};
	struct fixture *f = *state;
	f->env[0] = (char[]){ "HOME_TOWN=Bern" };
	f->env[1] = (char[]){ "EMPTY=" };
	f->files[0] = "a";
	f->in.env_files = f->files;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[256];
		snprintf(text, sizeof text, "EARLIER=first\nSETNAME=told\n\n# comment\nexport NONE = %s\r\n", cases[i][0]);
		put_file("a", text);
		load_ok(f);
		is(f, "NONE", cases[i][1], "a");
	}
}

/* ${X} is the value of X at that point, from the highest source that was read. */
static void expansion_precedence(void **state)
{
	struct fixture *f = *state;
	put_file("a", "X=a\nY=a\n");
	put_file("b", "X=b\nNONE=${X}${Y}${Z:-z}\nZ=late\n");
	put_file("conf", "X=conf\nW=conf\nNAME=${X}${Y}${Z}${W}\n");
	f->files[0] = "a";
	f->files[1] = "b";
	f->in.env_files = f->files;
	f->in.config_file = "conf";
	assert_null(load(f)); /* X, Y… are not settings, and the configuration file may contain nothing else */
	put_file("conf", "NONE=conf\nNAME=${X}${Y}${Z}${NONE}\n");
	load_ok(f);
	is(f, "NONE", "baz", "b");
	is(f, "NAME", "balatebaz", "conf");
	f->env[0] = (char[]){ "X=env" };
	load_ok(f);
	is(f, "NAME", "envalateenvaz", "conf");
}

static void bad_files(void **state)
{
	struct fixture *f = *state;
	f->in.no_dotenv = true;
	conf_fault(f, "NAME=${X\n", "conf line 1: ${ is not closed");
	conf_fault(f, "\nNAME=${X:?no}\n", "conf line 2: only ${NAME} and ${NAME:-default}");
	conf_fault(f, "NAME=${X-no}\n", "only ${NAME}");
	conf_fault(f, "NAME=${}\n", "only ${NAME}");
	conf_fault(f, "NAME=\"abc\n", "the quote is not closed");
	conf_fault(f, "NAME='abc' def\n", "follows the closing quote");
	conf_fault(f, "my-secret-without-a-name\n", "conf line 1: not a line of the form NAME=value");
	assert_null(strstr(f->faults.s, "secret"));
	conf_fault(f, "WHAT=1\n", "WHAT: from conf line 1: unknown setting");
	conf_fault(f, "NAME=a\nNAME=b\n", "lines 1 and 2 set different values");
	conf_fault(f, "NAME=a\nOTHER=b\n", "NAME and OTHER are the same setting with different values");
	conf_fault(f, "SECRET=abcd\nKEY=efgh\n", "SECRET and KEY are the same setting with different values");
	assert_null(strstr(f->faults.s, "abcd"));
	conf_fault(f, "SECRET=abcd\nSECRET_FILE=x\n", "set SECRET or SECRET_FILE, not both");
	conf_fault(f, "KEY_FILE=y\nSECRET=abcd\n", "set KEY_FILE or SECRET, not both");
	conf_fault(f, "NAME=${A:-${A:-${A:-${A:-${A:-${A:-${A:-${A:-${A:-${A:-x}}}}}}}}}}\n", "too deep");
	put("conf", "NAME=a\0b\n", 9);
	fault_has(f, "NUL byte");
	f->in.config_file = "missing";
	fault_has(f, "missing: cannot be read: No such file");
	f->in.config_file = "/tmp";
	fault_has(f, "/tmp: cannot be read: not a regular file");
	f->in.config_file = NULL;
	f->files[0] = "missing";
	f->in.env_files = f->files;
	fault_has(f, "missing: cannot be read");
}

static void huge_files(void **state)
{
	struct fixture *f = *state;
	size_t n = (1 << 20) + 1;
	_cleanup_(xfreep) char *big = xmalloc(n);
	memset(big, '\n', n);
	put("conf", big, n);
	f->in.config_file = "conf";
	fault_has(f, "longer than 1048576 bytes");
	put("conf", big, n - 1);
	load_ok(f);
	/* expansion is bounded too */
	struct strbuf b = { 0 };
	strbuf_puts(&b, "NONE=0123456789\n");
	for (size_t i = 0; i < 20; i++)
		strbuf_puts(&b, "NONE=${NONE}${NONE}\n");
	put_file("a", b.s);
	f->in.config_file = NULL;
	f->files[0] = "a";
	f->in.env_files = f->files;
	fault_has(f, "longer than 64 KiB");
	strbuf_done(&b);
	memset(big, 'x', 70000);
	put("value", big, 70000);
	f->in.env_files = NULL;
	f->set[0] = "NONE_FILE=value";
	fault_has(f, "longer than 65536 bytes");
}

/* An env file is shared with other programs: faults in lines of other programs do not matter. */
static void env_files_are_shared(void **state)
{
	struct fixture *f = *state;
	put_file(".env", "\xef\xbb\xbfNAME=first\nFOREIGN=${X:?set it}\nOTHER_QUOTE='open\nodd-name=1\nJUST_A_NAME\nNAME=second\n");
	load_ok(f);
	is(f, "NAME", "second", ".env");
	assert_non_null(strstr(f->warnings.s, "line 6 overrides line 1"));
	f->env[0] = (char[]){ "UNKNOWN=x" };
	f->env[1] = (char[]){ "OLD=1.0" };
	load_ok(f);
	assert_null(strstr(f->warnings.s, "UNKNOWN"));
	f->env[0] = (char[]){ "CUONT=3" };
	put_file(".env", "URL_PIE=x\nHOME_PAGE=y\n");
	load_ok(f);
	assert_non_null(strstr(f->warnings.s, "CUONT: from environment: unknown setting, ignored; did you mean COUNT?"));
	assert_non_null(strstr(f->warnings.s, "URL_PIE: from .env line 1: unknown setting, ignored; did you mean PIE_URL?"));
	assert_null(strstr(f->warnings.s, "HOME_PAGE"));
	put_file(".env", "NAME:x\nCOUNT\n=x\nPIE-URL=x\nCUONT\nc2VjcmV0\nNAME_FIEL=x\n");
	load_ok(f);
	assert_non_null(strstr(f->warnings.s, "NAME: from .env line 1: the name is not followed by '='; the line is ignored"));
	assert_non_null(strstr(f->warnings.s, "COUNT: from .env line 2: the name is not followed by '='"));
	assert_non_null(strstr(f->warnings.s, "PIE-URL: from .env line 4: unknown setting, ignored; did you mean PIE_URL?"));
	assert_non_null(strstr(f->warnings.s, "CUONT: from .env line 5: unknown setting, ignored; did you mean COUNT?"));
	assert_non_null(strstr(f->warnings.s, "NAME_FIEL: from .env line 7: unknown setting, ignored; did you mean NAME_FILE?"));
	assert_null(strstr(f->warnings.s, "c2VjcmV0"));
	f->env[0] = (char[]){ "UNKNOWN=x" };
	put_file(".env", "NAME=a${WHO}\n");
	load_ok(f);
	assert_non_null(strstr(f->warnings.s, "WHO is not set"));
	put_file(".env", "a line that is no line\n");
	fault_has(f, ".env line 1: not a line");
}

static void same_twice_is_fine(void **state)
{
	struct fixture *f = *state;
	put_file("conf", "NAME=x\nALSO=x\nNAME=x\n");
	f->in.config_file = "conf";
	load_ok(f);
	is(f, "NAME", "x", "conf");
	assert_non_null(strstr(f->warnings.s, "repeats line"));
	f->set[0] = "COUNT=1";
	f->set[1] = "COUNT=2";
	load_ok(f);
	assert_int_equal(config_int(f->c, "COUNT"), 2);
}

static void all_faults_at_once(void **state)
{
	struct fixture *f = *state;
	put_file("conf", "COUNT=many\nWHAT=1\nnonsense\nNAME=a\nALSO=b\n");
	f->in.config_file = "conf";
	f->set[0] = "FLAG=perhaps";
	f->set[1] = "SECRET=x";
	f->env[0] = (char[]){ "COLOUR=blue" };
	f->env[1] = (char[]){ "PIE_URL=apple" };
	fault_has(f, "COUNT: \"many\" from conf");
	assert_int_equal(lines(&f->faults), 8);
	assert_non_null(strstr(f->faults.s, "FLAG: \"perhaps\" from --set"));
	assert_non_null(strstr(f->faults.s, "COLOUR: \"blue\" from environment"));
	assert_null(strstr(f->faults.s, "\"x\""));
}

static void ports_that_are_listened_on(void **state)
{
	struct fixture *f = *state;
	f->set[0] = "PORT_C=84";
	load_ok(f);
	_cleanup_(xfreep) int *ports = config_listen_ports(f->c);
	assert_int_equal(ports[0], 81);
	assert_int_equal(ports[1], 84);
	assert_int_equal(ports[2], 0);
}

static void printing_hides_secrets(void **state)
{
	struct fixture *f = *state;
	f->set[0] = "SECRET=do not show";
	f->set[1] = "NAME=a name";
	load_ok(f);
	struct strbuf out = { 0 };
	config_print(f->c, &out);
	assert_null(strstr(out.s, "do not show"));
	assert_non_null(strstr(out.s, "SECRET=********"));
	assert_non_null(strstr(out.s, "NAME='a name'"));
	assert_non_null(strstr(out.s, "# --set\n"));
	assert_non_null(strstr(out.s, "COUNT=7"));
	assert_null(strstr(out.s, "PIE_URL"));
	config_fault(f->c, "SECRET", &f->faults, "is too %s", "short");
	assert_string_equal(f->faults.s, "SECRET: \"********\" from --set: is too short\n");
	strbuf_reset(&f->faults);
	assert_false(config_default(f->c, "COUNT", "0", &f->faults));
	assert_int_equal(config_int(f->c, "COUNT"), 7);
	strbuf_reset(&f->faults);
	assert_true(config_copy(f->c, "NONE", "NAME", &f->faults));
	is(f, "NONE", "a name", "--set");
	strbuf_done(&out);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(precedence), T(aliases_and_files_keep_their_source), T(types), T(bad_values), T(empty_values), T(expansion),
		T(expansion_precedence), T(bad_files), T(huge_files), T(env_files_are_shared), T(same_twice_is_fine),
		T(all_faults_at_once), T(ports_that_are_listened_on), T(printing_hides_secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
