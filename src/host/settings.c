#include "host/settings.h"

#include <stdio.h>
#include <unistd.h>

#include "host/xrdp_config/ini.h"
#include "host/preload_env.h"
#include "host/recording/recorder_wire.h"
#include "lucid/str.h"
#include "sys/files.h"

static char *find_program(const char *name)
{
	static const char *const dirs[] = { "/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin",
					    "/opt/xrdp/sbin" };
	for (size_t n = 0; n < ARRAY_LEN(dirs); n++) {
		char *path = xasprintf("%s/%s", dirs[n], name);
		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return xasprintf("%s/%s", dirs[0], name);
}

static char *find_preload(void)
{
	char *path = program_file(PRELOAD_FILE);
	return path ? path : xstrdup("");
}

static char *find_recorder(void)
{
	char *path = program_file(RECORDER_FILE);
	return path ? path : xstrdup("");
}

static const char *given(const char *s, const char *otherwise)
{
	return xstrdup(s && *s ? s : otherwise);
}

/* Debian's xrdp-keygen and daemons have no use for a host name that is not one. */
static char *node_of(const char *node)
{
	char name[65] = "";
	if (!node || !*node) {
		gethostname(name, sizeof name - 1);
		node = name;
	}
	size_t len = strspn(node, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-");
	return len && len <= 63 && !node[len] ? xstrdup(node) : xstrdup("localhost");
}

static const char *const *list_copy(const char *const *src)
{
	size_t n = 0;
	while (src && src[n])
		n++;
	char **list = src ? xcalloc(n + 1, sizeof *list) : NULL;
	for (size_t k = 0; k < n; k++)
		list[k] = xstrdup(src[k]);
	return (const char *const *)list;
}

static void list_free(const char *const *list)
{
	for (size_t n = 0; list && list[n]; n++)
		free((void *)(uintptr_t)list[n]);
	free((void *)(uintptr_t)list);
}

void settings_copy(struct host_settings *dst, const struct host_settings *src)
{
	*dst = *src;
	dst->data_dir = given(src->data_dir, "/var/lib/lucid-rdp");
	dst->log_dir = given(src->log_dir, "/var/log/lucid-rdp");
	dst->runtime_dir = given(src->runtime_dir, "/run/lucid-rdp");
	dst->xrdp = src->xrdp && *src->xrdp ? xstrdup(src->xrdp) : find_program("xrdp");
	dst->sesman = src->sesman && *src->sesman ? xstrdup(src->sesman) : find_program("xrdp-sesman");
	dst->xrdp_config = given(src->xrdp_config, "/etc/xrdp");
	dst->xrdp_log = given(src->xrdp_log, "/var/log");
	dst->cert_file = given(src->cert_file, "");
	dst->key_file = given(src->key_file, "");
	dst->program = src->program && *src->program ? xstrdup(src->program) : program_path();
	dst->preload = src->preload && *src->preload ? xstrdup(src->preload) : find_preload();
	dst->desktop_default = given(src->desktop_default, "");
	dst->node = node_of(src->node);
	dst->desktop_profiles = list_copy(src->desktop_profiles);
	dst->user_map = list_copy(src->user_map);
	dst->pam_session_exclude = list_copy(src->pam_session_exclude);
	_cleanup_(xfreep) char *recordings = xasprintf("%s/recordings", dst->data_dir);
	dst->session_storage = given(src->session_storage, recordings);
	dst->chunk_storage = given(src->chunk_storage, dst->session_storage);
	dst->recorder = src->recorder && *src->recorder ? xstrdup(src->recorder) : find_recorder();
	if (src->other_ports) {
		size_t n = 0;
		while (src->other_ports[n])
			n++;
		int *ports = xcalloc(n + 1, sizeof *ports);
		memcpy(ports, src->other_ports, n * sizeof *ports);
		dst->other_ports = ports;
	}
}

void settings_user_map(struct host_settings *s, const char *const *map)
{
	list_free(s->user_map);
	s->user_map = list_copy(map);
}

void settings_done(struct host_settings *s)
{
	const char *const text[] = { s->data_dir, s->log_dir,         s->runtime_dir, s->xrdp,
				     s->sesman,   s->xrdp_config,     s->cert_file,   s->key_file,
				     s->program,  s->desktop_default, s->node,	      s->xrdp_log, s->preload,
				     s->session_storage, s->chunk_storage, s->recorder };
	for (size_t n = 0; n < ARRAY_LEN(text); n++)
		free((void *)(uintptr_t)text[n]);
	list_free(s->desktop_profiles);
	list_free(s->user_map);
	list_free(s->pam_session_exclude);
	free((void *)(uintptr_t)s->other_ports);
}

const char *settings_fault(const struct host_settings *s)
{
	if (!ini_path_ok(s->data_dir))
		return "DATA_DIR must be an absolute path of letters, digits and ._/+@:=,- for instances to be started "
		       "from it";
	if (!ini_path_ok(s->log_dir))
		return "LOG_DIR must be an absolute path of letters, digits and ._/+@:=,- for instances to log there";
	if (!ini_path_ok(s->runtime_dir))
		return "RUNTIME_DIR must be an absolute path of letters, digits and ._/+@:=,- to stand in a PAM file";
	if (!ini_path_ok(s->program))
		return "this program must lie at a path of letters, digits and ._/+@:=,- to stand in a PAM file";
	if (!*s->cert_file != !*s->key_file)
		return "XRDP_CERT_FILE and XRDP_KEY_FILE must be set together";
	return NULL;
}
