#include "roles/xrdp-integration/forward.h"

#include "lucid/str.h"
#include "roles/contract/contract.h"
#include "roles/xrdp-integration/lines.h"

/* --- documents for the host, made from path parameters, query and body */

static json_t *make_nothing(struct call *c)
{
	return json_object();
}

/* Numeric path parameters become numbers in the document. A number outside 1 to 65535 cannot be a display, so the call is answered. */
static bool add_param(struct call *c, json_t *doc, const char *name)
{
	const char *value = call_param(c, name);
	int64_t number;
	if (!str_eq(op_param_format(name), "digits")) {
		doc_set_str(doc, name, value);
		return true;
	}
	if (!str_int(value, 1, 65535, &number)) {
		call_fail(c, ERR_INSTANCE_NOT_FOUND, "no %s %s exists; it must be a number from 1 to 65535", name, value);
		return false;
	}
	doc_set_int(doc, name, number);
	return true;
}

static json_t *make_params(struct call *c)
{
	char names[OP_MAX_PARAMS][32];
	size_t n = op_param_names(call_op(c), names);
	json_t *doc = json_object();
	for (size_t i = 0; i < n; i++) {
		if (!add_param(c, doc, names[i])) {
			json_decref(doc);
			return NULL;
		}
	}
	return doc;
}

static json_t *make_params_and_query(struct call *c)
{
	json_t *doc = make_params(c);
	if (doc)
		json_object_update_missing(doc, call_query(c));
	return doc;
}

static json_t *make_params_and_body(struct call *c)
{
	json_t *doc = make_params(c);
	if (doc)
		json_object_update_missing(doc, call_body(c));
	return doc;
}

/* The name in the path must be that of a document; chunks and index belong to the recorder. */
static json_t *make_document(struct call *c)
{
	for (size_t n = 0; recording_documents[n]; n++)
		if (str_eq(recording_documents[n], call_param(c, "name")))
			return make_params_and_body(c);
	call_fail(c, ERR_RECORDING_NOT_FOUND, "%s cannot be written; manifest.json and seal.json can", call_param(c, "name"));
	return NULL;
}

static json_t *make_body(struct call *c)
{
	return json_incref(call_body(c));
}

static json_t *make_spec(struct call *c)
{
	return json_pack("{s:O}", "spec", call_body(c));
}

/* The body is the definition with `replace` in it; the host takes them apart. */
static json_t *make_start(struct call *c)
{
	json_t *spec = json_copy(call_body(c));
	bool replace = doc_bool(spec, "replace", false);
	json_object_del(spec, "replace");
	return json_pack("{s:o, s:b}", "spec", spec, "replace", replace);
}

static json_t *answer_started(struct call *c, json_t *doc)
{
	_cleanup_(xfreep) char *path =
		xasprintf("%s/%s", call_op(c)->path, doc_str(call_body(c), "server_id", ""));
	call_set_location(c, path);
	return json_incref(doc);
}

/* --- the host's own configuration */

static json_t *make_query(struct call *c)
{
	return json_copy(call_query(c));
}

static json_t *make_query_and_body(struct call *c)
{
	json_t *doc = json_copy(call_query(c));
	const char *file = doc_str(doc, "file", NULL), *other = doc_str(call_body(c), "file", NULL);
	if (file && other && !str_eq(file, other)) {
		json_decref(doc);
		call_fail_details(c, ERR_INVALID, json_pack("[{s:s, s:s}]", "field", "file", "message", "must name the same file as the query parameter `file`"),
				  NULL);
		return NULL;
	}
	json_object_update_missing(doc, call_body(c));
	json_object_del(doc, "version");
	return doc;
}

/* The expected version comes from If-Match or, if a document from GET was sent back, from the body. */
static json_t *make_put(struct call *c)
{
	json_t *doc = make_query_and_body(c);
	int64_t wanted = call_if_match(c);
	if (doc)
		doc_set_int(doc, "if_version", wanted ? wanted : doc_int(call_body(c), "version", 0));
	return doc;
}

static json_t *answer_versioned(struct call *c, json_t *doc)
{
	call_set_version(c, doc_int(doc, "version", 0));
	return json_incref(doc);
}

