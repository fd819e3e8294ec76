#include "host/ini.h"

#include "lucid/shape.h"
#include "lucid/str.h"

#include <unistd.h>

#define MADE "made by lucid-rdp for one server; changes here are lost when it starts"

bool ini_path_ok(const char *path)
{
	size_t len = strlen(path);
	return len > 1 && len <= 200 && path[0] == '/' && !strstr(path, "..") &&
	       strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/+@:=,-") == len;
}

struct choice {
	const char *given, *written;
};
/* The first row is for whatever is not in the table. */
static const char *choose(const struct choice *c, size_t n, const json_t *spec, const char *path)
{
	const char *v = json_string_value(doc_get(spec, path));
	for (size_t k = 0; v && k < n; k++)
		if (str_eq(c[k].given, v))
			return c[k].written;
	return c[0].written;
}
#define CHOOSE(table, spec, path) choose(table, ARRAY_LEN(table), spec, path)

static const struct choice layers[] = { { "negotiate", "negotiate" }, { "tls", "tls" }, { "rdp", "rdp" } };
static const struct choice protocols[] = { { "1.2", "TLSv1.2, TLSv1.3" }, { "1.3", "TLSv1.3" } };
static const struct choice levels[] = {
	{ "high", "high" }, { "none", "none" }, { "low", "low" }, { "medium", "medium" }, { "fips", "fips" },
};
static const struct choice kinds[] = {
	{ "xorg", "[Xorg]\nname=Xorg\nlib=libxup.so\nusername=ask\npassword=ask\nip=127.0.0.1\nport=-1\ncode=20\n" },
	{ "xvnc", "[Xvnc]\nname=Xvnc\nlib=libvnc.so\nusername=ask\npassword=ask\nip=127.0.0.1\nport=-1\n" },
};
static const struct choice kind_names[] = { { "xorg", "Xorg" }, { "xvnc", "Xvnc" } };

static int64_t number(const json_t *spec, const char *path, int64_t min, int64_t max, int64_t otherwise)
{
	const json_t *v = doc_get(spec, path);
	return json_is_integer(v) ? MIN(MAX(json_integer_value(v), min), max) : otherwise;
}

static const char *flag(const json_t *spec, const char *path, bool otherwise)
{
	const json_t *v = doc_get(spec, path);
	return (json_is_boolean(v) ? json_is_true(v) : otherwise) ? "true" : "false";
}

/* xrdp takes these depths and no other. */
static int depth_of(const json_t *spec)
{
	static const int depths[] = { 32, 24, 16, 15, 8 };
	int64_t want = number(spec, "display.color_depth", 8, 32, 24);
	for (size_t n = 0; n < ARRAY_LEN(depths); n++)
		if (want >= depths[n])
			return depths[n];
	return 8;
}

char *ini_xrdp(const struct ini_in *in)
{
	static const struct {
		const char *name, *path;
	} channels[] = {
		{ "rdpdr", "channels.drive" },       { "rdpsnd", "channels.sound" }, { "drdynvc", "channels.dynamic" },
		{ "cliprdr", "channels.clipboard" }, { "rail", "channels.rail" },    { "xrdpvr", "channels.sound" },
		{ "tcutils", "channels.drive" },
	};
	const json_t *s = in->spec;
	struct strbuf b = { 0 };
	strbuf_puts(&b, "; " MADE "\n[Globals]\nini_version=1\nfork=true\n");
	strbuf_printf(&b, "port=%d\n", (int)number(s, "port", 1, 65535, 0));
	strbuf_puts(&b, "use_vsock=false\ntcp_nodelay=true\ntcp_keepalive=true\n");
	strbuf_printf(&b, "security_layer=%s\n", CHOOSE(layers, s, "security.layer"));
	strbuf_printf(&b, "crypt_level=%s\n", CHOOSE(levels, s, "security.crypt_level"));
	strbuf_printf(&b, "certificate=%s\nkey_file=%s\n", in->cert, in->key);
	strbuf_printf(&b, "ssl_protocols=%s\n", CHOOSE(protocols, s, "security.min_tls"));
	strbuf_printf(&b, "autorun=%s\n", CHOOSE(kind_names, s, "desktop.session"));
	strbuf_puts(&b, "allow_channels=true\nallow_multimon=true\nbitmap_cache=true\nbitmap_compression=true\n"
			"bulk_compression=true\n");
	strbuf_printf(&b, "max_bpp=%d\n", depth_of(s));
	strbuf_puts(&b, "new_cursors=true\nuse_fastpath=both\n"
			"blue=009cb5\ngrey=dedede\nls_top_window_bg_color=009cb5\nls_width=350\nls_height=430\n"
			"ls_bg_color=dedede\nls_logo_filename=\nls_logo_x_pos=55\nls_logo_y_pos=50\n"
			"ls_label_x_pos=30\nls_label_width=65\nls_input_x_pos=110\nls_input_width=210\n"
			"ls_input_y_pos=220\nls_btn_ok_x_pos=142\nls_btn_ok_y_pos=370\nls_btn_ok_width=85\n"
			"ls_btn_ok_height=30\nls_btn_cancel_x_pos=237\nls_btn_cancel_y_pos=370\n"
			"ls_btn_cancel_width=85\nls_btn_cancel_height=30\n");
	strbuf_printf(&b, "\n[Logging]\nLogFile=%s/xrdp.log\nLogLevel=INFO\nEnableSyslog=false\n", in->log);
	strbuf_puts(&b, "\n[LoggingPerLogger]\n\n[Channels]\n");
	for (size_t n = 0; n < ARRAY_LEN(channels); n++)
		strbuf_printf(&b, "%s=%s\n", channels[n].name, flag(s, channels[n].path, true));
	strbuf_printf(&b, "\n%s", CHOOSE(kinds, s, "desktop.session"));
	return strbuf_take(&b);
}

