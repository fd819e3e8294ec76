/* recorder_account: the account that recorders and the work on their directories run under, if the supervisor is root. Floor F3. */
#ifndef HOST_RECORDING_RECORDER_ACCOUNT_H
#define HOST_RECORDING_RECORDER_ACCOUNT_H

#include <sys/types.h>

struct recorder_account {
	uid_t uid;
	gid_t gid;
};

/* The account lucid-rec of /etc/passwd if there is one, otherwise uid and gid 65533, which no account should have. Read once. */
struct recorder_account recorder_account(void);

#endif
