#include "host/system_xrdp/key_table.h"

static const char *const layers[] = { "negotiate", "tls", "rdp", "hybrid", NULL };
static const char *const crypt_levels[] = { "none", "low", "medium", "high", "fips", NULL };
static const char *const protocols[] = { "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", NULL };
static const char *const fastpaths[] = { "input", "output", "both", "none", NULL };
static const char *const levels[] = { "CORE", "ERROR", "WARN", "WARNING", "INFO", "DEBUG", "TRACE", "0", "1", "2", "3", "4", NULL };
static const char *const transforms[] = { "none", "scale", "zoom", NULL };
static const char *const libraries[] = { "libxup.so", "libvnc.so", "libxrdpneutrinordp.so", "libmc.so", "librdp.so", NULL };
static const char *const policies[] = { "Default", "UBD", "UBI", "UBC", "UBDI", "UBDC", NULL };
static const char *const outbound[] = { "none", "all", "text", "file", "image", "true", "false", "yes", "no", NULL };

#define G "Globals"
#define B(s, k) { s, k, HC_BOOL, 0, 0, NULL, 0 }
#define I(s, k, lo, hi) { s, k, HC_INT, lo, hi, NULL, 0 }
#define HEX(s, k) { s, k, HC_HEX, 0, 0, NULL, 0 }
#define COLOUR(k) { G, k, HC_COLOUR, 0, 0, NULL, 0 }
#define ONE(s, k, v) { s, k, HC_CHOICE, 0, 0, v, 0 }
#define SOME(s, k, v) { s, k, HC_CHOICES, 0, 0, v, 0 }
#define T(s, k) { s, k, HC_TEXT, 0, 255, NULL, 0 }
#define PATH(s, k, p) { s, k, HC_PATH, 0, 255, NULL, p }
#define PIXELS(k) I(G, k, 0, 8192)
#define LOGGING(s, per)                                                                                                \
	PATH(s, "LogFile", AT_LOG | AT_PLAIN), ONE(s, "LogLevel", levels), B(s, "EnableSyslog"),                       \
		ONE(s, "SyslogLevel", levels), B(s, "EnableConsole"), ONE(s, "ConsoleLevel", levels),                  \
		B(s, "EnableProcessId"), ONE(per, "*", levels)

const struct hostcfg_key hostcfg_xrdp_keys[] = {
	I(G, "ini_version", 1, 1),
	B(G, "fork"),
	{ G, "port", HC_LISTEN, 1, 65535, NULL, 0 },
	B(G, "use_vsock"),
	B(G, "tcp_nodelay"),
	B(G, "tcp_keepalive"),
	I(G, "tcp_send_buffer_bytes", 0, 16777216),
	I(G, "tcp_recv_buffer_bytes", 0, 16777216),
	ONE(G, "security_layer", layers),
	ONE(G, "crypt_level", crypt_levels),
	PATH(G, "certificate", AT_CONFIG | AT_TLS | ABSOLUTE),
	PATH(G, "key_file", AT_CONFIG | AT_TLS | ABSOLUTE),
	SOME(G, "ssl_protocols", protocols),
	T(G, "tls_ciphers"),
	T(G, "domain_user_separator"),
	HEX(G, "xrdp.override_keyboard_type"),
	HEX(G, "xrdp.override_keyboard_subtype"),
	HEX(G, "xrdp.override_keylayout"),
	T(G, "autorun"),
	B(G, "allow_channels"),
	B(G, "allow_multimon"),
	B(G, "bitmap_cache"),
	B(G, "bitmap_compression"),
	B(G, "bulk_compression"),
	B(G, "hidelogwindow"),
	I(G, "max_bpp", 8, 32),
	I(G, "rfx_min_pixel", 0, 67108864),
	B(G, "new_cursors"),
	ONE(G, "use_fastpath", fastpaths),
	B(G, "require_credentials"),
	B(G, "enable_token_login"),
	T(G, "pamerrortxt"),
	COLOUR("black"),
	COLOUR("grey"),
	COLOUR("dark_grey"),
	COLOUR("blue"),
	COLOUR("dark_blue"),
	COLOUR("white"),
	COLOUR("red"),
	COLOUR("green"),
	COLOUR("background"),
	T(G, "ls_title"),
	COLOUR("ls_top_window_bg_color"),
	COLOUR("ls_bg_color"),
	PIXELS("ls_width"),
	PIXELS("ls_height"),
	PATH(G, "ls_background_image", AT_CONFIG | AT_SHARE),
	ONE(G, "ls_background_transform", transforms),
	PATH(G, "ls_logo_filename", AT_CONFIG | AT_SHARE),
	ONE(G, "ls_logo_transform", transforms),
	PIXELS("ls_logo_width"),
	PIXELS("ls_logo_height"),
	PIXELS("ls_logo_x_pos"),
	PIXELS("ls_logo_y_pos"),
	PIXELS("ls_label_x_pos"),
	PIXELS("ls_label_width"),
	PIXELS("ls_input_x_pos"),
	PIXELS("ls_input_width"),
	PIXELS("ls_input_y_pos"),
	PIXELS("ls_btn_ok_x_pos"),
	PIXELS("ls_btn_ok_y_pos"),
	PIXELS("ls_btn_ok_width"),
	PIXELS("ls_btn_ok_height"),
	PIXELS("ls_btn_cancel_x_pos"),
	PIXELS("ls_btn_cancel_y_pos"),
	PIXELS("ls_btn_cancel_width"),
	PIXELS("ls_btn_cancel_height"),
	LOGGING("Logging", "LoggingPerLogger"),
	B("Channels", "rdpdr"),
	B("Channels", "rdpsnd"),
	B("Channels", "drdynvc"),
	B("Channels", "cliprdr"),
	B("Channels", "rail"),
	B("Channels", "xrdpvr"),
	B("Channels", "tcutils"),
	T("*", "name"),
	ONE("*", "lib", libraries),
	T("*", "ip"),
	{ "*", "port", HC_PORT, -1, 65535, NULL, 0 },
	{ "*", "chansrvport", HC_TEXT, 0, 64, NULL, 0 },
	T("*", "username"),
	{ "*", "password", HC_SECRET, 0, 255, NULL, 0 },
	T("*", "pamusername"),
	{ "*", "pampassword", HC_SECRET, 0, 255, NULL, 0 },
	T("*", "pamsessionmng"),
	I("*", "code", 0, 20),
	I("*", "xserverbpp", 8, 32),
	I("*", "delay_ms", 0, 60000),
	HEX("*", "disabled_encodings_mask"),
	B("*", "enable_dynamic_resizing"),
	B("*", "perf.allow_client_experiencesettings"),
	B("*", "perf.wallpaper"),
	B("*", "perf.font_smoothing"),
	B("*", "perf.desktop_composition"),
	B("*", "perf.full_window_drag"),
	B("*", "perf.menu_anims"),
	B("*", "perf.themes"),
	B("*", "perf.cursor_blink"),
	B("*", "perf.cursor_shadow"),
	B("*", "neutrinordp.allow_client_keyboardLayout"),
	HEX("*", "neutrinordp.override_keyboardLayout_mask"),
	HEX("*", "neutrinordp.override_kbd_type"),
	HEX("*", "neutrinordp.override_kbd_subtype"),
	HEX("*", "neutrinordp.override_kbd_fn_keys"),
	HEX("*", "neutrinordp.override_kbd_layout"),
	B("*", "channel.rdpdr"),
	B("*", "channel.rdpsnd"),
	B("*", "channel.drdynvc"),
	B("*", "channel.cliprdr"),
	B("*", "channel.rail"),
	B("*", "channel.xrdpvr"),
	B("*", "channel.tcutils"),
};
const size_t hostcfg_xrdp_keys_n = ARRAY_LEN(hostcfg_xrdp_keys);
const char *const hostcfg_xrdp_sections[] = { "Globals", "Logging", "LoggingPerLogger", "Channels", NULL };

