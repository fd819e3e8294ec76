#include "host/recording/recorder_account.h"

#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>

#include "lucid/str.h"

#define ACCOUNT "lucid-rec"
#define OWN_UID 65533

/* From /etc/passwd only, because getpwnam may block on a name service. */
struct recorder_account recorder_account(void)
{
	static struct recorder_account found;
	static bool looked;
	if (looked)
		return found;
	looked = true;
	found = (struct recorder_account){ OWN_UID, OWN_UID };
	FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *pw;
	while (f && (pw = fgetpwent(f)))
		if (str_eq(pw->pw_name, ACCOUNT) && pw->pw_uid != 0)
			found = (struct recorder_account){ pw->pw_uid, pw->pw_gid };
	if (f)
		fclose(f);
	return found;
}
