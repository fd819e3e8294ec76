/*
 * recorder: one recording: brings what the eye sees to the writer, as the supervisor asks. Floor F5, in the recorder; one thread. It blocks
 * while the disk does, and for a bounded time while an X server is connected to; the supervisor ends a recorder that is silent.
 *
 * There is no queue: a frame is compressed, encrypted and written before the next one is looked for. What changes meanwhile is captured
 * then, so that load lowers the frame rate and never needs memory.
 */
#ifndef RECORDER_RECORDER_H
#define RECORDER_RECORDER_H

#include "recorder/state.h"

/* Takes over the descriptors [X socket, directory]. 0; a failure has been sent, unless it is one of the X server: then `display` may follow. */
int recorder_set_up(struct recorder *r, int control, const struct start *s, int x_fd, int dir_fd);
void recorder_done(struct recorder *r);

int recorder_x_fd(const struct recorder *r); /* to poll; -1: none */
int64_t recorder_next_us(const struct recorder *r);
/* What is due: events of the X server, a frame, the writer's times, figures. False: it has ended or failed. */
bool recorder_run(struct recorder *r, int64_t now_us);
/* One message; takes over the descriptors that it uses. False: as above. */
bool recorder_message(struct recorder *r, const char *name, json_t *body, int fds[2], int64_t now_us);
/* The supervisor is gone: closes the chunk. */
void recorder_leave(struct recorder *r);

#endif
