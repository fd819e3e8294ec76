#include "sys/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lucid/str.h"
#include "sys/files.h"

#define DISTROLESS_UID 65532 /* the uid that distroless images run as */

bool run_user_find(const char *name, struct run_user *ret)
{
	int64_t number;
	const struct passwd *pw = getpwnam(*name ? name : "lucid-rdp");
	if (pw) {
		*ret = (struct run_user){ pw->pw_uid, pw->pw_gid };
		return true;
	}
	if (!*name || str_int(name, 1, 4294967294, &number)) {
		uid_t uid = *name ? (uid_t)number : DISTROLESS_UID;
		pw = getpwuid(uid);
		*ret = (struct run_user){ uid, pw ? pw->pw_gid : (gid_t)uid };
		return true;
	}
	return false;
}

void privileges_leave_keyring(void)
{
	int saved = errno;
	syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
	errno = saved;
}

int privileges_drop(const struct run_user *u)
{
	if (geteuid() == 0) {
		privileges_leave_keyring();
		/* the bounding set first, because dropping from it requires CAP_SETPCAP; PR_CAPBSET_READ fails behind the kernel's last
		 * capability */
		for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
			if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
				return -1;
		if (setgroups(0, NULL) < 0 && errno != EPERM)
			return -1;
		if (setresgid(u->gid, u->gid, u->gid) < 0 || setresuid(u->uid, u->uid, u->uid) < 0)
			return -1;
	}
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
	if (syscall(SYS_capset, &head, none) < 0)
		return -1;
	/* other processes of this user must not read its memory, and no core file is written */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int privileges_make_dir(const char *path, mode_t mode, const struct run_user *owner)
{
	int r = dir_make(path, mode);
	if (r < 0) {
		errno = -r;
		return -1;
	}
	if (geteuid() != 0)
		return 0;
	if (owner && lchown(path, owner->uid, owner->gid) < 0)
		return -1;
	return chmod(path, mode);
}
