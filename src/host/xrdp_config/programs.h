/*
 * programs: the xrdp and sesman that instances run. Floor F3; the making runs in a job.
 *
 * They are copies with names and inodes of their own. Commands that end all xrdp processes of a host (an init script, start-stop-daemon
 * --exec, killall, an upgrade of the package) match the path, the inode or the name, and must not match an instance. DATA_DIR/xrdp/bin has
 * one copy of each version in use; instances have hard links to it, so its pages are shared.
 */
#ifndef HOST_XRDP_CONFIG_PROGRAMS_H
#define HOST_XRDP_CONFIG_PROGRAMS_H

#include "lucid/base.h"

struct daemon;
struct host;
struct instance;

/* The names as the kernel shows them (comm): at most 15 characters, without "xrdp". */
#define PROGRAM_XRDP "lucid-rdpd"
#define PROGRAM_SESMAN "lucid-sesman"

/* Whether this is the command name of an xrdp, or of a sesman or session leader (one program); of an instance or of the host. */
bool program_is_xrdp(const char *comm);
bool program_is_sesman(const char *comm);

/* Identifies a version of a program file by inode, size and times. "" if there is no file. */
void program_tag(const char *path, char ret[17]);
/* Whether a running daemon was started from another version of the host's program. */
bool program_is_outdated(const struct daemon *d);

/* In a job: updates the `bin` directory of the instance to the present programs of the host. 0, or -errno with the path that failed in
 * ret_what. */
int programs_place(const struct host *h, const struct instance *i, char ret_what[300]);

#endif
