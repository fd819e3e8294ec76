#include "sys/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/str.h"

#define BUFFER_MAX (4u << 20)
#define FLUSH_AT (64u << 10)

static struct {
	pthread_mutex_t lock;
	enum log_level level;
	enum log_format format;
	int fd;
	bool regular;
	int old[LOG_OLD];
	size_t nold;
	off_t room; /* that may still be written before the size is looked at */
	struct strbuf buf;
	struct loop *loop;
	pthread_t loop_thread;
	struct loop_task task;
	uint64_t dropped;
	bool (*sink)(const char *line, size_t len, void *arg);
	void *sink_arg;
} g = { .lock = PTHREAD_MUTEX_INITIALIZER, .level = LOG_INFO_, .format = LOG_TEXT, .fd = 2, .buf.max = BUFFER_MAX };

static const char *const names[] = { "DEBUG", "INFO", "WARNING", "ERROR" };

static bool copy_all(int from, int to)
{
	char buf[65536];
	ssize_t n;
	if (ftruncate(to, 0) < 0)
		return false;
	for (off_t at = 0; (n = pread(from, buf, sizeof buf, at)) > 0; at += n)
		if (write(to, buf, (size_t)n) != n) /* it appends */
			return false;
	return n == 0;
}

/* What cannot be copied is kept where it is, and tried again after as much again. */
static void rotate_locked(void)
{
	struct stat st;
	bool ok = fstat(g.fd, &st) == 0;
	g.room = ok && st.st_size < LOG_FILE_BYTES ? LOG_FILE_BYTES - st.st_size : 0;
	if (!ok || (size_t)g.room >= g.buf.len || !st.st_size)
		return;
	g.room = LOG_FILE_BYTES;
	for (size_t i = g.nold; ok && i-- > 0;)
		ok = copy_all(i ? g.old[i - 1] : g.fd, g.old[i]);
	if (ok && ftruncate(g.fd, 0) < 0)
		g.room = 0;
}

/* Write what the reader takes without waiting: all of it to a file, at most a pipe's guaranteed room otherwise. */
static void flush_locked(void)
{
	size_t done = 0;
	if (g.nold && (off_t)g.buf.len > g.room)
		rotate_locked();
	while (done < g.buf.len) {
		size_t n = g.buf.len - done;
		if (!g.regular) {
			struct pollfd p = { .fd = g.fd, .events = POLLOUT };
			if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
				break;
			n = MIN(n, 4096);
		}
		ssize_t w = write(g.fd, g.buf.s + done, n);
		if (w <= 0)
			break;
		done += (size_t)w;
		g.room -= w;
	}
	size_t left = g.buf.len - done;
	if (left && done)
		memmove(g.buf.s, g.buf.s + done, left);
	if (left && g.regular) { /* a full disk: drop, count, go on */
		g.dropped++;
		left = 0;
	}
	g.buf.len = left;
	g.buf.overflow = false;
}

static void on_turn_end(UNUSED struct loop_task *t)
{
	log_flush();
}

void log_flush(void)
{
	pthread_mutex_lock(&g.lock);
	flush_locked();
	pthread_mutex_unlock(&g.lock);
}

void log_setup(enum log_level level, enum log_format format, int fd)
{
	struct stat st;
	g.level = level;
	g.format = format;
	g.fd = fd;
	g.regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	g.nold = 0;
}

void log_setup_old(const int fds[LOG_OLD])
{
	memcpy(g.old, fds, sizeof g.old);
	g.nold = LOG_OLD;
	g.room = 0;
}

size_t log_fds(int ret[1 + LOG_OLD])
{
	ret[0] = g.fd;
	memcpy(ret + 1, g.old, g.nold * sizeof *ret);
	return 1 + g.nold;
}

void log_set_level(enum log_level level)
{
	g.level = level;
}

void log_attach(struct loop *l)
{
	log_flush();
	if (g.loop)
		loop_undefer(&g.task);
	g.loop = l;
	g.loop_thread = pthread_self();
	loop_task_init(&g.task, on_turn_end);
}

void log_redirect(bool (*sink)(const char *line, size_t len, void *arg), void *arg)
{
	g.sink = sink;
	g.sink_arg = arg;
}

uint64_t log_dropped(void)
{
	return g.dropped;
}

bool log_enabled(enum log_level level)
{
	return level >= g.level;
}

bool log_level_from_string(const char *s, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcasecmp(s, names[i]) || (i == LOG_WARN_ && !strcasecmp(s, "WARN"))) {
			*ret = (enum log_level)i;
			return true;
		}
	return false;
}

/* Called with the lock held and a whole line at the end of the buffer, which began at `start`. */
static void line_done(size_t start, bool now)
{
	if (g.buf.overflow) { /* no room: the line goes, the count stays */
		g.buf.len = start;
		g.buf.overflow = false;
		g.dropped++;
	} else if (g.sink && g.sink(g.buf.s + start, g.buf.len - start, g.sink_arg)) {
		g.buf.len = start;
		return;
	}
	if (!g.loop || now || g.buf.len > FLUSH_AT || !pthread_equal(g.loop_thread, pthread_self()))
		flush_locked();
	else
		loop_defer(g.loop, &g.task);
}

