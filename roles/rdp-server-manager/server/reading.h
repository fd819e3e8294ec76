/* reading: a call that first reads the stored document of its server. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_READING_H
#define SERVERS_READING_H

#include "roles/rdp-server-manager/manager.h"

struct reading {
	struct manager *m;
	struct call *call;
	json_t *doc;
	char *account; /* account to connect with; NULL: none is known */
	void (*then)(struct reading *w); /* called with doc set; frees the reading */
};


/* Reads the document and calls `then`. If the server does not exist or the caller may not see it, the call is answered. */
void reading_begin(struct manager *m, struct call *c, void (*then)(struct reading *w));
void reading_free(struct reading *w);
bool server_visible(const struct caller *c, const json_t *doc);

#endif
