#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/doctor/doctor.h"
#include "host/recording/recorder_wire.h"
#include "lucid/record_keys.h"
#include "lucid/str.h"
#include "sys/files.h"

/* What recording needs on this host. Without it the program does everything else. */

#define EXIT_NO_LIBRARY 127 /* of a program whose libraries the loader does not find */

struct lacks {
	struct strbuf what, install;
};

static void lack(struct lacks *l, const char *package, const char *fmt, ...) PRINTF(3, 4);
static void lack(struct lacks *l, const char *package, const char *fmt, ...)
{
	va_list ap;
	if (l->what.len)
		strbuf_puts(&l->what, "; ");
	va_start(ap, fmt);
	strbuf_vprintf(&l->what, fmt, ap);
	va_end(ap);
	strbuf_printf(&l->install, "%s%s", l->install.len ? ", " : "", package);
}

/* Exit code of the program without a control socket, with which it ends at once. */
static int run_recorder(const char *path)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		close_range(0, ~0u, 0);
		execl(path, path, (char *)NULL);
		_exit(EXIT_NO_LIBRARY);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void look_for_recorder(struct lacks *l)
{
	_cleanup_(xfreep) char *path = program_file(RECORDER_FILE);
	if (!path)
		lack(l, "the program again", RECORDER_FILE " is missing, so nothing can be recorded");
	else if (run_recorder(path) == EXIT_NO_LIBRARY)
		lack(l, "libxcb1, libxcb-damage0, libxcb-xfixes0 and libxcb-shm0", RECORDER_FILE " lacks a library, so nothing can be recorded");
}

static void look_for_codec(struct lacks *l, enum record_codec codec, const char *package, const char *so)
{
	char why[128];
	if (!record_codec_load(codec, why, sizeof why))
		lack(l, package, "%s cannot be loaded, so recordings with the compression %s can neither be made nor played", so, record_codec_to_string(codec));
}

static bool is_in_path(const char *program)
{
	const char *path = getenv("PATH");
	for (const char *p = path ? path : "/usr/local/bin:/usr/bin:/bin"; *p; p += *p == ':') {
		size_t n = strcspn(p, ":");
		_cleanup_(xfreep) char *file = xasprintf("%.*s/%s", (int)n, p, program);
		if (access(file, X_OK) == 0)
			return true;
		p += n;
	}
	return false;
}

void doctor_recording(UNUSED const struct config *c, struct finding *f)
{
	struct lacks l = { 0 };
	const char *cipher = record_cipher_to_string(record_cipher_here());
	look_for_recorder(&l);
	look_for_codec(&l, RECORD_ZSTD, "libzstd1", "libzstd.so.1");
	look_for_codec(&l, RECORD_LZ4, "liblz4-1", "liblz4.so.1");
	if (!is_in_path("ffmpeg"))
		lack(&l, "ffmpeg", "ffmpeg is not installed, so recordings cannot be exported as video");
	_cleanup_(xfreep) char *advice = xasprintf("install %s", l.install.s ? l.install.s : "");
	if (l.what.len)
		doctor_say(f, DOCTOR_WARN, advice, "%s", l.what.s);
	else
		doctor_say(f, DOCTOR_OK, "", "recorder, zstd, lz4 and ffmpeg are installed; this processor encrypts recordings with %s", cipher);
	strbuf_done(&l.what);
	strbuf_done(&l.install);
}
