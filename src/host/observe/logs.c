#include "host/observe/logs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lucid/str.h"
#include "lucid/text.h"

#define STAMP_LEN 19 /* "[20261121-10:00:00]" */
#define FILES_MAX 4

/* The end of one file, read from its last line backwards. */
struct tail {
	char *text;
	size_t end;	   /* the text before this is still to be shown */
	size_t line, line_len; /* the next line */
	const char *stamp; /* of that line, or of the one before it that has a time; NULL: none has */
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
	/* starts within a line, which is left out */
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

/* Finds the line that ends at t->end, and its time. */
static void find_line(struct tail *t)
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
	/* a truncated, invalid or invisible character: all non-ASCII bytes are replaced */
	if (!str_utf8(s, len, NULL) || text_unfit(s, TEXT_NAME))
		for (size_t i = 0; i < len; i++)
			if ((unsigned char)s[i] >= 0x80)
				s[i] = '?';
	return json_stringn(s, len);
}

/* Whether the line of a is newer; with equal times, that of the later file is. */
static bool newer(const struct tail *a, const struct tail *b)
{
	if (!a->any || !b->any)
		return a->any;
	if (!a->stamp || !b->stamp)
		return a->stamp != NULL;
	return memcmp(a->stamp, b->stamp, STAMP_LEN) > 0;
}

json_t *logs_newest(const struct logs_file *files, size_t n, size_t lines)
{
	struct tail tails[FILES_MAX] = { 0 };
	json_t *list = json_array(), *sources = json_array(), *out = json_object();
	n = MIN(n, (size_t)FILES_MAX);
	for (size_t i = 0; i < n; i++) {
		tails[i].text = read_end(files[i].path, &tails[i].end);
		find_line(&tails[i]);
	}
	_cleanup_(xfreep) json_t **back = xcalloc(lines, sizeof *back);
	_cleanup_(xfreep) size_t *of = xcalloc(lines, sizeof *of);
	size_t got = 0;
	while (got < lines) {
		struct tail *best = &tails[0];
		for (size_t i = 1; i < n; i++)
			best = newer(best, &tails[i]) ? best : &tails[i];
		if (!best->any)
			break;
		of[got] = (size_t)(best - tails);
		back[got++] = clean(best->text + best->line, best->line_len);
		best->end = best->line;
		find_line(best);
	}
	while (got) {
		json_array_append_new(sources, json_string(files[of[--got]].source));
		json_array_append_new(list, back[got]);
	}
	for (size_t i = 0; i < n; i++)
		free(tails[i].text);
	doc_set(out, "lines", list);
	doc_set(out, "sources", sources);
	return out;
}
