#include "bus/call.h"

#include <assert.h>
#include <stdio.h>
#include <strings.h>

#include "lucid/clock.h"
#include "lucid/file_name.h"
#include "lucid/str.h"

/* --- the request */

const struct op *call_op(const struct call *c)
{
	return c->op;
}

const char *call_param(const struct call *c, const char *name)
{
	char names[OP_MAX_PARAMS][32];
	size_t n = op_param_names(c->op, names);
	for (size_t i = 0; i < n; i++)
		if (str_eq(names[i], name))
			return c->params[i];
	abort(); /* the row has no such parameter: a programming error of the handler */
}

json_t *call_query(const struct call *c)
{
	static json_t *empty;
	if (!empty)
		empty = json_object();
	return c->query ? c->query : empty;
}

json_t *call_body(const struct call *c)
{
	return c->body;
}

const struct caller *call_caller(const struct call *c)
{
	return &c->caller;
}

const char *call_request_id(const struct call *c)
{
	return c->request_id;
}

int64_t call_if_match(const struct call *c)
{
	return c->if_match;
}

int64_t call_time_left_ms(const struct call *c)
{
	return MAX((c->deadline_us - clock_mono_us()) / 1000, 0);
}

bool call_accepts_zstd(const struct call *c)
{
	return c->accepts_zstd;
}

void call_onward(const struct call *c, struct call_args *ret)
{
	ret->caller = &c->caller;
	ret->request_id = c->request_id;
	ret->trace = c->trace[0] ? c->trace : NULL;
	ret->deadline_ms = (unsigned)MAX(call_time_left_ms(c), 1);
	ret->hops = c->hops;
}

void call_on_cancel(struct call *c, void (*fn)(struct call *c, void *arg), void *arg)
{
	c->on_cancel = fn;
	c->cancel_arg = arg;
}

bool call_cancelled(const struct call *c)
{
	return c->abandoned;
}

/* --- the answer */

static int success_status(const struct call *c)
{
	return c->op->status ? c->op->status : 200;
}

void call_ok_status(struct call *c, int status, json_t *consume)
{
	call_answer(c, &(struct reply){ .status = status, .doc = consume ? call_through_json(consume) : NULL });
}

void call_ok(struct call *c, json_t *consume)
{
	call_ok_status(c, success_status(c), consume);
}

void call_ok_blob(struct call *c, struct blob *consume, const char *static_type)
{
	call_answer(c, &(struct reply){ .status = success_status(c), .blob = consume, .type = static_type });
}

void call_ok_source(struct call *c, struct source *consume, const char *static_type)
{
	assert(c->op->flags & OP_STREAMS);
	call_answer(c, &(struct reply){ .status = success_status(c), .source = consume, .type = static_type });
}

static void PRINTF(4, 0) fail(struct call *c, int err, json_t *details, const char *fmt, va_list ap)
{
	_cleanup_(xfreep) char *message = fmt ? xvasprintf(fmt, ap) : NULL;
	call_answer(c, &(struct reply){ .err = (enum err)(err < 0 ? -err : err), .message = message, .details = details });
}

void call_fail(struct call *c, int err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fail(c, err, NULL, fmt, ap);
	va_end(ap);
}

void call_fail_details(struct call *c, int err, json_t *consume_details, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fail(c, err, consume_details, fmt, ap);
	va_end(ap);
}

void call_fail_reply(struct call *c, const struct reply *r)
{
	struct reply out = *r;
	out.doc = NULL;
	out.blob = NULL;
	out.source = NULL;
	out.version = 0;
	out.location = NULL;
	out.disposition = NULL;
	out.details = json_incref(r->details);
	call_answer(c, &out);
}

const char *call_known_type(const char *type)
{
	static const char *const known[] = { "text/plain; charset=utf-8", "text/csv; charset=utf-8", "application/x-rdp", "application/octet-stream" };
	for (size_t i = 0; type && i < ARRAY_LEN(known); i++)
		if (!strcasecmp(type, known[i]))
			return known[i];
	return known[ARRAY_LEN(known) - 1];
}

void call_set_version(struct call *c, int64_t version)
{
	c->reply.version = version;
}

void call_set_location(struct call *c, const char *path)
{
	free(c->location);
	c->location = xstrdup(path);
}

void call_set_header(struct call *c, const char *static_name, const char *static_value)
{
	size_t n = 0;
	while (n < REPLY_HEADERS && c->reply.headers[n].name)
		n++;
	assert(n < REPLY_HEADERS);
	if (n < REPLY_HEADERS)
		c->reply.headers[n] = (struct reply_header){ static_name, static_value };
}

void call_set_file_name(struct call *c, const char *name, const char *ending)
{
	free(c->disposition);
	c->disposition = file_name_disposition(name, ending);
}
