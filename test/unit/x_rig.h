/* x_rig: X servers for tests (Xvfb, Xvnc) with a cookie, and connections to them. Needs no display of the host. */
#ifndef TEST_X_RIG_H
#define TEST_X_RIG_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xcb/xcb.h>

#include "lucid/base.h"

struct x_rig {
	pid_t pid;
	int display;
	char authority[64];
	uint8_t cookie[16];
	/* a client that paints */
	xcb_connection_t *c;
	xcb_screen_t *root;
	xcb_gcontext_t gc;
};

static inline void x_rig_counted(FILE *f, const void *data, size_t n)
{
	fputc((int)(n >> 8), f);
	fputc((int)(n & 255), f);
	fwrite(data, 1, n, f);
}

/* A connected socket of the display. */
static inline int x_rig_socket(const struct x_rig *x)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	snprintf(a.sun_path, sizeof a.sun_path, "/tmp/.X11-unix/X%d", x->display);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		abort();
	return fd;
}

/* Starts a server with this command (NULL-ended), to which -displayfd and -auth are added. False: its program is not installed. */
static inline bool x_rig_start(struct x_rig *x, const char *const *command)
{
	static const char name[] = "MIT-MAGIC-COOKIE-1";
	int report[2], k = 0;
	const char *args[32];
	char fd[16], text[16] = "";
	*x = (struct x_rig){ 0 };
	for (size_t i = 0; i < sizeof x->cookie; i++)
		x->cookie[i] = (uint8_t)random();
	snprintf(x->authority, sizeof x->authority, "/tmp/lucid-test-auth-XXXXXX");
	FILE *f = fdopen(mkstemp(x->authority), "w");
	fwrite("\xff\xff", 1, 2, f); /* for any address and display */
	x_rig_counted(f, "", 0);
	x_rig_counted(f, "", 0);
	x_rig_counted(f, name, strlen(name));
	x_rig_counted(f, x->cookie, sizeof x->cookie);
	fclose(f);
	if (pipe(report) < 0)
		abort();
	snprintf(fd, sizeof fd, "%d", report[1]);
	for (; command[k]; k++)
		args[k] = command[k];
	for (const char *const *more = (const char *const[]){ "-displayfd", fd, "-auth", x->authority, "-noreset", "-nolisten", "tcp", NULL }; *more; more++)
		args[k++] = *more;
	args[k] = NULL;
	x->pid = fork();
	if (!x->pid) {
		int null = open("/dev/null", O_WRONLY);
		dup2(null, 2);
		execvp(args[0], (char *const *)(uintptr_t)args);
		_exit(127);
	}
	close(report[1]);
	size_t n = 0;
	for (ssize_t got = 1; got > 0 && n < sizeof text - 1 && !strchr(text, '\n'); n += got > 0 ? (size_t)got : 0)
		got = read(report[0], text + n, sizeof text - 1 - n);
	close(report[0]);
	x->display = atoi(text);
	if (!n)
		return false;
	xcb_auth_info_t auth = { sizeof name - 1, (char *)(uintptr_t)name, sizeof x->cookie, (char *)x->cookie };
	x->c = xcb_connect_to_fd(x_rig_socket(x), &auth);
	if (xcb_connection_has_error(x->c))
		abort();
	x->root = xcb_setup_roots_iterator(xcb_get_setup(x->c)).data;
	x->gc = xcb_generate_id(x->c);
	xcb_create_gc(x->c, x->gc, x->root->root, XCB_GC_SUBWINDOW_MODE, (uint32_t[]){ XCB_SUBWINDOW_MODE_INCLUDE_INFERIORS });
	return true;
}

static inline void x_rig_stop(struct x_rig *x)
{
	if (x->c)
		xcb_disconnect(x->c);
	if (x->pid > 0) {
		kill(x->pid, SIGKILL); /* also one that is stopped */
		waitpid(x->pid, NULL, 0);
		char path[64];
		snprintf(path, sizeof path, "/tmp/.X%d-lock", x->display);
		unlink(path);
		snprintf(path, sizeof path, "/tmp/.X11-unix/X%d", x->display);
		unlink(path);
	}
	unlink(x->authority);
}

/* Until the server has done what was sent before. */
static inline void x_rig_sync(struct x_rig *x)
{
	free(xcb_get_input_focus_reply(x->c, xcb_get_input_focus(x->c), NULL));
}

static inline void x_rig_fill(struct x_rig *x, uint32_t colour, int px, int py, unsigned w, unsigned h)
{
	const xcb_rectangle_t r = { (int16_t)px, (int16_t)py, (uint16_t)w, (uint16_t)h };
	xcb_change_gc(x->c, x->gc, XCB_GC_FOREGROUND, &colour);
	xcb_poly_fill_rectangle(x->c, x->root->root, x->gc, 1, &r);
}

#endif