/* Where the X server is; xrdp's own default names Debian's place. */
static const char *xorg_program(void)
{
	static const char *const places[] = { "/usr/lib/xorg/Xorg", "/usr/libexec/Xorg", "/usr/bin/Xorg" };
	for (size_t n = 0; n < ARRAY_LEN(places); n++)
		if (access(places[n], X_OK) == 0)
			return places[n];
	return "Xorg";
}

/* Root logs in over RDP only where it is named. */
static bool root_is_named(const json_t *spec)
{
	const json_t *list = doc_get(spec, "security.allowed_users"), *v;
	size_t n;
	json_array_foreach (list, n, v)
		if (json_is_string(v) && str_eq(json_string_value(v), "root"))
			return true;
	return false;
}

char *ini_sesman(const struct ini_in *in)
{
	const json_t *s = in->spec;
	struct strbuf b = { 0 };
	strbuf_puts(&b, "; " MADE "\n[Globals]\nListenAddress=127.0.0.1\n");
	strbuf_printf(&b, "ListenPort=%d\n", in->sesman_port);
	strbuf_puts(&b, "EnableUserWindowManager=false\nDefaultWindowManager=/etc/xrdp/startwm.sh\n"
			"ReconnectScript=/etc/xrdp/reconnectwm.sh\n");
	/* who may log in is the PAM file's business */
	strbuf_printf(&b, "\n[Security]\nAllowRootLogin=%s\nMaxLoginRetry=4\nAlwaysGroupCheck=false\n",
		      root_is_named(s) ? "true" : "false");
	strbuf_puts(&b, "RestrictOutboundClipboard=none\nRestrictInboundClipboard=none\n");
	strbuf_printf(&b, "\n[Sessions]\nX11DisplayOffset=%d\n", in->display_first);
	strbuf_printf(&b, "MaxSessions=%d\n", (int)number(s, "desktop.max_sessions", 1, 50, 10));
	int64_t gone = number(s, "desktop.disconnected_timeout", 0, 31536000, 0);
	bool kill_now = str_eq(flag(s, "desktop.kill_disconnected", false), "true");
	strbuf_printf(&b, "KillDisconnected=%s\n", kill_now || gone ? "true" : "false");
	strbuf_printf(&b, "DisconnectedTimeLimit=%lld\n", (long long)gone);
	strbuf_printf(&b, "IdleTimeLimit=%lld\n", (long long)number(s, "desktop.idle_timeout", 0, 31536000, 0));
	strbuf_puts(&b, "Policy=Default\n");
	strbuf_printf(&b, "\n[Logging]\nLogFile=%s/sesman.log\nLogLevel=INFO\nEnableSyslog=false\n", in->log);
	strbuf_puts(&b, "\n[LoggingPerLogger]\n");
	strbuf_printf(&b, "\n[Xorg]\nparam=%s\n", xorg_program());
	strbuf_puts(&b, "param=-config\nparam=xrdp/xorg.conf\nparam=-noreset\nparam=-nolisten\nparam=tcp\n"
			"param=-logfile\nparam=.xorgxrdp.%s.log\n"
			"\n[Xvnc]\nparam=Xvnc\nparam=-bs\nparam=-nolisten\nparam=tcp\nparam=-localhost\n"
			"param=-dpi\nparam=96\n"
			"\n[Chansrv]\nFuseMountName=thinclient_drives\nFileUmask=077\n");
	bool fuse =
	    str_eq(flag(s, "channels.drive", true), "true") || str_eq(flag(s, "channels.clipboard", true), "true");
	strbuf_printf(&b, "EnableFuseMount=%s\n", fuse ? "true" : "false");
	strbuf_puts(&b, "\n[ChansrvLogging]\nLogLevel=WARNING\nEnableSyslog=false\n\n[ChansrvLoggingPerLogger]\n"
			"\n[SessionVariables]\nPULSE_SCRIPT=/etc/xrdp/pulse/default.pa\n");
	return strbuf_take(&b);
}

