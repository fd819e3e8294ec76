/*
 * preload: a shared library that the dynamic linker loads into the xrdp and xrdp-sesman of an instance, into the X servers of its
 * desktops, and into no other program (sesman clears the environment before it runs a user's programs). xrdp 0.9 trusts any process that
 * listens on a display's socket names. This library makes sure that these names belong to the instance and to the user of the desktop.
 *
 * It replaces these functions. In sesman:
 *   bind             to any address (INADDR_ANY) does nothing: sesman uses it to detect foreign X servers, and another process that
 *                    listens on the port must not make a display unusable
 *   access           of a display's names in /tmp reports whether this instance can hold the display's abstract name, not whether files
 *                    exist in /tmp; in a desktop it waits for the X server (x_start.h)
 *   execvp           appends the display number to the name of Xvnc's socket, and makes the X server load this library
 *   pam_open_session in the session leader first moves the desktop to a mount namespace of its own (host/desktop/desk_ns.h), and
 *                    to a session keyring of its own
 * In xrdp:
 *   connect          to a display's VNC port connects to its socket in desk/N instead; the peer in sockdir must be the desktop's user
 * In an X server:
 *   shmget           creates segments that only the user and the instance's xrdp can attach (screen_memory.h)
 *
 * The supervisor passes the settings below in the environment (src/host/instance/launch.c). Without them the library does nothing.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/desktop/desk_ns.h"
#include "host/preload_env.h"
#include "preload/screen_memory.h"
#include "preload/x_start.h"

#define EXPORT __attribute__((visibility("default")))
#define RUN "/run/xrdp"
#define SOCKETS RUN "/sockdir/"
#define VNC_PORTS 5900
#define DISPLAYS_MAX 64

static struct {
	bool sesman, xrdp;
	const char *anchor;
	int first, count; /* displays of this instance */
	long uid, gid;
	long long bytes;
	long inodes;
	int names[DISPLAYS_MAX]; /* sockets bound to abstract names; -1: not held */
	bool on_desk;		 /* this process is in a desktop's mount namespace */
} self;

/* --- set-up and helpers */

static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
	char line[300];
	int saved = errno;
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(line, sizeof line - 1, format, ap);
	va_end(ap);
	if (n > 0) {
		size_t len = (size_t)n < sizeof line - 1 ? (size_t)n : sizeof line - 2;
		line[len] = '\n';
		if (write(2, line, len + 1) < 0)
			saved = saved ? saved : errno;
	}
	errno = saved;
}

static long long env_number(const char *name)
{
	const char *text = getenv(name);
	return text ? strtoll(text, NULL, 10) : 0;
}

static bool is_own_display(int display)
{
	return display >= self.first && display < self.first + self.count;
}

/* "PREFIX" NUMBER "SUFFIX" → the number, or -1. */
static int display_in(const char *path, const char *prefix, const char *suffix)
{
	size_t len = strlen(prefix);
	char *end;
	if (strncmp(path, prefix, len) != 0 || path[len] < '0' || path[len] > '9')
		return -1;
	long n = strtol(path + len, &end, 10);
	return strcmp(end, suffix) == 0 && n >= 0 && n <= 65535 ? (int)n : -1;
}

/* Binds the display's abstract name. X clients try it before the socket in /tmp; a socket that is bound but does not listen refuses them,
 * and keeps other processes from binding the name. */
static bool hold_name(int display)
{
	int *fd = &self.names[display - self.first];
	if (*fd >= 0)
		return true;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int len = snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "/tmp/.X11-unix/X%d", display);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int (*real)(int, const struct sockaddr *, socklen_t);
	*(void **)&real = dlsym(RTLD_NEXT, "bind");
	if (*fd >= 0 && real(*fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0)
		return true;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return false;
}

