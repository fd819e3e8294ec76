/* hide: secrets that were given on the command line or in the environment leave /proc/PID/cmdline and /proc/PID/environ, and
 * no core of this process is ever written. Floor F7; at the start, before threads and children exist. */
#ifndef APP_HIDE_H
#define APP_HIDE_H

/* From here on both are copies on the heap, with everything in them: a reload reads the same settings again. */
void hide_secrets(int argc, char ***argv);
void hide_memory(void);

#endif
