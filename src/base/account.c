#include "lucid/account.h"

#include "lucid/str.h"

bool account_name_ok(const char *s)
{
	size_t len = strlen(s);
	return len && len <= ACCOUNT_MAX && str_utf8(s, len, NULL) && !str_has_control(s, false);
}

const char *account_of_user(const char *const *map, const char *user)
{
	size_t n = strlen(user);
	for (; map && *map; map++) {
		const char *eq = strrchr(*map, '='); /* a user name may contain '='; the account follows the last one */
		if (eq && (size_t)(eq - *map) == n && !strncmp(*map, user, n))
			return eq + 1;
	}
	return user;
}

void account_user(const char *const *map, const char *account, char dst[CALLER_NAME_MAX + 1])
{
	size_t len = strlen(account);
	bool elsewhere = false;
	for (; map && *map; map++) {
		const char *eq = strrchr(*map, '='); /* a user name may contain '='; the account follows the last one */
		if (!eq)
			continue;
		size_t user = (size_t)(eq - *map);
		elsewhere |= user == len && strncmp(*map, account, len) == 0;
		if (str_eq(eq + 1, account) && user <= CALLER_NAME_MAX) {
			memcpy(dst, *map, user);
			dst[user] = '\0';
			return;
		}
	}
	str_copy(dst, CALLER_NAME_MAX + 1, elsewhere ? "" : account);
}
