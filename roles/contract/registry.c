#include <assert.h>

#include "roles/contract/contract.h"

#define ROLE(name, table) &contract_##table,
const struct op_table *const op_tables[] = {
#include "roles/contract/roles.def"
	&contract_alerts, &contract_recordings, &contract_common, &contract_host, NULL,
};
#undef ROLE

/* Parameters of path templates, and the format of their segment (one of shape_format's). */
static const struct {
	const char *name, *format;
} params[] = {
	{ "server_id", "uuid" },
	{ "session_id", "id" },
	{ "node", "node" },
	{ "id", "id" },
	{ "alert_id", "uuid" },
	{ "display", "digits" },
	{ "recording_id", "uuid" },
	{ "n", "digits" },
	{ "name", "id" },
	{ "section", "name" },
};

const struct op *op_find(const char *name)
{
	for (const struct op_table *const *t = op_tables; *t; t++)
		for (size_t i = 0; i < (*t)->n; i++)
			if (strcmp((*t)->ops[i].name, name) == 0)
				return &(*t)->ops[i];
	return NULL;
}

bool op_streams(const struct op *op, const json_t *query)
{
	return op->flags & OP_STREAMS && (!op->out || strcmp(doc_str(query, "format", ""), "csv") == 0);
}

const char *op_param_format(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(params); i++)
		if (strcmp(params[i].name, name) == 0)
			return params[i].format;
	assert(!"a path parameter without a format");
	abort();
}

size_t op_param_names(const struct op *op, char ret[OP_MAX_PARAMS][32])
{
	size_t n = 0;
	if (!op->path)
		return 0;
	for (const char *p = strchr(op->path, '{'); p; p = strchr(p, '{')) {
		const char *end = strchr(++p, '}');
		assert(end && end > p && end - p < 32 && n < OP_MAX_PARAMS);
		memcpy(ret[n], p, (size_t)(end - p));
		ret[n++][end - p] = '\0';
		p = end;
	}
	return n;
}