char *ini_names(const json_t *spec, const char *list)
{
	const json_t *names = doc_get(spec, list), *v;
	size_t n;
	if (json_array_size(names) == 0)
		return NULL;
	struct strbuf b = { 0 };
	json_array_foreach (names, n, v) {
		const char *s = json_string_value(v), *why;
		/* one that is not an account's name is left out: a list that names nobody lets nobody in */
		if (s && json_string_length(v) == strlen(s) && shape_format("account", s, &why))
			strbuf_printf(&b, "%s\n", s);
	}
	return strbuf_take(&b);
}

char *ini_pam_access(const json_t *spec)
{
	bool users = json_array_size(doc_get(spec, "security.allowed_users")) > 0;
	bool groups = json_array_size(doc_get(spec, "security.allowed_groups")) > 0;
	struct strbuf b = { 0 };
	strbuf_puts(&b, "#%PAM-1.0\n# " MADE "\n");
	if (users && groups)
		strbuf_puts(&b, "account [success=1 default=ignore] pam_listfile.so quiet item=user sense=allow "
				"onerr=fail file=/etc/xrdp/allowed_users\n");
	else if (users)
		strbuf_puts(&b, "account requisite pam_listfile.so quiet item=user sense=allow onerr=fail "
				"file=/etc/xrdp/allowed_users\n");
	if (groups)
		strbuf_puts(&b, "account requisite pam_listfile.so quiet item=group sense=allow onerr=fail "
				"file=/etc/xrdp/allowed_groups\n");
	return strbuf_take(&b);
}

char *ini_pam(const struct ini_in *in)
{
	struct strbuf b = { 0 };
	strbuf_puts(&b, "#%PAM-1.0\n# " MADE "\n");
	strbuf_puts(
	    &b, "auth required pam_env.so readenv=1\nauth required pam_env.so readenv=1 envfile=/etc/default/locale\n");
	strbuf_puts(&b, in->common_auth ? "@include common-auth\n" : "auth substack system-auth\n");
	/* who may log in changes while the server runs, and this file, bound over another, cannot */
	strbuf_puts(&b, "account include /etc/xrdp/pam-access\n");
	strbuf_puts(&b, in->common_auth ? "@include common-account\n" : "account include system-auth\n");
	/* no pam_systemd: it would move the desktop out of the instance's group, and the limits would hit nothing */
	strbuf_puts(&b, "session required pam_limits.so\nsession required pam_unix.so\n");
	/* optional: a program that is not there (it is just being replaced) must keep nobody from logging in */
	if (in->program && in->hook_socket)
		strbuf_printf(&b, "session optional pam_exec.so quiet %s pam-hook %s\n", in->program, in->hook_socket);
	strbuf_puts(&b, in->common_auth ? "@include common-password\n" : "password include system-auth\n");
	return strbuf_take(&b);
}

static void quoted(struct strbuf *b, const char *s)
{
	strbuf_putc(b, '\'');
	for (; *s; s++)
		if (*s == '\'')
			strbuf_puts(b, "'\\''");
		else
			strbuf_putc(b, *s);
	strbuf_putc(b, '\'');
}

char *ini_startwm(const char *command)
{
	struct strbuf b = { 0 };
	strbuf_puts(&b, "#!/bin/sh\n# " MADE "\n"
			"if [ -r /etc/profile ]; then . /etc/profile; fi\n"
			"if [ -r ~/.profile ]; then . ~/.profile; fi\n"
			"unset SESSION_MANAGER DBUS_SESSION_BUS_ADDRESS\n"
			"n=${DISPLAY#*:}\nn=${n%%.*}\n"
			"dir=/run/xrdp/user/$(id -u)-$n\n"
			"mkdir -m 0700 \"$dir\" 2>/dev/null\n"
			"if [ -L \"$dir\" ] || ! [ -O \"$dir\" ]; then dir=$(mktemp -d); fi\n"
			"export XDG_RUNTIME_DIR=\"$dir\" XDG_SESSION_TYPE=x11\n"
			"if command -v dbus-run-session >/dev/null; then\n"
			"\texec dbus-run-session -- /bin/sh -c ");
	quoted(&b, command);
	strbuf_puts(&b, "\nfi\nexec /bin/sh -c ");
	quoted(&b, command);
	strbuf_putc(&b, '\n');
	return strbuf_take(&b);
}
