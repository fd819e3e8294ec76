#include "record/codec.h"

#include <dlfcn.h>
#include <stdio.h>

#include "lucid/fault.h"

#define BUFFER_MIN 4096

uint8_t *pack_buffer_room(struct pack_buffer *b, size_t n)
{
	if (b->cap - b->len < n) {
		b->cap = MAX(MAX(2 * b->cap, b->len + n), (size_t)BUFFER_MIN);
		b->data = xrealloc(b->data, b->cap);
	}
	return b->data + b->len;
}

bool codec_library(const char *file, const char *package, const char *const *names, void **functions, char *why, size_t size)
{
	void *library = fault_hit(file) ? NULL : dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		snprintf(why, size, "%s cannot be loaded; install the package %s", file, package);
		return false;
	}
	for (size_t i = 0; names[i]; i++)
		if (!(functions[i] = dlsym(library, names[i]))) {
			snprintf(why, size, "%s has no function %s; install a newer package %s", file, names[i], package);
			return false;
		}
	return true;
}

/* --- without compression */

struct identity {
	char nothing;
};

static bool identity_load(UNUSED char *why, UNUSED size_t size)
{
	return true;
}

static void *identity_new(void)
{
	return XNEW(struct identity);
}

static bool identity_begin(UNUSED void *state, UNUSED int level)
{
	return true;
}

static bool identity_add(UNUSED void *state, const uint8_t *data, size_t n, struct pack_buffer *out)
{
	memcpy(pack_buffer_room(out, n), data, n);
	out->len += n;
	return true;
}

static bool identity_flush(UNUSED void *state, UNUSED struct pack_buffer *out)
{
	return true;
}

static int identity_feed(UNUSED void *state, const uint8_t *data, size_t n, unpack_sink sink, void *arg)
{
	return n ? sink(arg, data, n) : 0;
}

static bool identity_ended(UNUSED const void *state)
{
	return true; /* the end segment says so */
}

static const struct codec_ops codec_none = {
	identity_load, identity_new, free, identity_begin, identity_add, identity_flush, identity_flush, identity_new, free, identity_feed, identity_ended,
};

/* --- any codec */

static const struct codec_ops *const codecs[] = { [RECORD_NONE] = &codec_none, [RECORD_LZ4] = &codec_lz4, [RECORD_ZSTD] = &codec_zstd };

struct packer {
	const struct codec_ops *ops;
	void *state;
};

struct unpacker {
	const struct codec_ops *ops;
	void *state;
};

bool record_codec_load(enum record_codec c, char *why, size_t size)
{
	if ((size_t)c < ARRAY_LEN(codecs))
		return codecs[c]->load(why, size);
	snprintf(why, size, "codec %d is unknown", (int)c);
	return false;
}

struct packer *packer_new(enum record_codec c)
{
	char why[128];
	if (!record_codec_load(c, why, sizeof why))
		return NULL;
	void *state = codecs[c]->packer();
	if (!state)
		return NULL;
	struct packer *p = XNEW(struct packer);
	*p = (struct packer){ codecs[c], state };
	return p;
}

void packer_free(struct packer *p)
{
	if (!p)
		return;
	p->ops->packer_free(p->state);
	free(p);
}

bool packer_begin(struct packer *p, int level)
{
	return p->ops->begin(p->state, level);
}

bool packer_add(struct packer *p, const uint8_t *data, size_t n, struct pack_buffer *out)
{
	return p->ops->add(p->state, data, n, out);
}

bool packer_flush(struct packer *p, struct pack_buffer *out)
{
	return p->ops->flush(p->state, out);
}

bool packer_end(struct packer *p, struct pack_buffer *out)
{
	return p->ops->end(p->state, out);
}

struct unpacker *unpacker_new(enum record_codec c)
{
	char why[128];
	if (!record_codec_load(c, why, sizeof why))
		return NULL;
	void *state = codecs[c]->unpacker();
	if (!state)
		return NULL;
	struct unpacker *u = XNEW(struct unpacker);
	*u = (struct unpacker){ codecs[c], state };
	return u;
}

void unpacker_free(struct unpacker *u)
{
	if (!u)
		return;
	u->ops->unpacker_free(u->state);
	free(u);
}

int unpacker_feed(struct unpacker *u, const uint8_t *data, size_t n, unpack_sink sink, void *arg)
{
	return u->ops->feed(u->state, data, n, sink, arg);
}

bool unpacker_ended(const struct unpacker *u)
{
	return u->ops->ended(u->state);
}