static void __attribute__((constructor)) set_up(void)
{
	const char *role = getenv(PRELOAD_ROLE);
	self.anchor = getenv(PRELOAD_ANCHOR);
	self.first = (int)env_number(PRELOAD_FIRST);
	self.count = (int)env_number(PRELOAD_COUNT);
	self.uid = (long)env_number(PRELOAD_UID);
	self.gid = (long)env_number(PRELOAD_GID);
	self.bytes = env_number(PRELOAD_BYTES);
	self.inodes = (long)env_number(PRELOAD_INODES);
	for (int n = 0; n < DISPLAYS_MAX; n++)
		self.names[n] = -1;
	if (role && strcmp(role, PRELOAD_X_SERVER) == 0 && self.uid > 0)
		screen_memory_close((uid_t)self.uid);
	if (!role || !self.anchor || self.first <= 0 || self.count <= 0 || self.count > DISPLAYS_MAX)
		return;
	self.sesman = strcmp(role, PRELOAD_SESMAN) == 0;
	self.xrdp = strcmp(role, PRELOAD_XRDP) == 0;
	for (int n = 0; self.sesman && n < self.count; n++)
		hold_name(self.first + n);
}

/* --- sesman */

EXPORT int bind(int fd, const struct sockaddr *a, socklen_t len)
{
	static int (*real)(int, const struct sockaddr *, socklen_t);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "bind");
	static const struct in6_addr any = IN6ADDR_ANY_INIT;
	bool probe = (len >= sizeof(struct sockaddr_in6) && a->sa_family == AF_INET6 &&
		      memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, &any, sizeof any) == 0) ||
		     (len >= sizeof(struct sockaddr_in) && a->sa_family == AF_INET &&
		      ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr == INADDR_ANY);
	return self.sesman && probe ? 0 : real(fd, a, len);
}

EXPORT int access(const char *path, int mode)
{
	static int (*real)(const char *, int);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "access");
	if (!self.sesman)
		return real(path, mode);
	int socket_of = display_in(path, "/tmp/.X11-unix/X", ""), lock_of = display_in(path, "/tmp/.X", "-lock");
	if (socket_of >= 0 && self.on_desk)
		return x_start_access(path, mode, real);
	if (socket_of >= 0 && is_own_display(socket_of)) {
		if (!hold_name(socket_of)) {
			say("lucid-rdp: display %d is skipped: another process holds its abstract name", socket_of);
			return 0;
		}
		errno = ENOENT;
		return -1;
	}
	if (lock_of >= 0 && is_own_display(lock_of)) { /* X servers of this instance create no lock file, so it is another process's */
		errno = ENOENT;
		return -1;
	}
	return real(path, mode);
}

/* Releases the names of other displays: a desktop that outlives its sesman must not keep names that the next sesman assigns. */
static void keep_one_name(int display)
{
	for (int n = 0; n < self.count; n++)
		if (self.first + n != display && self.names[n] >= 0) {
			close(self.names[n]);
			self.names[n] = -1;
		}
}

/* Redirects the output of the desktop to a file on its own, bounded tmpfs. PRELOAD_DISPLAY_FD is for the X server, which writes its display
 * number to it. */
static void own_output(int display)
{
	char path[DESK_PATH_MAX];
	if (desk_path(path, self.anchor, display, "out") < 0)
		return;
	int out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600), nul = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (out >= 0) {
		dup2(out, 1);
		dup2(out, 2);
		close(out);
	}
	if (nul >= 0) {
		dup2(nul, 0);
		dup3(nul, PRELOAD_DISPLAY_FD, O_CLOEXEC);
		close(nul);
	}
}

/* The declarations of libpam that are used, so that building does not require its headers. */
struct pam_handle;
enum { PAM_TTY_ITEM = 3, PAM_USER_ITEM = 2, PAM_SUCCESS_CODE = 0, PAM_SESSION_ERR_CODE = 14 };

static const char *item(const struct pam_handle *ph, int which)
{
	int (*get)(const struct pam_handle *, int, const void **);
	*(void **)&get = dlsym(RTLD_DEFAULT, "pam_get_item");
	const void *value = NULL;
	return get && get(ph, which, &value) == PAM_SUCCESS_CODE ? value : NULL;
}

