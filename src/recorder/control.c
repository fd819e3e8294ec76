#include "recorder/control.h"

#include <errno.h>
#include <sys/socket.h>

#include "lucid/str.h"

static char packet[CONTROL_PACKET_MAX];

static void take_descriptors(struct msghdr *m, int fds[CONTROL_FDS_MAX])
{
	size_t n = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t k = 0; k < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); k++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + k * sizeof fd, sizeof fd);
			if (n < CONTROL_FDS_MAX)
				fds[n++] = fd;
			else
				fd_close(&fd);
		}
	}
}

enum control_result control_receive(int fd, json_t **ret, int fds[CONTROL_FDS_MAX])
{
	union {
		char room[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} u;
	struct iovec part = { packet, sizeof packet };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = u.room, .msg_controllen = sizeof u.room };
	fds[0] = fds[1] = -1;
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return CONTROL_NOTHING;
	if (n <= 0)
		return CONTROL_CLOSED;
	take_descriptors(&m, fds);
	json_t *doc = m.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? NULL : doc_parse_secret(packet, (size_t)n, NULL, 0);
	mem_wipe(packet, (size_t)n);
	if (json_object_size(doc) == 1) {
		*ret = doc;
		return CONTROL_MESSAGE;
	}
	doc_unref_secret(doc);
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	return CONTROL_CLOSED;
}

void control_send(int fd, const char *name, json_t *consume_body)
{
	json_t *doc = json_object();
	doc_set(doc, name, consume_body);
	_cleanup_(xfreep) char *text = doc_text(doc);
	json_decref(doc);
	if (send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return; /* dropped, as the header says; a closed socket is noticed when it is read */
}

const char *control_name(json_t *message, json_t **ret_body)
{
	void *first = json_object_iter(message);
	*ret_body = json_object_iter_value(first);
	return json_object_iter_key(first);
}
