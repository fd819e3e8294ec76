#include "host/logs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lucid/str.h"

#define STAMP_LEN 19 /* "[20261121-10:00:00]" */
#define FILES_MAX 4

/* One file's end, as lines that are walked from the last to the first. */
struct tail {
	char *text;
	size_t end;	   /* what lies before is still to be shown */
	size_t line, line_len; /* the line that is next */
	const char *stamp; /* of that line, or of the one it belongs to; NULL: none before it */
	bool any;
};

int logs_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)))
		fd_close(&fd);
	return fd;
}

static char *read_end(const char *path, size_t *ret_len)
{
	_cleanup_(closep) int fd = logs_open(path);
	struct stat st;
	*ret_len = 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	off_t from = MAX(st.st_size - LOGS_FILE_MAX, 0);
	char *text = xmalloc(LOGS_FILE_MAX + 1);
	ssize_t n = pread(fd, text, LOGS_FILE_MAX, from);
	size_t len = n > 0 ? (size_t)n : 0, cut = 0;
	/* begun in the middle of a line: leave that one out */
	while (from && cut < len && text[cut++] != '\n')
		;
	memmove(text, text + cut, len - cut);
	len -= cut;
	text[len] = 0;
	*ret_len = len;
	return text;
}

static bool is_stamp(const char *line, size_t len)
{
	static const char form[] = "[00000000-00:00:00]";
	if (len < STAMP_LEN)
		return false;
	for (size_t i = 0; i < STAMP_LEN; i++)
		if (form[i] == '0' ? line[i] < '0' || line[i] > '9' : line[i] != form[i])
			return false;
	return true;
}

/* Find the line that ends at t->end, and the time it stands under. */
static void look(struct tail *t)
{
	t->any = t->end > 0;
	if (!t->any)
		return;
	size_t last = t->text[t->end - 1] == '\n' ? t->end - 1 : t->end, first = last;
	while (first > 0 && t->text[first - 1] != '\n')
		first--;
	t->line = first;
	t->line_len = last - first;
	t->stamp = NULL;
	for (size_t at = first;;) {
		size_t stop = at;
		while (stop < t->end && t->text[stop] != '\n')
			stop++;
		if (is_stamp(t->text + at, stop - at)) {
			t->stamp = t->text + at;
			return;
		}
		if (at == 0)
			return;
		for (at--; at > 0 && t->text[at - 1] != '\n';)
			at--;
	}
}

static json_t *clean(const char *line, size_t len)
{
	_cleanup_(xfreep) char *s = xstrndup("", 0);
	s = xrealloc(s, MIN(len, (size_t)LOGS_LINE_MAX) + 1);
	len = MIN(len, (size_t)LOGS_LINE_MAX);
	memcpy(s, line, len);
	while (len && s[len - 1] == '\r')
		len--;
	s[len] = 0;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			s[i] = s[i] == '\t' ? ' ' : '?';
	/* a cut character at the end or a wrong one anywhere: what is not ASCII goes */
	if (!str_utf8(s, len, NULL))
		for (size_t i = 0; i < len; i++)
			if ((unsigned char)s[i] >= 0x80)
				s[i] = '?';
	return json_stringn(s, len);
}

/* The newer of two lines; where the times are the same the later file's. */
static bool newer(const struct tail *a, const struct tail *b)
{
	if (!a->any || !b->any)
		return a->any;
	if (!a->stamp || !b->stamp)
		return a->stamp != NULL;
	return memcmp(a->stamp, b->stamp, STAMP_LEN) > 0;
}

json_t *logs_newest(const char *const *paths, size_t n, size_t lines)
{
	struct tail tails[FILES_MAX] = { 0 };
	json_t *list = json_array();
	n = MIN(n, (size_t)FILES_MAX);
	for (size_t i = 0; i < n; i++) {
		tails[i].text = read_end(paths[i], &tails[i].end);
		look(&tails[i]);
	}
	_cleanup_(xfreep) json_t **back = xcalloc(lines, sizeof *back);
	size_t got = 0;
	while (got < lines) {
		struct tail *best = &tails[0];
		for (size_t i = 1; i < n; i++)
			best = newer(best, &tails[i]) ? best : &tails[i];
		if (!best->any)
			break;
		back[got++] = clean(best->text + best->line, best->line_len);
		best->end = best->line;
		look(best);
	}
	while (got)
		json_array_append_new(list, back[--got]);
	for (size_t i = 0; i < n; i++)
		free(tails[i].text);
	return list;
}
