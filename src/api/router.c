#include "api/router.h"

#include "lucid/str.h"

/* --- paths */

static const char *decode_byte(const char *s, char *ret)
{
	int c = str_percent(s);
	if (c < 0)
		return "the path has a '%' not followed by two hex digits";
	*ret = (char)c;
	if (!*ret || *ret == '/')
		return "the path must not contain an encoded slash or NUL";
	return NULL;
}

static const char *segment_fault(const char *s, size_t len, bool decoded)
{
	if (!len)
		return "the path has an empty segment";
	if (s[0] == '.' && (len == 1 || (len == 2 && s[1] == '.')))
		return "the path must not contain the segments '.' and '..'";
	if (!decoded)
		return NULL;
	if (str_has_control(s, false))
		return "the path must not contain control characters";
	return str_utf8(s, len, NULL) ? NULL : "the path is not UTF-8";
}

const char *path_split(struct path *p, const char *raw)
{
	char *out = p->room, *end = p->room + sizeof p->room - 1;
	p->n = 0;
	if (*raw != '/')
		return "the path must start with a slash";
	while (raw[1]) {
		char *start = out;
		bool decoded = false;
		for (raw++; *raw && *raw != '/'; raw++) {
			const char *why = NULL;
			if (out == end)
				return "the path is too long";
			*out = *raw;
			if (*raw == '%') {
				why = decode_byte(raw, out);
				decoded = true;
				if (why)
					return why;
				raw += 2;
			}
			out++;
		}
		if (out == end)
			return "the path is too long";
		size_t len = (size_t)(out - start);
		*out++ = 0;
		const char *why = segment_fault(start, len, decoded);
		if (why)
			return why;
		if (p->n < PATH_SEGMENTS) {
			p->segment[p->n] = start;
			p->len[p->n++] = len;
		} else {
			p->n = PATH_DEEP;
		}
		if (!*raw)
			break;
	}
	return NULL;
}

/* --- the tree: one node for each segment; a parameter is the last of the children */

struct node {
	struct node *next, *child;
	struct endpoint *endpoint;
	size_t len;
	char name[]; /* "{" for a parameter */
};

struct router {
	struct node root;
};

struct router *router_new(void)
{
	return xcalloc(1, sizeof(struct router) + 1);
}

static void nodes_free(struct node *n)
{
	while (n) {
		struct node *next = n->next;
		nodes_free(n->child);
		free(n);
		n = next;
	}
}

void router_free(struct router *r)
{
	if (!r)
		return;
	nodes_free(r->root.child);
	free(r);
}

static bool is_param(const struct node *n)
{
	return n->name[0] == '{';
}

static struct node *child_of(struct node *parent, const char *name, size_t len, bool make)
{
	struct node **at = &parent->child;
	if (name[0] == '{') { /* the name of a parameter is irrelevant */
		name = "{";
		len = 1;
	}
	for (; *at; at = &(*at)->next) {
		if ((*at)->len == len && !memcmp((*at)->name, name, len))
			return *at;
		if (is_param(*at))
			break;
	}
	if (!make)
		return NULL;
	struct node *n = xcalloc(1, sizeof *n + len + 1);
	memcpy(n->name, name, len);
	n->len = len;
	n->next = *at;
	*at = n;
	return n;
}

static struct node *node_of(const struct router *r, const char *template, bool make)
{
	struct node *n = (struct node *)&r->root;
	while (n && *template) {
		size_t len = strcspn(++template, "/");
		if (len)
			n = child_of(n, template, len, make);
		template += len;
	}
	return n;
}

bool router_add(struct router *r, const char *template, struct endpoint *e)
{
	struct node *n = node_of(r, template, true);
	if (n->endpoint)
		return false;
	n->endpoint = e;
	return true;
}

struct endpoint *router_template(const struct router *r, const char *template)
{
	const struct node *n = node_of(r, template, false);
	return n ? n->endpoint : NULL;
}

static struct endpoint *node_find(const struct node *n, const struct path *p, size_t depth, const char **params)
{
	if (depth == p->n)
		return n->endpoint;
	for (const struct node *c = n->child; c; c = c->next) {
		if (is_param(c)) {
			params[0] = p->segment[depth];
			struct endpoint *e = node_find(c, p, depth + 1, params + 1);
			if (!e)
				params[0] = NULL;
			return e;
		}
		if (c->len != p->len[depth] || memcmp(c->name, p->segment[depth], c->len) != 0)
			continue;
		struct endpoint *e = node_find(c, p, depth + 1, params);
		if (e)
			return e;
	}
	return NULL;
}

struct endpoint *router_find(const struct router *r, const struct path *p, const char *ret_params[OP_MAX_PARAMS])
{
	for (size_t i = 0; i < OP_MAX_PARAMS; i++)
		ret_params[i] = NULL;
	/* a template has at most OP_MAX_PARAMS parameters, so the tree never writes past the array */
	return p->n == PATH_DEEP ? NULL : node_find(&r->root, p, 0, ret_params);
}
