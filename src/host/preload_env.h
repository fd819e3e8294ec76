/* preload_env: the names of the settings that the preload library (src/preload) reads from the environment. Floor F3. */
#ifndef HOST_PRELOAD_ENV_H
#define HOST_PRELOAD_ENV_H

#define PRELOAD_FILE "lucid-rdp-preload.so"
#define PRELOAD_ROLE "LUCID_ROLE"
#define PRELOAD_XRDP "xrdp"
#define PRELOAD_SESMAN "sesman"
#define PRELOAD_X_SERVER "x-server" /* has PRELOAD_UID only */
#define PRELOAD_ANCHOR "LUCID_ANCHOR"
#define PRELOAD_FIRST "LUCID_DISPLAY_FIRST"
#define PRELOAD_COUNT "LUCID_DISPLAY_COUNT"
#define PRELOAD_UID "LUCID_UID" /* of the instance's xrdp */
#define PRELOAD_GID "LUCID_GID"
#define PRELOAD_BYTES "LUCID_DESK_BYTES"
#define PRELOAD_INODES "LUCID_DESK_INODES"

/* For -displayfd. The X server closes it once it has written, and what it opens next has the number: not one of 0 to 2, which
 * xorgxrdp takes for no connection. */
#define PRELOAD_DISPLAY_FD 200
#define PRELOAD_DISPLAY_FD_TEXT "200"

/* In a session leader: the mount namespace of its instance, which lives on with it when both daemons are dead. */
#define PRELOAD_NS_FD 201

/* Xvnc's socket in a desktop's sockdir; the display's number follows. As an argument of Xvnc in sesman.ini it has none yet. */
#define PRELOAD_VNC_NAME "xrdp_vnc_"
#define PRELOAD_VNC_SOCKET "/run/xrdp/sockdir/" PRELOAD_VNC_NAME

#endif
