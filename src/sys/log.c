#include "sys/log.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "sys/thread.h"

#define BUFFER_MAX (4u << 20)
#define FLUSH_AT (64u << 10)
#define LOOK_EVERY (16 << 10) /* bytes between two checks of the size: the supervisor writes to the same file */

static struct {
	pthread_mutex_t lock;
	enum log_level level;
	enum log_format format;
	int fd;
	bool regular;
	bool cut; /* the file ends in the middle of a line */
	int old[LOG_OLD];
	size_t nold;
	pthread_cond_t copied;
	bool copying; /* a thread is copying the file to the old ones */
	int (*more)(void *arg);
	void *more_arg;
	off_t room; /* bytes that may be written before the size is checked again */
	struct strbuf buf;
	struct loop *loop;
	pthread_t loop_thread;
	struct loop_task task;
	uint64_t dropped;
	bool (*sink)(const char *line, size_t len, void *arg);
	void *sink_arg;
} g = { .lock = PTHREAD_MUTEX_INITIALIZER, .copied = PTHREAD_COND_INITIALIZER, .level = LOG_INFO_, .format = LOG_TEXT, .fd = 2, .buf.max = BUFFER_MAX };

static const char *const names[] = { "DEBUG", "INFO", "WARNING", "ERROR" };

/* Appends the content of `from`, from offset `at` to the end, to `to`. Returns the offset of the end, or -1. */
static off_t copy_from(int from, int to, off_t at)
{
	char buf[65536];
	ssize_t n;
	for (; (n = pread(from, buf, sizeof buf, at)) > 0; at += n)
		if (write(to, buf, (size_t)n) != n)
			return -1;
	return n < 0 ? -1 : at;
}

/* Rotates by copying. Meanwhile lines are written to the file; only the last, short piece is copied with the lock held. If copying
 * fails, the file is kept, and rotation is tried again after another LOG_FILE_BYTES. */
static void *copy_old(UNUSED void *arg)
{
	struct stat st;
	off_t at = -1;
	bool ok = ftruncate(g.old[1], 0) == 0 && copy_from(g.old[0], g.old[1], 0) >= 0 && ftruncate(g.old[0], 0) == 0;
	if (ok)
		at = copy_from(g.fd, g.old[0], 0);
	while (at >= 0 && fstat(g.fd, &st) == 0 && st.st_size - at > (off_t)FLUSH_AT)
		at = copy_from(g.fd, g.old[0], at);
	pthread_mutex_lock(&g.lock);
	if (at >= 0 && copy_from(g.fd, g.old[0], at) >= 0 && ftruncate(g.fd, 0) == 0)
		g.room = 0;
	g.copying = false;
	pthread_cond_broadcast(&g.copied);
	pthread_mutex_unlock(&g.lock);
	return NULL;
}

static void copy_begin_locked(void)
{
	pthread_t thread;
	if (g.copying)
		return;
	g.copying = true;
	if (thread_start(&thread, "log-copy", 0, copy_old, NULL) == 0)
		pthread_detach(thread);
	else
		g.copying = false;
}

static void replace_locked(int fd)
{
	if (dup3(fd, g.fd, O_CLOEXEC) < 0)
		return;
	g.room = 0;
	g.cut = false;
}

static void rotate_locked(void)
{
	struct stat st;
	bool ok = fstat(g.fd, &st) == 0;
	off_t left = ok && st.st_size < LOG_FILE_BYTES ? LOG_FILE_BYTES - st.st_size : 0;
	g.room = MIN(left, LOOK_EVERY);
	if (!ok || (size_t)left >= g.buf.len || !st.st_size)
		return;
	g.room = LOG_FILE_BYTES; /* until the next attempt, in case this one fails */
	_cleanup_(closep) int fd = g.more ? g.more(g.more_arg) : -1;
	if (fd >= 0)
		replace_locked(fd);
	else if (g.nold)
		copy_begin_locked();
}

static size_t count_lines(const char *text, size_t len)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

/* What follows a line that was written in part begins on a line of its own. */
static void end_cut_line_locked(void)
{
	if (g.cut && g.buf.len && write(g.fd, "\n", 1) == 1) {
		g.cut = false;
		g.room--;
	}
}

