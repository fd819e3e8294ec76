#include "host/xrdp_config/ini.h"

#include "host/preload_env.h"
#include "lucid/str.h"

#include <unistd.h>

bool ini_path_ok(const char *path)
{
	size_t len = strlen(path);
	return len > 1 && len <= 200 && path[0] == '/' && !strstr(path, "..") &&
	       strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/+@:=,-") == len;
}

struct choice {
	const char *given, *written;
};
/* The first row is the default, also for values that are not in the table. */
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

static int64_t spec_number(const json_t *spec, const char *path, int64_t min, int64_t max, int64_t otherwise)
{
	const json_t *v = doc_get(spec, path);
	return json_is_integer(v) ? MIN(MAX(json_integer_value(v), min), max) : otherwise;
}

static const char *flag(const json_t *spec, const char *path, bool otherwise)
{
	const json_t *v = doc_get(spec, path);
	return (json_is_boolean(v) ? json_is_true(v) : otherwise) ? "true" : "false";
}

/* xrdp accepts only these depths. */
static int depth_of(const json_t *spec)
{
	static const int depths[] = { 32, 24, 16, 15, 8 };
	int64_t want = spec_number(spec, "display.color_depth", 8, 32, 24);
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
	strbuf_puts(&b, "; " INI_MADE "\n[Globals]\nini_version=1\nfork=true\n");
	strbuf_printf(&b, "port=%d\n", (int)spec_number(s, "port", 1, 65535, 0));
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

/* The path of the X server; the default of xrdp is Debian's path. */
static const char *xorg_program(void)
{
	static const char *const places[] = { "/usr/lib/xorg/Xorg", "/usr/libexec/Xorg", "/usr/bin/Xorg" };
	for (size_t n = 0; n < ARRAY_LEN(places); n++)
		if (access(places[n], X_OK) == 0)
			return places[n];
	return "Xorg";
}

/* Root may log in over RDP only if allowed_users names it. */
static bool root_is_named(const json_t *spec)
{
	const json_t *list = doc_get(spec, "security.allowed_users"), *v;
	size_t n;
	json_array_foreach (list, n, v)
		if (json_is_string(v) && str_eq(json_string_value(v), "root"))
			return true;
	return false;
}

/* X servers create no name that another process could create first: no abstract socket, and no lock file in /tmp, which -displayfd
 * suppresses (the descriptor is /dev/null). */
#define OWN_NAMES "param=-nolisten\nparam=local\nparam=-displayfd\nparam=" PRELOAD_DISPLAY_FD_TEXT "\n"

char *ini_sesman(const struct ini_in *in)
{
	const json_t *s = in->spec;
	struct strbuf b = { 0 };
	strbuf_puts(&b, "; " INI_MADE "\n[Globals]\nListenAddress=127.0.0.1\n");
	strbuf_printf(&b, "ListenPort=%d\n", in->sesman_port);
	strbuf_puts(&b, "EnableUserWindowManager=false\nDefaultWindowManager=/etc/xrdp/startwm.sh\n"
			"ReconnectScript=/etc/xrdp/reconnectwm.sh\n");
	/* the PAM file decides who may log in */
	strbuf_printf(&b, "\n[Security]\nAllowRootLogin=%s\nMaxLoginRetry=4\nAlwaysGroupCheck=false\n",
		      root_is_named(s) ? "true" : "false");
	strbuf_puts(&b, "RestrictOutboundClipboard=none\nRestrictInboundClipboard=none\n");
	strbuf_printf(&b, "\n[Sessions]\nX11DisplayOffset=%d\n", in->display_first);
	strbuf_printf(&b, "MaxSessions=%d\n", (int)spec_number(s, "desktop.max_sessions", 1, 50, 10));
	/* desktop/limits.c applies the limits, after announcing them; sesman and xorgxrdp would end desktops beside it */
	strbuf_puts(&b, "KillDisconnected=false\nDisconnectedTimeLimit=0\nIdleTimeLimit=0\n");
	strbuf_puts(&b, "Policy=Default\n");
	strbuf_printf(&b, "\n[Logging]\nLogFile=%s/sesman.log\nLogLevel=INFO\nEnableSyslog=false\n", in->log);
	strbuf_puts(&b, "\n[LoggingPerLogger]\n");
	strbuf_printf(&b, "\n[Xorg]\nparam=%s\n", xorg_program());
	strbuf_puts(&b, "param=-config\nparam=xrdp/xorg.conf\nparam=-noreset\nparam=-nolisten\nparam=tcp\n"
			"param=-logfile\nparam=.xorgxrdp.%s.log\n");
	strbuf_puts(&b, in->desks ? OWN_NAMES : "");
	strbuf_puts(&b, "\n[Xvnc]\nparam=Xvnc\nparam=-bs\nparam=-nolisten\nparam=tcp\nparam=-localhost\n"
			"param=-dpi\nparam=96\n");
	strbuf_puts(&b, in->desks ? OWN_NAMES "param=-rfbport\nparam=-1\nparam=-rfbunixmode\nparam=0660\n"
					      "param=-rfbunixpath\nparam=" PRELOAD_VNC_SOCKET "\n" :
				    "");
	strbuf_puts(&b, "\n[Chansrv]\nFuseMountName=thinclient_drives\nFileUmask=077\n");
	bool fuse =
	    str_eq(flag(s, "channels.drive", true), "true") || str_eq(flag(s, "channels.clipboard", true), "true");
	strbuf_printf(&b, "EnableFuseMount=%s\n", fuse ? "true" : "false");
	strbuf_puts(&b, "\n[ChansrvLogging]\nLogLevel=WARNING\nEnableSyslog=false\n\n[ChansrvLoggingPerLogger]\n"
			"\n[SessionVariables]\nPULSE_SCRIPT=/etc/xrdp/pulse/default.pa\n");
	return strbuf_take(&b);
}
