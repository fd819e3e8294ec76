#include "fuzz.h"
#include "host/xrdp_config/ini.h"
#include "lucid/str.h"
#include "roles/contract/contract.h"

/* A line of a generated file begins with a known key, a section or a comment, whatever the document contains. */
static void check_lines(const char *text)
{
	for (const char *p = text; *p; p += strcspn(p, "\n") + 1) {
		assert((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || strchr("[#;\n", *p));
		if (!p[strcspn(p, "\n")])
			break;
	}
}

static void render(json_t *spec)
{
	struct ini_in in = { .spec = spec, .sesman_port = 700, .display_first = 1000, .cert = "/c", .key = "/k", .log = "/l",
			     .program = "/p", .hook_socket = "/s" };
	char *(*const files[])(const struct ini_in *) = { ini_xrdp, ini_sesman };
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *text = files[i](&in);
		check_lines(text);
		free(text);
	}
}

/* An accepted document can be written and read again, and the second text is the same. */
static void check_round_trip(const json_t *doc)
{
	char *text = doc_text(doc);
	json_t *again = doc_parse(text, strlen(text), NULL, 0);
	char *same = doc_text(again);
	assert(again && strcmp(text, same) == 0);
	free(same);
	json_decref(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[160];
	json_t *doc = doc_parse((const char *)data, size, why, sizeof why);
	if (!doc)
		return 0;
	const struct shape *shapes[] = { op_find("rdp.servers.create")->in, op_find("rdp.servers.patch")->in, &shape_instance_spec };
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		struct faults f = { 0 };
		int rc = shape_check(shapes[i], doc, i == 1 ? SHAPE_PATCH : SHAPE_FULL, &f);
		assert((rc == 0) == (f.list == NULL));
		if (rc == 0)
			check_round_trip(doc);
		if (rc == 0 && i == 2) {
			shape_defaults(shapes[i], doc);
			render(doc);
		}
		faults_done(&f);
	}
	json_decref(doc);
	return 0;
}
