#include "roles/rdp-session-controller/export/encoder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lucid/errs.h"
#include "lucid/str.h"

#define FAILED (-1)

struct encoder {
	int fps, pipe, file;
	pid_t pid; /* 0: it did not start */
	unsigned width, height;
	uint8_t *picture; /* BGRX */
	int64_t t0_ms, frames; /* frames that were written */
	bool drawing;	       /* the rows that follow are of a frame */
};

static const char *const codec_x264[] = { "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt", "yuv420p", "-threads", "1", NULL };
static const char *const codec_vp8[] = { "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "2M", "-threads", "1", NULL };
static const struct {
	const char *format, *muxer;
	const char *const *codec;
} formats[] = { { "mp4", "mp4", codec_x264 }, { "mkv", "matroska", codec_x264 }, { "webm", "webm", codec_vp8 } };

/* The arguments are fixed words and numbers; none comes from a request. */
static int spawn_ffmpeg(struct encoder *e, const struct encoder_args *a, int input)
{
	char size[32], rate[16], filter[256];
	const char *argv[48] = { "ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr0", "-s", size, "-r", rate, "-i", "pipe:0", "-vf", filter };
	static char *env[] = { (char *)(uintptr_t) "PATH=/usr/local/bin:/usr/bin:/bin", NULL };
	size_t n = 17, f = 0;
	posix_spawn_file_actions_t actions;
	while (!str_eq(formats[f].format, a->format))
		f++;
	snprintf(size, sizeof size, "%ux%u", e->width, e->height);
	snprintf(rate, sizeof rate, "%d", a->fps);
	snprintf(filter, sizeof filter, "scale=w='min(iw,%u)':h='min(ih,%u)':force_original_aspect_ratio=decrease,pad=w='ceil(iw/2)*2':h='ceil(ih/2)*2'", a->max_width,
		 a->max_height);
	for (const char *const *c = formats[f].codec; *c; c++)
		argv[n++] = *c;
	if (str_eq(a->format, "mp4")) {
		argv[n++] = "-movflags";
		argv[n++] = "+faststart";
	}
	argv[n++] = "-f";
	argv[n++] = formats[f].muxer;
	argv[n++] = "/proc/self/fd/3";
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input, 0);
	posix_spawn_file_actions_adddup2(&actions, e->file, 3);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	int rc = posix_spawnp(&e->pid, "ffmpeg", &actions, NULL, (char *const *)(uintptr_t)argv, env);
	posix_spawn_file_actions_destroy(&actions);
	if (rc)
		e->pid = 0;
	else
		setpriority(PRIO_PROCESS, (id_t)e->pid, 19);
	return rc ? -ERR_NO_EXPORTER : 0;
}

struct encoder *encoder_new(const struct encoder_args *a, int *ret_err)
{
	int ends[2] = { -1, -1 };
	struct encoder *e = XNEW(struct encoder);
	*e = (struct encoder){ .fps = a->fps, .pipe = -1, .width = a->width, .height = a->height };
	e->file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	*ret_err = e->file < 0 || pipe2(ends, O_CLOEXEC) < 0 ? -ERR_RECORDING_STORAGE : 0;
	if (!*ret_err)
		*ret_err = spawn_ffmpeg(e, a, ends[0]);
	fd_close(&ends[0]);
	e->pipe = ends[1];
	if (*ret_err) {
		encoder_free(e);
		return NULL;
	}
	e->picture = xcalloc((size_t)e->width * e->height, 4);
	return e;
}

void encoder_kill(struct encoder *e)
{
	if (e->pid)
		kill(e->pid, SIGKILL);
}

void encoder_free(struct encoder *e)
{
	if (!e)
		return;
	encoder_kill(e);
	fd_close(&e->pipe);
	fd_close(&e->file);
	if (e->pid)
		waitpid(e->pid, NULL, 0);
	free(e->picture);
	free(e);
}

/* --- on the worker */

/* The picture as it is, for each moment of the video before this time. */
static int write_until(struct encoder *e, int64_t ms)
{
	size_t size = (size_t)e->width * e->height * 4;
	for (; e->frames * 1000 / e->fps < ms; e->frames++) {
		for (size_t at = 0; at < size;) {
			ssize_t n = write(e->pipe, e->picture + at, size - at);
			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				return FAILED;
			at += (size_t)n;
		}
	}
	return 0;
}

void encoder_chunk(struct encoder *e, int64_t t0_ms)
{
	e->t0_ms = t0_ms;
}

int encoder_record(void *arg, const struct record_record *r)
{
	struct encoder *e = arg;
	e->drawing = r->kind == RECORD_FRAME;
	return e->drawing ? write_until(e, e->t0_ms + r->t_ms) : 0;
}

int encoder_rows(void *arg, const struct record_rect *band)
{
	struct encoder *e = arg;
	if (!e->drawing || band->x >= e->width)
		return 0;
	size_t width = MIN(band->w, e->width - band->x);
	for (unsigned row = 0; row < band->h && (unsigned)band->y + row < e->height; row++)
		memcpy(e->picture + ((size_t)(band->y + row) * e->width + band->x) * 4, band->bgrx + row * band->stride, width * 4);
	return 0;
}

bool encoder_finish(struct encoder *e, int64_t end_ms)
{
	siginfo_t end = { 0 };
	bool written = write_until(e, MAX(end_ms, e->frames * 1000 / e->fps + 1)) == 0;
	fd_close(&e->pipe);
	/* it is reaped by encoder_free, on the loop: encoder_kill must not meet another process with its number */
	while (waitid(P_PID, (id_t)e->pid, &end, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	return written && end.si_code == CLD_EXITED && end.si_status == 0;
}

int encoder_take_file(struct encoder *e, int64_t *ret_bytes)
{
	struct stat st;
	*ret_bytes = fstat(e->file, &st) == 0 ? (int64_t)st.st_size : 0;
	return TAKE_FD(e->file);
}