const struct forward forwards[] = {
	{ "xrdp.instances.start", "host.instance.start", make_start, answer_started },
	{ "xrdp.instances.list", "host.instance.list", make_nothing },
	{ "xrdp.instances.get", "host.instance.get", make_params },
	{ "xrdp.instances.stop", "host.instance.stop", make_params_and_query },
	{ "xrdp.instances.config", "host.instance.config", make_spec },
	{ "xrdp.instances.limits", "host.instance.limits", make_params_and_body },
	{ "xrdp.instances.logs", "host.logs", lines_ask, lines_answer },
	{ "xrdp.instances.log_file", "host.log.file", make_params_and_query },
	{ "xrdp.instances.connections", "host.connections", make_params },
	{ "xrdp.instances.connections.cut", "host.connection.cut", make_params },
	{ "xrdp.instances.desktops", "host.desktops", make_params },
	{ "xrdp.instances.desktops.end", "host.desktop.end", make_params },
	{ "xrdp.instances.desktops.limits", "host.desktop.limits", make_params_and_body },
	{ "xrdp.instances.desktops.message", "host.desktop.message", make_params_and_body },
	{ "xrdp.instances.stats", "host.instance.stats", make_params },
	{ "xrdp.recordings.start", "host.recording.start", make_body },
	{ "xrdp.recordings.list", "host.recording.list", make_nothing },
	{ "xrdp.recordings.stop", "host.recording.stop", make_params },
	{ "xrdp.recordings.pause", "host.recording.pause", make_params },
	{ "xrdp.recordings.resume", "host.recording.resume", make_params },
	{ "xrdp.recordings.files", "host.recording.files", make_params_and_query },
	{ "xrdp.recordings.file", "host.recording.file", make_params_and_query },
	{ "xrdp.recordings.write", "host.recording.write", make_document },
	{ "xrdp.recordings.remove", "host.recording.remove", make_params },
	{ "xrdp.quotas", "host.quotas", make_body },
	{ "xrdp.stats", "host.stats", make_nothing },
	{ "xrdp.logs", "host.logs", lines_ask, lines_answer },
	{ "xrdp.logs.deleted", "host.logs.deleted", make_nothing },
	{ "xrdp.logs.deleted.get", "host.logs", lines_ask_deleted, lines_answer },
	{ "xrdp.desktops", "host.profiles", make_nothing },
	{ "xrdp.service", "host.service", make_nothing },
	{ "xrdp.service.status", "host.service", make_nothing },
	{ "xrdp.service.start", "host.service.start", make_nothing },
	{ "xrdp.service.stop", "host.service.stop", make_nothing },
	{ "xrdp.service.restart", "host.service.restart", make_nothing },
	{ "xrdp.service.reload", "host.service.reload", make_nothing },
	{ "xrdp.config.get", "host.config.get", make_query, answer_versioned },
	{ "xrdp.config.section", "host.config.get", make_params_and_query, answer_versioned },
	{ "xrdp.config.put", "host.config.put", make_put, answer_versioned },
	{ "xrdp.config.validate", "host.config.validate", make_query_and_body },
	{ "xrdp.config.backups", "host.config.backups", make_query },
	{ "xrdp.config.rollback", "host.config.rollback", make_query_and_body },
	{ "xrdp.certificates", "host.certificates", make_nothing },
	{ "xrdp.certificates.make", "host.certificates.make", make_query_and_body, answer_versioned },
	{ "xrdp.info", "host.info", make_nothing },
	{ "xrdp.ports.check", "host.ports.check", make_body },
};
const size_t forwards_n = ARRAY_LEN(forwards);

/* --- forwarding a call */

/* The context of a bound row: created by forward_serve, kept as long as the bus. */
struct route {
	const struct forward *row;
	const struct op *host;
	struct bus *bus;
	const struct nodes *nodes;
	bool of_node; /* about instances: refused if the name of this node belongs to another host */
};
struct under_way {
	struct call *call;
	const struct route *route;
};

static void answered(const struct reply *r, void *arg)
{
	_cleanup_(xfreep) struct under_way *w = arg;
	if (r->err) {
		call_fail_reply(w->call, r);
		return;
	}
	if (r->source)
		call_ok_source(w->call, source_ref(r->source), r->type);
	else if (r->blob)
		call_ok_blob(w->call, blob_ref(r->blob), r->type);
	else if (w->route->row->answer && r->doc)
		call_ok(w->call, w->route->row->answer(w->call, r->doc));
	else
		call_ok(w->call, json_incref(r->doc));
}

/* A cancelled call is not cancelled on the host: it completes a start or an end in any case, and responds within the deadline that is passed
 * on. */
static void forward(struct call *c, void *ctx)
{
	const struct route *route = ctx;
	const char *refused = route->of_node ? nodes_refused(route->nodes) : NULL;
	if (refused) {
		call_fail(c, ERR_UNAVAILABLE, "%s", refused);
		return;
	}
	_cleanup_(doc_unrefp) json_t *doc = route->row->make(c);
	if (!doc)
		return;
	struct under_way *w = XNEW(struct under_way);
	*w = (struct under_way){ c, route };
	struct call_args args = { 0 };
	call_onward(c, &args);
	args.op = route->host;
	args.body = doc;
	bus_call(route->bus, &args, answered, w);
}

static bool of_node(const char *op)
{
	return str_starts(op, "xrdp.instances.") || str_starts(op, "xrdp.recordings.") || str_eq(op, "xrdp.ports.check");
}

struct route *forward_serve(struct bus *b, const struct nodes *n)
{
	struct route *routes = xcalloc(forwards_n, sizeof(*routes));
	for (size_t i = 0; i < forwards_n; i++) {
		routes[i] = (struct route){ &forwards[i], op_find(forwards[i].host), b, n, of_node(forwards[i].op) };
		bus_serve(b, op_find(forwards[i].op), forward, &routes[i]);
	}
	return routes;
}
