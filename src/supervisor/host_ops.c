#include "supervisor/host_ops.h"

#include <assert.h>

#include "lucid/str.h"
#include "sys/source_file.h"

/* The context of a handler: the host, and the entry of its operation. */
struct bound {
	struct loop *loop;
	struct host *host;
	const struct host_entry *entry;
};

static void on_host_answer(void *arg, int err, const char *message, json_t *consume_out)
{
	struct call *c = arg;
	if (!err)
		call_ok(c, consume_out);
	else
		call_fail_details(c, err, consume_out, message ? "%s" : NULL, message);
}

static void stream(struct call *c, const struct bound *b, const json_t *in)
{
	const char *why = NULL;
	int fd = b->entry->open(b->host, in, &why);
	if (fd < 0)
		call_fail(c, fd, why ? "%s" : NULL, why);
	else
		call_ok_source(c, source_file_new(b->loop, fd), b->entry->media ? b->entry->media : "text/plain; charset=utf-8");
}

static void handle(struct call *c, void *ctx)
{
	const struct bound *b = ctx;
	_cleanup_(doc_unrefp) json_t *none = json_object();
	json_t *in = call_body(c) ? call_body(c) : none;
	/* the server may be compromised, so the supervisor enforces its own bound on the number of jobs */
	if (!b->entry->ends && host_jobs(b->host) >= HOST_JOBS_MAX) {
		call_fail(c, ERR_BUSY, "%zu host jobs are already running; retry when some have ended", host_jobs(b->host));
		return;
	}
	if (b->entry->open)
		stream(c, b, in);
	else
		b->entry->fn(b->host, in, on_host_answer, c);
}

void host_ops_serve(struct loop *l, struct bus *b, struct host *h)
{
	static struct bound bound[64];
	assert(host_entries_n <= ARRAY_LEN(bound));
	for (size_t i = 0; i < host_entries_n; i++) {
		const struct op *op = op_find(host_entries[i].op);
		assert(op);
		bound[i] = (struct bound){ l, h, &host_entries[i] };
		bus_serve(b, op, handle, &bound[i]);
	}
}
