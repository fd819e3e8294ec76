#include "app/commands/verify_recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/commands/commands.h"
#include "lucid/record_verify.h"
#include "lucid/str.h"
#include "sys/privileges.h"

#define MASTER_KEY_FILE_MAX 4096

static const int exit_codes[] = { [RECORD_WHOLE] = 0, [RECORD_BROKEN] = 1, [RECORD_UNSEALED] = 3, [RECORD_UNREADABLE] = 4 };

/* What the options say, parsed. */
struct expected {
	struct record_master masters[VERIFY_KEYS_MAX];
	uint8_t public_keys[VERIFY_KEYS_MAX][RECORD_PUBLIC_BYTES];
	uint8_t head[RECORD_HASH_BYTES];
	int64_t head_seq;
};

static bool hex_bytes(const char *hex, uint8_t *dst, size_t n)
{
	if (strlen(hex) != 2 * n || strspn(hex, "0123456789abcdef") != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++)
		dst[i] = (uint8_t)strtoul((char[]){ hex[2 * i], hex[2 * i + 1], 0 }, NULL, 16);
	return true;
}

/* A file with a MASTER_KEY, without the line's end. */
static bool read_master_key(const char *path, struct record_master *ret)
{
	char text[MASTER_KEY_FILE_MAX];
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
	if (n < 0) {
		fprintf(stderr, "verify: cannot read the MASTER_KEY in %s: %s\n", path, strerror(errno));
		return false;
	}
	while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	bool good = record_master_init(ret, text, (size_t)n);
	mem_wipe(text, sizeof text);
	if (!good)
		fprintf(stderr, "verify: the MASTER_KEY in %s is too short: %zd bytes, at least %d are required\n", path, n, RECORD_MASTER_MIN);
	return good;
}

static bool parse_announced(const char *head, struct expected *e)
{
	const char *colon = strchr(head, ':');
	_cleanup_(xfreep) char *number = xstrndup(head, colon ? (size_t)(colon - head) : 0);
	return colon && str_int(number, 0, RECORD_CHUNKS_MAX - 1, &e->head_seq) && hex_bytes(colon + 1, e->head, sizeof e->head);
}

/* 0, or the exit code after printing why. */
static int parse_expected(const struct verify_recording *v, struct expected *e)
{
	for (size_t i = 0; i < v->n_public_keys; i++)
		if (!hex_bytes(v->public_keys[i], e->public_keys[i], RECORD_PUBLIC_BYTES)) {
			fprintf(stderr, "verify: --public-key must be 64 lower-case hex digits\n");
			return EXIT_USAGE;
		}
	if (v->head && !parse_announced(v->head, e)) {
		fprintf(stderr, "verify: --head must be SEQ:HASH, with the SHA-256 of a chunk in 64 lower-case hex digits\n");
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < v->n_master_key_files; i++)
		if (!read_master_key(v->master_key_files[i], &e->masters[i]))
			return exit_codes[RECORD_UNREADABLE];
	return 0;
}

/* The recorder's account wrote the files, so root reads them with the rights of that account. */
static bool become_owner_of(int fd)
{
	struct stat st;
	if (geteuid() != 0 || fstat(fd, &st) < 0 || st.st_uid == 0)
		return true;
	return privileges_drop(&(struct run_user){ st.st_uid, st.st_gid }) == 0;
}

/* --- output */

