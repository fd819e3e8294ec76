/*
 * fake_recorder: a process that speaks the protocol of src/host/recording/recorder_wire.h in place of lucid-rdp-recorder, and that can fail
 * in each way that the supervisor must survive. A test runs itself again as this program: its main calls fake_recorder() if argv[0] is
 * RECORDER_FILE. What it does is chosen by the frame rate that the recording is started with.
 *
 * It writes real chunks (record/writer.h), without encryption, of a picture that changes at each step.
 */
#ifndef FAKE_RECORDER_H
#define FAKE_RECORDER_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/recording/recorder_wire.h"
#include "lucid/clock.h"
#include "lucid/doc.h"
#include "lucid/str.h"
#include "record/writer.h"

enum fake_manner {
	FAKE_GOOD = 30,
	FAKE_SILENT = 1,     /* gives no sign of life after the first picture */
	FAKE_CRASHES = 2,    /* dies soon after the first picture, with an open chunk */
	FAKE_STAYS = 3,	     /* ignores a stop */
	FAKE_NO_PICTURE = 4, /* exits before the first picture */
	FAKE_BABBLES = 5,    /* sends a packet that is not JSON */
	FAKE_LOST = 6,	     /* is cut off from the display once */
	FAKE_FULL = 7,	     /* cannot write until it is told to resume */
	FAKE_FAILS = 8,	     /* says why it cannot begin */
	FAKE_LARGE = 9,	     /* sends a packet that is too large */
	FAKE_LEAVES = 10,    /* closes its socket and stays */
	FAKE_DEAF = 11,	     /* does not read, and ignores the end of its socket for two seconds */
};

#define FAKE_SIDE 64

struct fake {
	enum fake_manner manner;
	int dir, x;
	struct record_writer *w;
	int64_t start_us;
	unsigned pictures;
	bool paused, lost;
	char id[37];
};

static void fake_say(const char *fmt, ...) PRINTF(1, 2);
static void fake_say(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	_cleanup_(xfreep) char *text = xvasprintf(fmt, ap);
	va_end(ap);
	if (send(RECORDER_CONTROL, text, strlen(text), MSG_NOSIGNAL) < 0)
		_exit(0);
}

/* A packet and its descriptors; NULL at the end of the socket. */
static json_t *fake_hear(int fds[2], size_t *ret_n)
{
	static char buf[RECORDER_PACKET_MAX];
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct iovec iov = { buf, sizeof buf };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	ssize_t n = recvmsg(RECORDER_CONTROL, &m, 0);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	*ret_n = 0;
	if (c && c->cmsg_type == SCM_RIGHTS) {
		*ret_n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), *ret_n * sizeof(int));
	}
	return n > 0 ? doc_parse(buf, (size_t)n, NULL, 0) : NULL;
}

static void fake_on_chunk(UNUSED void *arg, const struct record_index_entry *e)
{
	_cleanup_(doc_unrefp) json_t *d = record_entry_doc(e);
	_cleanup_(xfreep) char *text = doc_text(d);
	fake_say("{\"chunk\":%s}", text);
}

static void fake_open(struct fake *f, const json_t *start)
{
	struct record_writer_args a = { .dir_fd = f->dir, .codec = RECORD_NONE, .cipher = RECORD_PLAIN, .chunk_ms = RECORD_CHUNK_MS_MIN, .on_chunk = fake_on_chunk };
	const char *hash = doc_str(start, "prev_hash", "");
	a.first_seq = (uint32_t)doc_int(start, "first_seq", 0);
	a.start_us = f->start_us = doc_int(start, "start_us", 0);
	for (size_t n = 0; strlen(hash) == 64 && n < RECORD_HASH_BYTES; n++)
		sscanf(hash + 2 * n, "%2hhx", &a.prev_hash[n]);
	record_id_parse(doc_str(start, "recording_id", ""), a.id);
	int r = record_writer_new(&a, &f->w);
	if (r == 0 && json_object_get(start, "gap_from_us"))
		record_writer_gap(f->w, clock_mono_us(), doc_int(start, "gap_from_us", 0), RECORD_GAP_RESTART);
	if (r < 0) {
		fake_say("{\"failed\":{\"reason\":\"the writer: %s\"}}", strerror(-r));
		_exit(1);
	}
}