/* Writes without blocking: to a file everything; to a pipe or socket at most 4096 bytes for each poll, which a writable pipe accepts. */
static void flush_locked(void)
{
	size_t done = 0;
	if (g.regular && (g.more || g.nold) && (off_t)g.buf.len > g.room)
		rotate_locked();
	end_cut_line_locked();
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
	if (g.regular && done)
		g.cut = g.buf.s[done - 1] != '\n';
	if (left && done)
		memmove(g.buf.s, g.buf.s + done, left);
	if (left && g.regular) { /* the disk is full: drop the lines and count them, with one that was written in part */
		g.dropped += count_lines(g.buf.s, left);
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
	pthread_mutex_lock(&g.lock);
	while (g.copying) /* the caller may close the previous files when this returns */
		pthread_cond_wait(&g.copied, &g.lock);
	g.level = level;
	g.format = format;
	g.fd = fd;
	g.cut = false;
	g.regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	g.nold = 0;
	g.more = NULL;
	g.room = 0;
	pthread_mutex_unlock(&g.lock);
}

void log_setup_more(int (*more)(void *arg), void *arg)
{
	pthread_mutex_lock(&g.lock);
	g.more = more;
	g.more_arg = arg;
	g.room = 0;
	pthread_mutex_unlock(&g.lock);
}

void log_replace(int consume_fd)
{
	pthread_mutex_lock(&g.lock);
	flush_locked();
	replace_locked(consume_fd);
	pthread_mutex_unlock(&g.lock);
	close(consume_fd);
}

/* The supervisor does not rotate at the server's request alone: the file must really be almost full. */
bool log_is_full(void)
{
	struct stat st;
	return g.regular && fstat(g.fd, &st) == 0 && st.st_size >= LOG_FILE_BYTES - (off_t)(2 * FLUSH_AT);
}

void log_setup_old(const int fds[LOG_OLD])
{
	pthread_mutex_lock(&g.lock);
	memcpy(g.old, fds, sizeof g.old);
	g.nold = LOG_OLD;
	g.room = 0;
	pthread_mutex_unlock(&g.lock);
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

/* Called with the lock held, after a whole line was added to the buffer at `start`. */
static void line_done(size_t start, bool now)
{
	if (g.buf.overflow) { /* the buffer is full: drop the line and count it */
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
	for (size_t i = from; i < b->len; i++) /* an event is always one line, even if it quotes line breaks */
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

static char *line_put(char *p, const char *end, const char *s)
{
	size_t n = MIN(strlen(s), (size_t)(end - p));
	memcpy(p, s, n);
	return p + n;
}

/* Milliseconds with three decimal places. */
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
	if ((a->quiet ? LOG_DEBUG_ : LOG_INFO_) < g.level)
		return;
	/* the strings are route templates, checked ids and token subjects, all without control characters; only the subject may contain
	 * characters that JSON must escape */
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
		{ a->quiet ? "\",\"level\":\"DEBUG\",\"service\":\"" : "\",\"level\":\"INFO\",\"service\":\"", " - ", a->service },
		{ "\",\"message\":\"request\",\"method\":\"", a->quiet ? " - DEBUG - " : " - INFO - ", a->method },
		{ "\",\"endpoint\":\"", " ", a->endpoint },
		{ "\",\"request_id\":\"", " request_id=", a->request_id },
		{ "\",\"client\":\"", " client=", a->client },
		{ "\",\"principal\":", " principal=", json ? subject.s : a->principal },
	};
	for (size_t i = 0; i < ARRAY_LEN(part); i++) {
		p = line_put(p, end, json ? part[i].key : part[i].text);
		p = line_put(p, end, part[i].value);
	}
	p = line_put(p, end, json ? ",\"status\":" : " status=");
	p += str_fmt_u64(p, (uint64_t)a->status);
	p = line_put(p, end, json ? ",\"bytes\":" : " bytes=");
	p += str_fmt_u64(p, a->bytes);
	p = line_put(p, end, json ? ",\"duration_ms\":" : " duration_ms=");
	p = put_ms(p, a->duration_us);
	p = line_put(p, line + sizeof line, json ? "}\n" : "\n");
	strbuf_done(&subject);
	log_raw(line, (size_t)(p - line));
}
