#include "roles/rdp-server-manager/connect/rdp_file.h"

#include "lucid/fold.h"
#include "lucid/shape.h"
#include "roles/rdp-server-manager/server/server.h"

static void text(struct strbuf *b, const char *name, const char *value)
{
	strbuf_printf(b, "%s:s:", name);
	for (; *value; value++)
		if ((unsigned char)*value >= 0x20 && *value != 0x7f)
			strbuf_putc(b, *value);
	strbuf_puts(b, "\r\n");
}

static void number(struct strbuf *b, const char *name, int64_t value)
{
	strbuf_printf(b, "%s:i:%lld\r\n", name, (long long)value);
}

const char *rdp_account(const char *const *map, const char *user)
{
	size_t n = strlen(user);
	for (; map && *map; map++) {
		const char *eq = strrchr(*map, '='); /* a user_id may contain '='; the account follows the last one */
		if (eq && (size_t)(eq - *map) == n && !strncmp(*map, user, n))
			return eq + 1;
	}
	return user;
}

void rdp_file_text(struct strbuf *b, const json_t *server, const char *host, const char *account)
{
	const json_t *display = json_object_get(server, "display"), *channels = json_object_get(server, "channels");
	bool v6 = strchr(host, ':') && host[0] != '[';
	struct strbuf a = { 0 };
	strbuf_printf(&a, "%s%s%s:%lld", v6 ? "[" : "", host, v6 ? "]" : "", (long long)doc_int(server, "port", 3389));
	text(b, "full address", a.s);
	strbuf_done(&a);
	const char *why;
	if (account && shape_format("account", account, &why))
		text(b, "username", account);
	number(b, "screen mode id", 1);
	number(b, "use multimon", 0);
	number(b, "desktopwidth", doc_int(display, "width", 1920));
	number(b, "desktopheight", doc_int(display, "height", 1080));
	number(b, "session bpp", doc_int(display, "color_depth", 24));
	number(b, "dynamic resolution", doc_bool(channels, "dynamic", true));
	number(b, "redirectclipboard", doc_bool(channels, "clipboard", true));
	text(b, "drivestoredirect", doc_bool(channels, "drive", true) ? "*" : "");
	number(b, "audiomode", doc_bool(channels, "sound", true) ? 0 : 2);
	number(b, "audiocapturemode", 0);
	number(b, "remoteapplicationmode", 0);
	number(b, "authentication level", 2);
	number(b, "enablecredsspsupport", 0);
	number(b, "negotiate security layer", str_eq(doc_str(json_object_get(server, "security"), "layer", ""), "negotiate"));
	number(b, "prompt for credentials", 1);
	number(b, "compression", 1);
	number(b, "autoreconnection enabled", 1);
}

static void unit(struct strbuf *b, uint32_t u)
{
	strbuf_putc(b, (char)(u & 0xff));
	strbuf_putc(b, (char)(u >> 8));
}

void rdp_file_encode(struct strbuf *b)
{
	struct strbuf wide = { 0 };
	const char *p = b->s;
	uint32_t c;
	size_t ascii = 0;
	while (ascii < b->len && !(b->s[ascii] & 0x80))
		ascii++;
	if (ascii == b->len)
		return;
	unit(&wide, 0xfeff);
	while ((c = fold_next(&p))) {
		if (c >= 0x10000)
			unit(&wide, 0xd800 + ((c - 0x10000) >> 10));
		unit(&wide, c >= 0x10000 ? 0xdc00 + ((c - 0x10000) & 0x3ff) : c);
	}
	strbuf_done(b);
	*b = wide;
}