static void keep_instance_namespace(void)
{
	int fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || dup3(fd, PRELOAD_NS_FD, O_CLOEXEC) < 0)
		say("lucid-rdp: cannot keep the mount namespace of the server open: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* Whoever has a session keyring may read all keys in it, whichever account added them, and sesman's would be inherited by all desktops. */
static void own_keyring(int display)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS && errno != EPERM) /* a kernel or container without keyrings */
		say("lucid-rdp: display %d: no session keyring: %s", display, strerror(errno));
}

static bool enter_desk(const struct pam_handle *ph)
{
	const char *tty = item(ph, PAM_TTY_ITEM), *user = item(ph, PAM_USER_ITEM), *what = "";
	int display = tty ? display_in(tty, ":", "") : -1;
	const struct passwd *pw = user ? getpwnam(user) : NULL;
	if (display < 0 || !is_own_display(display) || !pw) {
		say("lucid-rdp: refusing a session without an account, or without a display of this server");
		return false;
	}
	if (!hold_name(display)) {
		say("lucid-rdp: display %d: another process holds its abstract name; log in again to get another display", display);
		return false;
	}
	keep_one_name(display);
	const struct desk d = { self.anchor, display, pw->pw_uid, pw->pw_gid, (gid_t)self.gid, self.bytes, self.inodes };
	keep_instance_namespace();
	own_keyring(display);
	int r = desk_make(&d, &what);
	if (r < 0) {
		say("lucid-rdp: display %d: %s cannot be set up: %s", display, what, strerror(-r));
		return false;
	}
	self.on_desk = true;
	x_start_leader();
	own_output(display);
	return true;
}

EXPORT int pam_open_session(struct pam_handle *ph, int flags);
EXPORT int pam_open_session(struct pam_handle *ph, int flags)
{
	int (*real)(struct pam_handle *, int);
	*(void **)&real = dlsym(RTLD_NEXT, "pam_open_session");
	if (self.sesman && !self.on_desk && !enter_desk(ph))
		return PAM_SESSION_ERR_CODE;
	return real(ph, flags);
}

/* For X servers: passes on the descriptor for -displayfd and this library, and appends the display number to the name of Xvnc's socket,
 * because sesman.ini has the same arguments for all displays. */
EXPORT int execvp(const char *file, char *const argv[])
{
	static int (*real)(const char *, char *const[]);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "execvp");
	enum { ARGS_MAX = 128 };
	static char socket_path[64];
	char *own[ARGS_MAX];
	int n = 0, display = -1;
	for (; self.on_desk && argv[n] && n < ARGS_MAX - 1; n++) {
		if (display < 0)
			display = display_in(argv[n], ":", "");
		own[n] = argv[n];
		if (strcmp(argv[n], "-displayfd") == 0) {
			fcntl(PRELOAD_DISPLAY_FD, F_SETFD, 0);
			screen_memory_pass((uid_t)self.uid);
		}
		if (display >= 0 && strcmp(argv[n], PRELOAD_VNC_SOCKET) == 0) {
			snprintf(socket_path, sizeof socket_path, PRELOAD_VNC_SOCKET "%d", display);
			own[n] = socket_path;
		}
	}
	if (!self.on_desk || argv[n])
		return real(file, argv);
	own[n] = NULL;
	return real(file, own);
}

/* --- xrdp */

static int vnc_display(const struct sockaddr *a, socklen_t len)
{
	int port = -1;
	if (a->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6))
		port = ntohs(((const struct sockaddr_in6 *)(const void *)a)->sin6_port);
	else if (a->sa_family == AF_INET && len >= sizeof(struct sockaddr_in))
		port = ntohs(((const struct sockaddr_in *)(const void *)a)->sin_port);
	return port >= 0 && is_own_display(port - VNC_PORTS) ? port - VNC_PORTS : -1;
}

