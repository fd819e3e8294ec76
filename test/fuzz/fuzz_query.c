#include "fuzz.h"
#include "roles/contract/contract.h"

/* A parsed query, written and parsed again, gives the same document. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct shape *shape = op_find("rdp.servers.list")->query;
	char *raw = fuzz_text(data, size);
	struct faults f = { 0 }, g = { 0 };
	json_t *doc = shape_from_query(shape, raw, &f);
	if (!faults_any(&f)) {
		char *text = shape_to_query(doc);
		json_t *again = shape_from_query(shape, text, &g);
		assert(!faults_any(&g) && json_equal(doc, again));
		json_decref(again);
		free(text);
	}
	faults_done(&f);
	json_decref(doc);
	free(raw);
	return 0;
}
