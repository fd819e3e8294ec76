/* Writes a recording into a directory: record DIR KIND MB, where KIND is text (a page that scrolls by) or noise (which no codec compresses), until
 * its files have MB megabytes. Prints the processor time of the writer, its memory, and the sizes. The MASTER_KEY is in DIR.key. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lucid/id.h"
#include "lucid/record_papers.h"
#include "lucid/str.h"
#include "record/writer.h"

#define WIDTH 1920
#define HEIGHT 1080
#define STRIDE ((size_t)WIDTH * 4)
#define FRAME_US 33333
#define LINE 16 /* pixels that the text scrolls by */
#define MASTER "0123456789abcdef0123456789abcdef"

static uint8_t screen[STRIDE * HEIGHT];
static uint64_t closed_bytes, raw_bytes;
static uint32_t chunks;

static void on_chunk(void *arg, const struct record_index_entry *e)
{
	closed_bytes += e->bytes;
	raw_bytes += e->raw_bytes;
	chunks++;
}

static uint32_t number(void)
{
	static uint32_t state = 1;
	state = state * 1664525 + 1013904223;
	return state >> 8;
}

static void paint_noise(void)
{
	uint32_t *p = (uint32_t *)(void *)screen;
	for (size_t i = 0; i < sizeof screen / 4; i++)
		p[i] = number();
}

/* A line of "letters" of 8 × 12 pixels, from an alphabet of 64. */
static void paint_text(void)
{
	uint32_t *p = (uint32_t *)(void *)screen;
	memmove(screen, screen + LINE * STRIDE, sizeof screen - LINE * STRIDE);
	for (size_t column = 0; column < WIDTH / 8; column++) {
		uint32_t letter = number() % 64 * 2654435761u;
		for (size_t y = 0; y < LINE; y++)
			for (size_t x = 0; x < 8; x++)
				p[(HEIGHT - LINE + y) * WIDTH + column * 8 + x] = y < 12 && letter >> (x + y * 3) % 32 & 1 ? 0x202020 : 0xffffff;
	}
}

static void put(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (!text || fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		perror(name);
		exit(1);
	}
	close(fd);
}

static void finish(int dir, const char *path, const struct record_writer_args *a)
{
	char id[37];
	struct record_master m;
	struct record_wrapped wrapped;
	struct record_seal s = { .state = "complete" };
	struct stat st;
	int fd = openat(dir, RECORD_INDEX, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		exit(1);
	uint8_t *index = xmalloc((size_t)st.st_size);
	record_id_text(id, a->id);
	record_master_init(&m, MASTER, strlen(MASTER));
	record_key_wrap(&m, a->id, a->key, &wrapped);
	s.recording = json_pack("{s:s}", "recording_id", id);
	if (read(fd, index, (size_t)st.st_size) != st.st_size || !record_seal_add_up(&s, index, (size_t)st.st_size))
		exit(1);
	put(dir, RECORD_MANIFEST, record_manifest_text(s.recording, &wrapped, &m));
	put(dir, RECORD_SEAL, record_seal_text(&s, &m));
	put(AT_FDCWD, xasprintf("%s.key", path), MASTER "\n");
}

static double cpu_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Most that was resident so far; getrusage counts what the process had before exec, too. */
static long peak_kib(void)
{
	char line[256];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

int main(int argc, char **argv)
{
	char uuid[ID_UUID_SIZE];
	uint8_t key[RECORD_KEY_BYTES];
	int64_t now = 0, mb;
	double cpu = 0;
	struct record_writer *w;
	int dir = argc == 4 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (dir < 0 || !str_int(argv[3], 1, 100000, &mb))
		return 2;
	bool noise = str_eq(argv[2], "noise");
	record_key_new(key);
	struct record_writer_args a = { .dir_fd = dir, .key = key, .codec = RECORD_ZSTD, .cipher = record_cipher_here(), .chunk_ms = 30000, .on_chunk = on_chunk };
	id_uuid(uuid);
	record_id_parse(uuid, a.id);
	memset(screen, 0xff, sizeof screen); /* it is in memory before the measurement */
	long before = peak_kib();
	int rc = record_writer_new(&a, &w);
	for (; rc == 0 && closed_bytes < (uint64_t)mb * 1000000; now += FRAME_US) {
		(noise ? paint_noise : paint_text)();
		struct record_rect all = { 0, 0, WIDTH, HEIGHT, screen, STRIDE };
		double begin = cpu_seconds();
		bool first = record_writer_wants_key(w, now, WIDTH, HEIGHT);
		rc = record_writer_frame(w, now, WIDTH, HEIGHT, first, (uint64_t)WIDTH * HEIGHT, &all, 1);
		if (rc == 0)
			rc = record_writer_tick(w, now);
		cpu += cpu_seconds() - begin;
	}
	if (rc == 0)
		rc = record_writer_close_chunk(w);
	long after = peak_kib();
	if (rc < 0) {
		fprintf(stderr, "%s\n", strerror(-rc));
		return 1;
	}
	record_writer_free(w);
	finish(dir, argv[1], &a);
	printf("cpu_s %.3f\nmemory_kib %ld\nbytes %llu\nraw_bytes %llu\nchunks %u\n", cpu, after - before, (unsigned long long)closed_bytes,
	       (unsigned long long)raw_bytes, chunks);
	return 0;
}
