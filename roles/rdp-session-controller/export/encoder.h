/* encoder: draws the pictures of a recording and passes them, at a steady rate, to an ffmpeg process that writes a video file. Floor F6; made and
 * freed on the loop, fed on one worker thread, as writing to ffmpeg blocks. */
#ifndef EXPORT_ENCODER_H
#define EXPORT_ENCODER_H

#include <sys/types.h>

#include "lucid/record_reader.h"

struct encoder_args {
	const char *format; /* mp4, mkv or webm */
	int fps;
	unsigned width, height; /* of the pictures */
	unsigned max_width, max_height; /* of the video */
};
struct encoder;
/* Starts ffmpeg. NULL with a negated error: -ERR_NO_EXPORTER: it is not installed; -ERR_RECORDING_STORAGE: no space for the file. */
struct encoder *encoder_new(const struct encoder_args *a, int *ret_err);
void encoder_kill(struct encoder *e); /* a write in progress then fails */
void encoder_free(struct encoder *e); /* takes NULL */

/* On the worker. */
/* Callbacks of the reader of a chunk that begins at t0_ms. */
void encoder_chunk(struct encoder *e, int64_t t0_ms);
int encoder_record(void *encoder, const struct record_record *r);
int encoder_rows(void *encoder, const struct record_rect *band);
/* The last picture stays until end_ms; then the video is completed. False: ffmpeg failed. */
bool encoder_finish(struct encoder *e, int64_t end_ms);

/* The video, for the loop after encoder_finish; the caller closes it. */
int encoder_take_file(struct encoder *e, int64_t *ret_bytes);

#endif
