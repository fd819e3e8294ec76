/* Stored objects on MongoDB: each manager opens the database itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/open.h"
#include "test/contract/mongo_server.h"
#include "test/contract/object_suite.h"
#include "test/contract/store_suite.h"

static struct store *open_store(struct loop *l, const char *name)
{
	_cleanup_(xfreep) char *url = url_of(name);
	return store_open_mongo(l, &(struct store_options){ .queue_limit = 4096, .timeout_ms = PATIENCE_MS, .url = url, .min_clients = 1, .max_clients = 8 },
				NULL, NULL);
}

static void away(bool is_away)
{
	if (is_away)
		end_server();
	else
		start_server();
}

int main(void)
{
	static const struct object_factory factory = { "objects: MongoDB", true, open_store, store_close, away };
	if (!mongo_server_begin())
		return 2;
	return object_suite_run(&factory) + !mongo_server_end();
}
