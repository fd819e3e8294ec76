/*
 * desk_ns: the mount namespace of one desktop. Floor F3; runs as root in a session leader of sesman (through the preload library) and in
 * jobs of the supervisor. Uses the C library only, because the preload library links it too; does not allocate.
 *
 * The run directory of the instance is a tmpfs that exists only in its namespaces, anchored at `anchor` and bind-mounted over /run/xrdp. In
 * it, `desk` is a shared mount: what a session leader mounts there is visible to xrdp in the namespace of the instance too.
 *
 *   desk/N          tmpfs of one desktop, bounded; root's, open to the group of xrdp only
 *   desk/N/sock     over /run/xrdp/sockdir   sockets of X server and chansrv; the user's, group of xrdp
 *   desk/N/tmp/x11  over /tmp/.X11-unix
 *   desk/N/tmp/ice  over /tmp/.ICE-unix
 *   desk/N/user     over /run/xrdp/user      for XDG_RUNTIME_DIR; the user's
 *   desk/N/out      output of the desktop
 *
 * In the namespace of the instance, /run/xrdp/sockdir belongs to root and holds only links into desk/N/sock.
 */
#ifndef HOST_DESKTOP_DESK_NS_H
#define HOST_DESKTOP_DESK_NS_H

#include <stddef.h>
#include <sys/types.h>

struct desk {
	const char *anchor; /* the instance's run directory */
	int display;
	uid_t uid;	 /* of the user, and the primary group of that account */
	gid_t user_gid;
	gid_t gid;	 /* of the instance's xrdp */
	long long bytes; /* bounds of the tmpfs */
	long inodes;
};

#define DESK_PATH_MAX 512

/* DIR/desk/N[/NAME], into dst of DESK_PATH_MAX. `name` may be NULL. 0 or -ENAMETOOLONG. */
int desk_path(char dst[DESK_PATH_MAX], const char *run, int display, const char *name);

/* In the session leader, as root: enters a new mount namespace with a new desk/N and its bind mounts. Unmounts what an earlier desktop left
 * on this display. 0 or -errno; then *ret_what is a static text that names the step. */
int desk_make(const struct desk *d, const char **ret_what);

/* In a namespace that desk_make made: restores bind mounts that are missing because a mount point was removed on the host. 1: some were
 * missing, 0: none, or -errno. */
int desk_bind(const char *anchor, int display, const char **ret_what);

/* In any namespace of the instance: unmounts desk/N in all of them and removes its mount point. 0, also if there is none, or -errno. */
int desk_unmake(const char *anchor, int display);

#endif
