/* verify_recording: the part of `lucid-rdp verify` that checks the directory of a recording. Floor F7; sub-command only; blocks. It needs no
 * settings, no store and no running program. */
#ifndef APP_COMMANDS_VERIFY_RECORDING_H
#define APP_COMMANDS_VERIFY_RECORDING_H

#include "lucid/base.h"

#define VERIFY_KEYS_MAX 8

/* Options of the command line; strings are borrowed. */
struct verify_recording {
	const char *dir;
	const char *master_key_files[VERIFY_KEYS_MAX], *public_keys[VERIFY_KEYS_MAX];
	size_t n_master_key_files, n_public_keys;
	const char *head; /* SEQ:HASH, or NULL */
	bool json;
};
/* Prints the result. The exit code: 0 whole; 1 broken; 2 usage; 3 without a seal, otherwise right; 4 it cannot be read. */
int verify_recording(const struct verify_recording *v);

#endif