const struct hostcfg_key hostcfg_sesman_keys[] = {
	T(G, "ListenAddress"),
	I(G, "ListenPort", 1, 65535),
	B(G, "EnableUserWindowManager"),
	PATH(G, "UserWindowManager", AT_PLAIN),
	PATH(G, "DefaultWindowManager", AT_CONFIG),
	PATH(G, "ReconnectScript", AT_CONFIG),
	PATH(G, "AuthFilePath", AT_PLAIN),
	B("Security", "AllowRootLogin"),
	I("Security", "MaxLoginRetry", 0, 100),
	T("Security", "TerminalServerUsers"),
	T("Security", "TerminalServerAdmins"),
	B("Security", "AlwaysGroupCheck"),
	SOME("Security", "RestrictOutboundClipboard", outbound),
	SOME("Security", "RestrictInboundClipboard", outbound),
	I("Sessions", "X11DisplayOffset", 0, 59000),
	I("Sessions", "MaxSessions", 1, 1000),
	B("Sessions", "KillDisconnected"),
	I("Sessions", "DisconnectedTimeLimit", 0, 31536000),
	I("Sessions", "IdleTimeLimit", 0, 31536000),
	ONE("Sessions", "Policy", policies),
	LOGGING("Logging", "LoggingPerLogger"),
	{ "Xorg", "param", HC_PARAMS, 0, 255, NULL, 0 },
	{ "Xvnc", "param", HC_PARAMS, 0, 255, NULL, 0 },
	{ "X11rdp", "param", HC_PARAMS, 0, 255, NULL, 0 },
	PATH("Chansrv", "FuseMountName", AT_MOUNT | AT_PLAIN),
	HEX("Chansrv", "FileUmask"),
	B("Chansrv", "EnableFuseMount"),
	B("Chansrv", "UseNautilus3FlistFormat"),
	LOGGING("ChansrvLogging", "ChansrvLoggingPerLogger"),
	{ "SessionVariables", "*", HC_ENV, 0, 255, NULL, 0 },
};
const size_t hostcfg_sesman_keys_n = ARRAY_LEN(hostcfg_sesman_keys);
const char *const hostcfg_sesman_sections[] = { "Globals", "Security", "Sessions", "Logging", "LoggingPerLogger", "Xorg",
						"Xvnc", "X11rdp", "Chansrv", "ChansrvLogging", "ChansrvLoggingPerLogger",
						"SessionVariables", NULL };
