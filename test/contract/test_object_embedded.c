/* Stored objects on the embedded store: the managers share its one handle. */
#include <dirent.h>
#include <setjmp.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/open.h"
#include "test/contract/object_suite.h"
#include "test/contract/store_suite.h"

static char root[] = "/tmp/lrdp-objects-XXXXXX";

static struct store *open_store(struct loop *l, const char *name)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/%s.db", root, name);
	return store_open_embedded(l, &(struct store_options){ .path = path, .queue_limit = 4096, .timeout_ms = OBJECT_PATIENCE_MS }, NULL, NULL);
}

/* The file that LUCID_FAULTS names is read again within 20 ms; requests after that meet the fault. */
static void away(bool is_away)
{
	const char *path = getenv("LUCID_FAULTS");
	FILE *f = is_away ? fopen(path, "we") : NULL;
	if (f) {
		fprintf(f, "store.begin always\n");
		fclose(f);
	} else {
		unlink(path);
	}
	usleep(30000);
}

static int remove_root(UNUSED void **state)
{
	DIR *d = opendir(root);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		_cleanup_(xfreep) char *p = xasprintf("%s/%s", root, e->d_name);
		unlink(p);
	}
	if (d)
		closedir(d);
	return rmdir(root);
}

int main(UNUSED int argc, char **argv)
{
	static const struct object_factory factory = { "objects: embedded store", false, open_store, store_close, away };
	char faults[64];
	if (!getenv("LUCID_FAULTS")) { /* the variable is read before main */
		snprintf(faults, sizeof faults, "/tmp/lrdp-object-faults-%d", (int)getpid());
		setenv("LUCID_FAULTS", faults, 1);
		execv("/proc/self/exe", argv);
		return 2;
	}
	if (!mkdtemp(root))
		return 2;
	int failed = object_suite_run(&factory);
	unlink(getenv("LUCID_FAULTS"));
	return failed + remove_root(NULL);
}
