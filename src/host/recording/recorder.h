/*
 * recorder: the process that records one desktop (src/recorder), and its control socket. Floor F3, supervisor only, loop thread; nothing
 * blocks, except the fork.
 *
 * The process runs under an account of its own, outside the control group of the desktop. It is not trusted: it parses what an X server of a
 * user sends. It is killed if it is silent, breaks the protocol, or does not end when asked; its user decides whether it is started again. If
 * the supervisor dies, the process sees the end of its socket, closes its chunk and ends.
 */
#ifndef HOST_RECORDING_RECORDER_H
#define HOST_RECORDING_RECORDER_H

#include "host/recording/recorder_wire.h"
#include "lucid/doc.h"
#include "sys/child/child.h"

struct host;
struct recorder;

struct recorder_user {
	/* A process runs. It waits for its start, which recorder_send must send. */
	void (*begun)(void *arg);
	/* A packet of the process; `what` is one of the words of recorder_wire.h, `doc` is an object and borrowed. Must not free the recorder. */
	void (*said)(void *arg, const char *what, const json_t *doc);
	/* Decides what follows an end; must not change anything. */
	enum child_verdict (*verdict)(void *arg, const struct child_end *e);
	/* The process has ended, or could not be started, and all its packets were reported. `again`: another one is started after a wait. It
	 * may free the recorder. */
	void (*ended)(void *arg, const struct child_end *e, bool again);
};

struct recorder *recorder_new(struct host *h, const struct recorder_user *user, void *arg);
void recorder_begin(struct recorder *r);
/* Sends a packet with up to two descriptors, which the caller keeps. A process that does not read is killed. */
void recorder_send(struct recorder *r, const char *text, size_t len, const int *fds, size_t nfds);
void recorder_ready(struct recorder *r); /* it records: from now on it must give signs of life */
void recorder_stop(struct recorder *r);	 /* asks it to close its chunk and end; later by SIGKILL */
void recorder_kill(struct recorder *r);	 /* the same at once */
void recorder_replace(struct recorder *r); /* kills it; the verdict decides what follows */
pid_t recorder_pid(const struct recorder *r); /* 0: none */
/* Closes the socket, so that the process ends by itself, and frees the recorder. Takes NULL. */
void recorder_free(struct recorder *r);

#endif