static void print_json(const struct record_verdict *v)
{
	char hex[2 * RECORD_HASH_BYTES + 1] = "";
	json_t *doc = json_object(), *list = json_array();
	bool readable = v->state != RECORD_UNREADABLE;
	doc_set_str(doc, "state", record_state_found_to_string(v->state));
	doc_set_str(doc, "recording_id", readable ? v->id : NULL);
	doc_set_int(doc, "chunks", v->chunks);
	doc_set_int(doc, "torn", v->torn);
	doc_set_int(doc, "frames", (int64_t)v->frames);
	doc_set_int(doc, "bytes", (int64_t)v->bytes);
	doc_set_int(doc, "duration_ms", (int64_t)v->duration_ms);
	doc_set_bool(doc, "sealed", v->sealed);
	doc_set_bool(doc, "open_chunk", v->open);
	doc_set_bool(doc, "decrypted", v->decrypted);
	doc_set_bool(doc, "signer_known", v->signer_known);
	str_hex(hex, v->public_key, sizeof v->public_key);
	doc_set_str(doc, "public_key", readable ? hex : NULL);
	str_hex(hex, v->head, sizeof v->head);
	doc_set_str(doc, "head", readable ? hex : NULL);
	for (size_t i = 0; i < v->n_kept; i++) {
		json_t *f = json_object();
		doc_set_str(f, "kind", record_finding_to_string(v->findings[i].kind));
		doc_set(f, "chunk", v->findings[i].seq < 0 ? json_null() : json_integer(v->findings[i].seq));
		doc_set_str(f, "text", v->findings[i].text);
		json_array_append_new(list, f);
	}
	doc_set_int(doc, "n_findings", (int64_t)v->n_findings);
	doc_set(doc, "findings", list);
	_cleanup_(xfreep) char *text = doc_text(doc);
	json_decref(doc);
	puts(text);
}

static void print_findings(const struct record_verdict *v)
{
	for (size_t i = 0; i < v->n_kept; i++) {
		const struct record_finding *f = &v->findings[i];
		if (f->seq < 0)
			printf("  %s: %s\n", record_finding_to_string(f->kind), f->text);
		else
			printf("  %s: chunk %lld: %s\n", record_finding_to_string(f->kind), (long long)f->seq, f->text);
	}
	if (v->n_findings > v->n_kept)
		printf("  and %zu more\n", v->n_findings - v->n_kept);
}

static void print_text(const struct record_verdict *v)
{
	char public_key[2 * RECORD_PUBLIC_BYTES], head[2 * RECORD_HASH_BYTES];
	str_hex(public_key, v->public_key, sizeof v->public_key);
	str_hex(head, v->head, sizeof v->head);
	if (v->state == RECORD_UNREADABLE) {
		printf("unreadable: this is not a recording, or it cannot be read\n");
		print_findings(v);
		return;
	}
	printf("%s: recording %s: %u chunks, %llu frames, %llu bytes, %llu.%03llu s\n", record_state_found_to_string(v->state), v->id, v->chunks, (unsigned long long)v->frames,
	       (unsigned long long)v->bytes, (unsigned long long)v->duration_ms / 1000, (unsigned long long)v->duration_ms % 1000);
	print_findings(v);
	if (v->torn)
		printf("  %u of the chunks are torn: the recorder died while it wrote them\n", v->torn);
	if (v->chunks)
		printf("  head %u:%.*s\n", v->chunks - 1, (int)sizeof head, head);
	printf("  signed by %.*s%s\n", (int)sizeof public_key, public_key, v->signer_known ? "" : "; this key was not compared with an expected one (--public-key, --master-key-file)");
	printf(v->decrypted ? "  hashes, tags and records were checked\n" : "  hashes were checked; tags and records need the key (--master-key-file)\n");
	if (!v->sealed)
		printf("  there is no seal: the recording is still running, or it was cut short and its seal removed\n");
}

static int report_verdict(const struct verify_recording *v, const struct record_verdict *verdict)
{
	if (v->json)
		print_json(verdict);
	else
		print_text(verdict);
	return fflush(stdout) == 0 ? exit_codes[verdict->state] : exit_codes[RECORD_UNREADABLE];
}

int verify_recording(const struct verify_recording *v)
{
	static struct expected e;
	static struct record_verdict verdict;
	int code = parse_expected(v, &e);
	if (code)
		return code;
	_cleanup_(closep) int fd = open(v->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || !become_owner_of(fd)) {
		fprintf(stderr, "verify: %s %s: %s\n", fd < 0 ? "cannot open" : "cannot switch to the account that owns", v->dir, strerror(errno));
		return exit_codes[RECORD_UNREADABLE];
	}
	struct record_check_args a = { .masters = e.masters, .n_masters = v->n_master_key_files, .public_keys = (const void *)e.public_keys, .n_public_keys = v->n_public_keys,
				       .head_hash = v->head ? e.head : NULL, .head_seq = (uint32_t)e.head_seq };
	record_verify_dir(fd, &a, NULL, NULL, &verdict);
	code = report_verdict(v, &verdict);
	mem_wipe(&e, sizeof e);
	return code;
}