static void add_text(struct strbuf *b, enum log_level level, const char *service, const char *request_id,
		     const struct log_field *fields, const char *message)
{
	char iso[CLOCK_ISO_SIZE];
	strbuf_printf(b, "%s - %s - %s - ", clock_iso(iso, clock_wall_ms()), service, names[level]);
	size_t from = b->len;
	strbuf_puts(b, message);
	for (const struct log_field *f = fields; f && f->name; f++)
		if (f->value)
			strbuf_printf(b, " %s=%s", f->name, f->value);
	if (request_id)
		strbuf_printf(b, " request_id=%s", request_id);
	for (size_t i = from; i < b->len; i++) /* one event is one line, whatever it quotes */
		if ((unsigned char)b->s[i] < 0x20 || b->s[i] == 0x7f)
			b->s[i] = ' ';
	strbuf_putc(b, '\n');
}

static void add_json(struct strbuf *b, enum log_level level, const char *service, const char *request_id,
		     const struct log_field *fields, const char *message)
{
	char iso[CLOCK_ISO_SIZE];
	strbuf_printf(b, "{\"time\":\"%s\",\"level\":\"%s\",\"service\":\"%s\",\"message\":", clock_iso(iso, clock_wall_ms()),
		      names[level], service);
	strbuf_json(b, message);
	if (request_id) {
		strbuf_puts(b, ",\"request_id\":");
		strbuf_json(b, request_id);
	}
	for (const struct log_field *f = fields; f && f->name; f++)
		if (f->value) {
			strbuf_printf(b, ",\"%s\":", f->name);
			strbuf_json(b, f->value);
		}
	strbuf_puts(b, "}\n");
}

void log_write(enum log_level level, const char *service, const char *request_id, const struct log_field *fields,
	       const char *fmt, ...)
{
	if (level < g.level)
		return;
	va_list ap;
	va_start(ap, fmt);
	_cleanup_(xfreep) char *message = xvasprintf(fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&g.lock);
	size_t start = g.buf.len;
	(g.format == LOG_JSON ? add_json : add_text)(&g.buf, level, service, request_id, fields, message);
	line_done(start, level >= LOG_WARN_);
	pthread_mutex_unlock(&g.lock);
}

void log_raw(const char *line, size_t len)
{
	pthread_mutex_lock(&g.lock);
	size_t start = g.buf.len;
	strbuf_add(&g.buf, line, len);
	line_done(start, false);
	pthread_mutex_unlock(&g.lock);
}

static char *put(char *p, const char *end, const char *s)
{
	size_t n = MIN(strlen(s), (size_t)(end - p));
	memcpy(p, s, n);
	return p + n;
}

/* Milliseconds with three digits behind the point. */
static char *put_ms(char *p, int64_t us)
{
	p += str_fmt_u64(p, (uint64_t)us / 1000);
	unsigned rest = (unsigned)(us % 1000);
	*p++ = '.';
	*p++ = (char)('0' + rest / 100);
	*p++ = (char)('0' + rest / 10 % 10);
	*p++ = (char)('0' + rest % 10);
	return p;
}

void log_access(const struct log_access *a)
{
	if (LOG_INFO_ < g.level)
		return;
	/* the caller's strings are templates, checked ids and token subjects without control characters; only the subject may
	 * hold what JSON must escape */
	char line[1200], iso[CLOCK_ISO_SIZE];
	char *p = line;
	const char *end = line + sizeof line - 64;
	bool json = g.format == LOG_JSON;
	struct strbuf subject = { 0 };
	if (json)
		strbuf_json(&subject, a->principal);
	clock_iso(iso, clock_wall_ms());
	struct {
		const char *key, *text, *value;
	} part[] = {
		{ "{\"time\":\"", "", iso },
		{ "\",\"level\":\"INFO\",\"service\":\"", " - ", a->service },
		{ "\",\"message\":\"request\",\"method\":\"", " - INFO - ", a->method },
		{ "\",\"endpoint\":\"", " ", a->endpoint },
		{ "\",\"request_id\":\"", " request_id=", a->request_id },
		{ "\",\"client\":\"", " client=", a->client },
		{ "\",\"principal\":", " principal=", json ? subject.s : a->principal },
	};
	for (size_t i = 0; i < ARRAY_LEN(part); i++) {
		p = put(p, end, json ? part[i].key : part[i].text);
		p = put(p, end, part[i].value);
	}
	p = put(p, end, json ? ",\"status\":" : " status=");
	p += str_fmt_u64(p, (uint64_t)a->status);
	p = put(p, end, json ? ",\"bytes\":" : " bytes=");
	p += str_fmt_u64(p, a->bytes);
	p = put(p, end, json ? ",\"duration_ms\":" : " duration_ms=");
	p = put_ms(p, a->duration_us);
	p = put(p, line + sizeof line, json ? "}\n" : "\n");
	strbuf_done(&subject);
	log_raw(line, (size_t)(p - line));
}
