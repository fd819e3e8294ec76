/*
 * desktop_log: desktops.log of a server, which GET /servers/{id}/logs shows beside the logs of xrdp and sesman: why desktops did not start.
 * Floor F3, supervisor only, loop thread. A file of root, bounded: it keeps the last 256 KiB to 512 KiB.
 */
#ifndef HOST_DESKTOP_DESKTOP_LOG_H
#define HOST_DESKTOP_DESKTOP_LOG_H

struct instance;

/* Appends "WHAT of USER: line" for each line of `text`, at most 40, each cut to 300 bytes. `user` "": unknown. */
void desktop_log(const struct instance *i, const char *what, const char *user, const char *text);

#endif
