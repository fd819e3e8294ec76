#include "lucid/near.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "lucid/base.h"

#define NAME_MAX_LEN 64
#define WORDS_MAX 16
#define LONG_NAME 8
#define SHORTEST 4 /* a shorter name is one edit away from too many others */
#define SHORTEST_WORD 3 /* of a word that stands for a longer one */

/* Normalises: lower case, '_' between words, no leading dashes. Returns the length, or 0 if the name is too long. */
static size_t plain(const char *s, char out[NAME_MAX_LEN + 1])
{
	s += strspn(s, "-");
	size_t n = strlen(s);
	if (n > NAME_MAX_LEN)
		return 0;
	for (size_t i = 0; i <= n; i++)
		out[i] = s[i] == '-' ? '_' : (char)tolower((unsigned char)s[i]);
	return n;
}

/* Optimal string alignment: the Levenshtein distance, with a swap of adjacent letters as one edit. */
static unsigned distance(const char *a, size_t n, const char *b, size_t m)
{
	unsigned rows[3][NAME_MAX_LEN + 1];
	unsigned *before = rows[0], *last = rows[1], *now = rows[2];
	for (size_t j = 0; j <= m; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			now[j] = MIN(MIN(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = MIN(now[j], before[j - 2] + 1);
		}
		unsigned *spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[m];
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t words_of(char *s, char *words[WORDS_MAX])
{
	size_t n = 0;
	char *save = NULL;
	for (char *w = strtok_r(s, "_", &save); w && n < WORDS_MAX; w = strtok_r(NULL, "_", &save))
		words[n++] = w;
	qsort(words, n, sizeof *words, by_text);
	return n;
}

static bool same_words(char *a, char *b)
{
	char *x[WORDS_MAX], *y[WORDS_MAX];
	size_t n = words_of(a, x);
	if (n < 2 || n != words_of(b, y))
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(x[i], y[i]) != 0)
			return false;
	return true;
}

/* Whether a consists of the words of b in order, each abbreviated, spelt out or in the plural, without words of b at the end:
 * BIND_ADDR, DATA_DIRECTORY, TLS_CERT. */
static bool abbreviates(const char *a, const char *b)
{
	size_t words = 0;
	while (*a) {
		size_t n = strcspn(a, "_"), m = strcspn(b, "_"), least = MIN(n, m);
		if (!least || (n != m && least < SHORTEST_WORD))
			return false;
		bool plural = strncmp(a, b, least - 1) == 0 &&
			      ((a[n - 1] == 'y' && m == n + 2 && strncmp(b + m - 3, "ies", 3) == 0) ||
			       (b[m - 1] == 'y' && n == m + 2 && strncmp(a + n - 3, "ies", 3) == 0));
		if (!plural && strncmp(a, b, least) != 0)
			return false;
		words++;
		a += n + (a[n] == '_');
		b += m + (b[m] == '_');
	}
	return words > 1;
}

bool near_alike(const char *a, const char *b)
{
	char x[NAME_MAX_LEN + 1], y[NAME_MAX_LEN + 1];
	size_t n = plain(a, x), m = plain(b, y);
	if (!n || !m)
		return false;
	if (strcmp(x, y) == 0)
		return true;
	/* two edits are allowed only if the first letter is the same: SSL_CERT_FILE is not TLS_CERT_FILE */
	if (MIN(n, m) >= SHORTEST && distance(x, n, y, m) <= (MIN(n, m) >= LONG_NAME && x[0] == y[0] ? 2u : 1u))
		return true;
	return abbreviates(x, y) || same_words(x, y);
}
