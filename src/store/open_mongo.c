/* open_mongo: loads the module with the MongoDB driver, if the settings ask for MongoDB, and opens the store with it. */
#include "store/open.h"

#include <dlfcn.h>
#include <stdio.h>

#include "lucid/str.h"
#include "store/driver.h"
#include "store/mongo/module.h"
#include "sys/files.h"

#define MODULE "lucid-rdp-mongodb.so"
#define WHY_SIZE 400

typedef __typeof__(&store_mongo_open) open_fn;

/* --- a store that cannot be opened */

struct store_driver {
	struct store *store;
};

static void request_refuse(struct store_driver *d, struct store_request *r)
{
	struct list batch;
	store_request_start(r);
	store_request_fail(r, -ERR_UNAVAILABLE);
	list_init(&batch);
	list_append(&batch, &r->node);
	store_driver_done(d->store, &batch, 0);
}

static void forget(struct store_driver *d)
{
	free(d);
}

static struct store *open_nothing(struct loop *l, const struct store_options *o, void (*on_open)(int err, const char *why, void *arg), void *arg,
				  const char *why)
{
	static const struct store_driver_ops ops = { .submit = request_refuse, .close = forget };
	struct store_driver *d = XNEW(struct store_driver);
	d->store = store_new(l, o, &ops, d, on_open, arg);
	store_driver_report(d->store, -ERR_INVALID, why, true);
	return d->store;
}

/* --- the module */

static void *load(char *why)
{
	_cleanup_(xfreep) char *path = program_file(MODULE);
	void *module = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
	if (!path)
		snprintf(why, WHY_SIZE, "MongoDB: %s exists neither beside the program nor in ../lib/lucid-rdp; install the program with its modules (make install)", MODULE);
	else if (!module)
		snprintf(why, WHY_SIZE, "MongoDB: %.100s cannot be loaded (%.150s): install the package libmongoc-1.0-0", path, dlerror());
	return module;
}

/* The module is never unloaded: threads and exit handlers of its library still need its code. */
static open_fn find(char *why)
{
	void *module = load(why);
	const char *version = module ? dlsym(module, "store_mongo_version") : NULL;
	if (!module)
		return NULL;
	if (!version || !str_eq(version, LUCID_VERSION)) {
		snprintf(why, WHY_SIZE, "MongoDB: %s has version %s, but this program has " LUCID_VERSION "; install the same version of both", MODULE, version ? version : "unknown");
		return NULL;
	}
	return (open_fn)dlsym(module, "store_mongo_open");
}

struct store *store_open_mongo(struct loop *l, const struct store_options *o, void (*on_open)(int err, const char *why, void *arg), void *arg)
{
	char why[WHY_SIZE] = "";
	open_fn open_it = store_check_mongo_url(o->url, o->timeout_ms, why, sizeof why) == 0 ? find(why) : NULL;
	struct store *s = open_it ? open_it(l, o, on_open, arg) : NULL;
	if (open_it && !s)
		snprintf(why, sizeof why, "MONGODB_URL has an option that the MongoDB library does not accept; remove or correct it");
	return s ? s : open_nothing(l, o, on_open, arg, why);
}