static void fake_picture(struct fake *f)
{
	static uint8_t pixels[FAKE_SIDE * FAKE_SIDE * 4];
	int64_t now = clock_mono_us();
	memset(pixels, (int)(f->pictures++ & 0xff), sizeof pixels);
	const struct record_rect all = { 0, 0, FAKE_SIDE, FAKE_SIDE, pixels, FAKE_SIDE * 4 };
	if (f->paused || f->lost)
		return;
	record_writer_tick(f->w, now);
	record_writer_frame(f->w, now, FAKE_SIDE, FAKE_SIDE, record_writer_wants_key(f->w, now, FAKE_SIDE, FAKE_SIDE), FAKE_SIDE * FAKE_SIDE, &all, 1);
}

static void fake_end(struct fake *f)
{
	struct record_written w;
	record_writer_close_chunk(f->w);
	record_writer_written(f->w, &w);
	record_writer_free(f->w);
	fake_say("{\"ended\":{\"chunks\":%u}}", w.next_seq);
	_exit(0);
}

static void fake_take(struct fake *f)
{
	int fds[2];
	size_t n;
	json_t *d = fake_hear(fds, &n);
	if (!d || json_object_get(d, "stop")) {
		if (d && f->manner == FAKE_STAYS)
			return;
		fake_end(f);
	}
	if (json_object_get(d, "display") && n == 1) {
		f->lost = false;
		fake_say("{\"recording\":{\"width\":%d,\"height\":%d,\"at_us\":%lld}}", FAKE_SIDE, FAKE_SIDE, (long long)clock_mono_us());
	}
	if (json_object_get(d, "pause")) {
		record_writer_close_chunk(f->w);
		f->paused = true;
	}
	if (json_object_get(d, "resume"))
		f->paused = false;
	json_decref(d);
}

static void fake_misbehave(struct fake *f)
{
	static char large[RECORDER_PACKET_MAX + 100];
	switch (f->manner) {
	case FAKE_SILENT:
		for (;;)
			pause();
	case FAKE_CRASHES:
		for (int n = 0; n < 15; n++) {
			fake_picture(f);
			usleep(100000);
		}
		kill(getpid(), SIGKILL);
		return;
	case FAKE_BABBLES:
		fake_say("not a document");
		return;
	case FAKE_LOST:
		f->lost = true;
		fake_say("{\"lost\":{\"reason\":\"killed by\\u0001a client\"}}");
		return;
	case FAKE_FULL:
		f->paused = true;
		fake_say("{\"full\":{\"errno\":%d}}", ENOSPC);
		return;
	case FAKE_LARGE:
		memset(large, ' ', sizeof large);
		send(RECORDER_CONTROL, large, sizeof large, MSG_NOSIGNAL);
		return;
	case FAKE_LEAVES:
		close(RECORDER_CONTROL);
		for (;;)
			pause();
	case FAKE_DEAF:
		sleep(2);
		fake_end(f);
		return;
	default:
		return;
	}
}

static inline int fake_recorder(void)
{
	struct fake f = { 0 };
	int fds[2] = { -1, -1 };
	size_t n;
	_cleanup_(doc_unrefp) json_t *first = fake_hear(fds, &n);
	const json_t *start = json_object_get(first, "start");
	if (!first || n != 2)
		return 1;
	f.manner = (enum fake_manner)doc_int(start, "frame_rate", 0);
	f.x = fds[0];
	f.dir = fds[1];
	if (f.manner == FAKE_NO_PICTURE)
		return 3;
	if (f.manner == FAKE_FAILS) {
		fake_say("{\"failed\":{\"reason\":\"no damage\\nextension\"}}");
		return 1;
	}
	fake_open(&f, start);
	fake_picture(&f);
	fake_say("{\"recording\":{\"width\":%d,\"height\":%d,\"at_us\":%lld}}", FAKE_SIDE, FAKE_SIDE, (long long)clock_mono_us());
	fake_misbehave(&f);
	for (int k = 0;; k++) {
		struct pollfd p = { .fd = RECORDER_CONTROL, .events = POLLIN };
		if (poll(&p, 1, 100) > 0)
			fake_take(&f);
		fake_picture(&f);
		if (k % 5 == 0)
			fake_say("{\"figures\":{\"recording\":{\"items\":%u}}}", f.pictures);
	}
}

#endif
