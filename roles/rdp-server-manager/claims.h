/*
 * claims: documents that hold a port or a name, so that uniqueness rests on string ids alone. Floor F6, loop thread only.
 *
 * A claim's version is drawn from its server's id, so that deleting one with `expect` can never take away another server's.
 */
#ifndef SERVERS_CLAIMS_H
#define SERVERS_CLAIMS_H

#include "lucid/doc.h"
#include "lucid/store.h"

#define CLAIM_ID_SIZE (STORE_ID_MAX + 1)
/* "node:port" */
char *claim_port_id(char dst[CLAIM_ID_SIZE], const char *node, int port);
/* "owner:name"; '%' and ':' of the owner are written %25 and %3A, so that the first ':' divides. What is too long for an id
 * is "%%" and the SHA-256 of that. */
char *claim_name_id(char dst[CLAIM_ID_SIZE], const char *owner, const char *name);
int64_t claim_version(const char *server_id);
/* {"server_id","node"/"owner","port"/"name","created_at","version"}; the caller's */
json_t *claim_port_doc(const char *server_id, const char *node, int port, int64_t now_ms);
json_t *claim_name_doc(const char *server_id, const char *owner, const char *name, int64_t now_ms);

/* Give back claims of a server after a list failed part way: those that are not its own are left alone. done (may be NULL)
 * is called when it is over, whatever came of it: a sweep takes what stays. */
struct claims_back {
	struct store *store;
	char port_id[CLAIM_ID_SIZE], name_id[CLAIM_ID_SIZE]; /* "": none */
	int64_t version;
	void (*done)(void *arg);
	void *arg;
	bool name_tried;
};
void claims_give_back(struct claims_back *consume);

#endif
