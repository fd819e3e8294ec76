#include "bus/outbox.h"

#include "lucid/errs.h"
#include "lucid/list.h"

#define FULL_MS 20 /* retry interval while the channel is full */

struct frame {
	struct list node;
	uint8_t kind;
	size_t len;
	char data[];
};

struct outbox {
	struct channel *channel;
	struct list frames;
	size_t bytes;
	struct loop_timer *again;
};

static void frame_free(struct outbox *o, struct frame *f)
{
	list_remove(&f->node);
	o->bytes -= sizeof *f + f->len;
	free(f);
}

static void on_outbox_retry(void *arg)
{
	struct outbox *o = arg;
	struct frame *f, *tmp;
	LIST_FOREACH_SAFE (f, tmp, &o->frames, node) {
		if (channel_send(o->channel, f->kind, f->data, f->len, NULL, 0) == -ERR_BUSY) {
			loop_timer_set(o->again, FULL_MS);
			return;
		}
		frame_free(o, f);
	}
}

struct outbox *outbox_new(struct loop *l, struct channel *c)
{
	struct outbox *o = XNEW(struct outbox);
	o->channel = c;
	list_init(&o->frames);
	o->again = loop_timer_new(l, on_outbox_retry, o);
	return o;
}

void outbox_free(struct outbox *o)
{
	struct frame *f, *tmp;
	if (!o)
		return;
	LIST_FOREACH_SAFE (f, tmp, &o->frames, node)
		frame_free(o, f);
	loop_timer_free(o->again);
	free(o);
}

int outbox_send(struct outbox *o, uint8_t kind, const void *data, size_t len)
{
	int rc = list_empty(&o->frames) ? channel_send(o->channel, kind, data, len, NULL, 0) : -ERR_BUSY;
	if (rc != -ERR_BUSY)
		return rc;
	if (len > CHANNEL_FRAME_MAX)
		return -ERR_TOO_LARGE;
	if (o->bytes + sizeof(struct frame) + len > OUTBOX_MAX)
		return -ERR_BUSY;
	struct frame *f = xcalloc(1, sizeof *f + len);
	f->kind = kind;
	f->len = len;
	memcpy(f->data, data, len);
	list_append(&o->frames, &f->node);
	o->bytes += sizeof *f + len;
	if (!loop_timer_pending(o->again))
		loop_timer_set(o->again, FULL_MS);
	return 0;
}
