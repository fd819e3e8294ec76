/* hide: removes secrets from /proc/PID/cmdline and /proc/PID/environ, and prevents core files of this process. Floor F7; at the start,
 * before threads and children exist. */
#ifndef APP_HIDE_H
#define APP_HIDE_H

/* Moves argv and environ to copies on the heap, which keep the secrets, because a reload reads the same settings again. */
void hide_secrets(int argc, char ***argv);
void hide_memory(void);

#endif