/* Whether the peer is the desktop's user: compares the peer's uid, from the kernel, with the owner of the directory that root created. */
static bool is_owners(int fd, int display)
{
	char path[DESK_PATH_MAX];
	struct stat st;
	struct ucred peer;
	socklen_t len = sizeof peer;
	return desk_path(path, RUN, display, "sock") == 0 && stat(path, &st) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == st.st_uid;
}

/* Replaces the descriptor, which is connected to another user's process, by an unconnected socket. */
static int refuse_stranger(int fd, int display)
{
	say("lucid-rdp: display %d: the peer is not the desktop's user; the connection is refused", display);
	int fresh = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fresh < 0 || dup2(fresh, fd) < 0)
		shutdown(fd, SHUT_RDWR);
	if (fresh >= 0)
		close(fresh);
	errno = ECONNREFUSED;
	return -1;
}

/* The display that a socket name in sockdir belongs to: the number at its end. */
static int socket_display(const struct sockaddr *a)
{
	const char *path = ((const struct sockaddr_un *)(const void *)a)->sun_path;
	if (a->sa_family != AF_UNIX || strncmp(path, SOCKETS, strlen(SOCKETS)) != 0)
		return -1;
	const char *p = path + strnlen(path, sizeof ((struct sockaddr_un *)0)->sun_path);
	while (p > path && p[-1] >= '0' && p[-1] <= '9')
		p--;
	return display_in(p, "", "");
}

/* Opens the socket of that name in the desktop's directory. A symbolic link is not followed: the user could point it at another desktop,
 * whose X server would drop its client for the new connection, before the peer could be checked. */
static int hold_socket(int display, const char *name)
{
	char path[DESK_PATH_MAX];
	struct stat folder, st;
	if (desk_path(path, RUN, display, "sock") < 0)
		return -1;
	int dir = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd = dir >= 0 ? openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1, err = errno;
	if (fd >= 0 && (fstat(dir, &folder) < 0 || fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode) || st.st_uid != folder.st_uid)) {
		say("lucid-rdp: display %d: %s is not a socket of the desktop's user; not connecting", display, name);
		close(fd);
		fd = -1;
		err = ECONNREFUSED;
	}
	if (dir >= 0)
		close(dir);
	errno = err;
	return fd;
}

/* connect() to the socket that hold_socket() opened, even if its name was replaced since. */
static int connect_own(int fd, int display, const char *name, int (*real)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int held = hold_socket(display, name);
	if (held < 0)
		return -1;
	snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d", held);
	int r = real(fd, (struct sockaddr *)&a, sizeof a), err = errno;
	close(held);
	if (r == 0 && !is_owners(fd, display))
		return refuse_stranger(fd, display);
	errno = err;
	return r;
}

static int connect_vnc(int fd, int display, int (*real)(int, const struct sockaddr *, socklen_t))
{
	char name[32];
	snprintf(name, sizeof name, PRELOAD_VNC_NAME "%d", display);
	int flags = fcntl(fd, F_GETFL), local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (local < 0)
		return -1;
	int r = connect_own(local, display, name, real), err = errno;
	if (r == 0)
		r = dup2(local, fd) < 0 || fcntl(fd, F_SETFL, flags) < 0 ? -1 : 0;
	close(local);
	errno = err;
	return r;
}

EXPORT int connect(int fd, const struct sockaddr *a, socklen_t len)
{
	static int (*real)(int, const struct sockaddr *, socklen_t);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "connect");
	if (!self.xrdp)
		return real(fd, a, len);
	int vnc = vnc_display(a, len), display = socket_display(a);
	if (vnc >= 0)
		return connect_vnc(fd, vnc, real);
	if (display >= 0)
		return connect_own(fd, display, ((const struct sockaddr_un *)(const void *)a)->sun_path + strlen(SOCKETS), real);
	return real(fd, a, len);
}
