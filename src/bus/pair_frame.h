/* pair_frame: the frames between the two ends of a socket pair. Floor F4, loop thread; for pair.c, pair_calls.c and pair_served.c. */
#ifndef BUS_PAIR_FRAME_H
#define BUS_PAIR_FRAME_H

#include "lucid/doc.h"
#include "sys/channel.h"

/* Kinds of frames; pair_source.c has further ones. All are JSON except log lines and descriptors. */
enum {
	FRAME_CALL = 'C',
	FRAME_CALL_SECRET = 'S', /* the same, of an operation whose input has a secret: each side wipes its copies of the frame */
	FRAME_REPLY = 'R',
	FRAME_CANCEL = 'X',
	FRAME_EVENT = 'E',
	FRAME_LOG = 'L',
	FRAME_WORD = 'W',
	FRAME_DESCRIPTOR = 'F', /* the text names its purpose */
};

static inline int pair_send_doc(struct channel *ch, uint8_t kind, json_t *consume)
{
	_cleanup_(blob_unrefp) struct blob *b = doc_blob(consume);
	json_decref(consume);
	return channel_send(ch, kind, b->data, b->len, NULL, 0);
}

/* The same for a document with a secret: no copy of its text stays. */
static inline int pair_send_secret(struct channel *ch, uint8_t kind, json_t *consume)
{
	char *text = doc_text(consume); /* not a growing buffer, which would leave copies behind when it moves */
	size_t len = strlen(text);
	json_decref(consume);
	int rc = channel_send_secret(ch, kind, text, len);
	mem_wipe(text, len);
	free(text);
	return rc;
}

static inline int pair_send_control(struct channel *ch, uint8_t kind, json_t *consume)
{
	_cleanup_(blob_unrefp) struct blob *b = doc_blob(consume);
	json_decref(consume);
	return channel_send_control(ch, kind, b->data, b->len);
}

#endif
