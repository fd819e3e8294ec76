#include "lucid/rdp_file.h"

#include "lucid/fold.h"

/* Bytes of a control character (C0, DEL, C1) or of a line or paragraph separator at s; 0: another character. */
static size_t line_breaker(const unsigned char *s)
{
	if (*s < 0x20 || *s == 0x7f)
		return 1;
	if (s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f)
		return 2;
	return s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0xa8 || s[2] == 0xa9) ? 3 : 0;
}

static void rdp_value(struct strbuf *b, const char *value)
{
	const unsigned char *p = (const unsigned char *)value;
	while (*p) {
		size_t n = line_breaker(p);
		if (!n)
			strbuf_putc(b, (char)*p);
		p += n ? n : 1;
	}
}

static void rdp_number(struct strbuf *b, const char *name, int64_t value)
{
	strbuf_printf(b, "%s:i:%lld\r\n", name, (long long)value);
}

static void write_address(struct strbuf *b, const struct rdp_file *f)
{
	bool v6 = strchr(f->host, ':') && f->host[0] != '[';
	strbuf_puts(b, v6 ? "full address:s:[" : "full address:s:");
	rdp_value(b, f->host);
	strbuf_printf(b, "%s:%d\r\n", v6 ? "]" : "", f->port);
}

static void write_user(struct strbuf *b, const struct rdp_file *f)
{
	if (!f->username || !*f->username)
		return;
	strbuf_puts(b, "username:s:");
	if (f->domain && *f->domain) {
		rdp_value(b, f->domain);
		strbuf_putc(b, '\\');
	}
	rdp_value(b, f->username);
	strbuf_puts(b, "\r\n");
}

static void write_display(struct strbuf *b, const struct rdp_file *f)
{
	rdp_number(b, "screen mode id", 1);
	rdp_number(b, "use multimon", 0);
	if (f->width && f->height) {
		rdp_number(b, "desktopwidth", f->width);
		rdp_number(b, "desktopheight", f->height);
	}
	if (f->color_depth)
		rdp_number(b, "session bpp", f->color_depth);
	rdp_number(b, "dynamic resolution", f->dynamic_resolution);
}

static void unit(struct strbuf *b, uint32_t u)
{
	strbuf_putc(b, (char)(u & 0xff));
	strbuf_putc(b, (char)(u >> 8));
}

/* ASCII is unchanged; other text becomes UTF-16. */
static void rdp_file_encode(struct strbuf *b)
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

void rdp_file_write(struct strbuf *out, const struct rdp_file *f)
{
	static const int levels[] = { [RDP_FILE_CONNECT] = 0, [RDP_FILE_REFUSE] = 1, [RDP_FILE_WARN] = 2 };
	write_address(out, f);
	write_user(out, f);
	write_display(out, f);
	rdp_number(out, "redirectclipboard", f->clipboard);
	strbuf_puts(out, f->drives ? "drivestoredirect:s:*\r\n" : "drivestoredirect:s:\r\n");
	rdp_number(out, "audiomode", f->sound ? 0 : 2);
	rdp_number(out, "audiocapturemode", 0);
	rdp_number(out, "remoteapplicationmode", 0);
	rdp_number(out, "authentication level", levels[f->policy]);
	rdp_number(out, "enablecredsspsupport", f->nla);
	rdp_number(out, "negotiate security layer", 1);
	rdp_number(out, "prompt for credentials", 1);
	rdp_number(out, "compression", 1);
	rdp_number(out, "autoreconnection enabled", 1);
	rdp_file_encode(out);
}

void rdp_file_of_server(struct rdp_file *ret, const json_t *server)
{
	const json_t *display = json_object_get(server, "display"), *channels = json_object_get(server, "channels");
	*ret = (struct rdp_file){
		.port = (int)doc_int(server, "port", 3389),
		.width = (int)doc_int(display, "width", 1920),
		.height = (int)doc_int(display, "height", 1080),
		.color_depth = (int)doc_int(display, "color_depth", 24),
		.dynamic_resolution = doc_bool(channels, "dynamic", true),
		.clipboard = doc_bool(channels, "clipboard", true),
		.drives = doc_bool(channels, "drive", true),
		.sound = doc_bool(channels, "sound", true),
	};
}
