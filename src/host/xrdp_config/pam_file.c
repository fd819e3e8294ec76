#include "host/xrdp_config/pam_file.h"

#include "host/xrdp_config/ini.h"
#include "lucid/shape.h"
#include "lucid/str.h"

char *pam_file_text(const struct ini_in *in)
{
	struct strbuf b = { 0 };
	strbuf_puts(&b, "#%PAM-1.0\n# " INI_MADE "\n");
	bool hook = in->program && in->hook_socket;
	/* Runs before the password is checked, and refuses a login that is not from this server's xrdp or from a blocked client, so that it
	 * never learns whether the password is right. If the program cannot be run, every login is refused. */
	if (hook && in->sesman_port)
		strbuf_printf(&b, "auth requisite pam_exec.so quiet %s pam-hook begin %d %u %s\n", in->program, in->sesman_port,
			      (unsigned)in->xrdp_uid, in->hook_socket);
	strbuf_puts(
	    &b, "auth required pam_env.so readenv=1\nauth required pam_env.so readenv=1 envfile=/etc/default/locale\n");
	strbuf_puts(&b, in->common_auth ? "@include common-auth\n" : "auth substack system-auth\n");
	/* Refuses a login for which there may be no further desktop. `required`: the rest of the step is run, and cannot allow it. How far a
	 * login came tells why it failed. */
	if (hook)
		strbuf_printf(&b, "account required pam_exec.so quiet %s pam-hook admit %s\n", in->program, in->hook_socket);
	/* this file is bind-mounted and cannot change while the server runs; pam-access can */
	strbuf_puts(&b, "account include /etc/xrdp/pam-access\n");
	strbuf_puts(&b, in->common_auth ? "@include common-account\n" : "account include system-auth\n");
	if (hook)
		strbuf_printf(&b, "account optional pam_exec.so quiet %s pam-hook allowed %s\n", in->program, in->hook_socket);
	/* optional: a missing program, for example during an upgrade, must not prevent logins */
	if (in->program && in->hook_socket)
		strbuf_printf(&b, "session optional pam_exec.so quiet %s pam-hook %s\n", in->program, in->hook_socket);
	/* the modules of the host come after the hook, so that what they start is in the control group of the desktop */
	strbuf_puts(&b, "session substack /etc/xrdp/pam-session\n");
	strbuf_puts(&b, in->common_auth ? "@include common-password\n" : "password include system-auth\n");
	return strbuf_take(&b);
}

char *pam_names_text(const json_t *spec, const char *list)
{
	const json_t *names = doc_get(spec, list), *v;
	size_t n;
	if (json_array_size(names) == 0)
		return NULL;
	struct strbuf b = { 0 };
	json_array_foreach (names, n, v) {
		const char *s = json_string_value(v), *why;
		/* names that are not account names are left out; an empty file lets nobody log in */
		if (s && json_string_length(v) == strlen(s) && shape_format("account", s, &why))
			strbuf_printf(&b, "%s\n", s);
	}
	return strbuf_take(&b);
}

char *pam_access_text(const json_t *spec)
{
	bool users = json_array_size(doc_get(spec, "security.allowed_users")) > 0;
	bool groups = json_array_size(doc_get(spec, "security.allowed_groups")) > 0;
	struct strbuf b = { 0 };
	strbuf_puts(&b, "#%PAM-1.0\n# " INI_MADE "\n");
	if (users && groups)
		strbuf_puts(&b, "account [success=1 default=ignore] pam_listfile.so quiet item=user sense=allow "
				"onerr=fail file=/etc/xrdp/allowed_users\n");
	else if (users)
		strbuf_puts(&b, "account requisite pam_listfile.so quiet item=user sense=allow onerr=fail "
				"file=/etc/xrdp/allowed_users\n");
	if (groups)
		strbuf_puts(&b, "account requisite pam_listfile.so quiet item=group sense=allow onerr=fail "
				"file=/etc/xrdp/allowed_groups\n");
	return strbuf_take(&b);
}
