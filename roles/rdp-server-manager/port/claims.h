/*
 * claims: documents that reserve a port or a name. Their string id makes ports and names unique. Floor F6, loop thread only.
 *
 * The version of a claim is derived from the id of its server, so that a delete with `expect` never deletes the claim of another server.
 */
#ifndef SERVERS_CLAIMS_H
#define SERVERS_CLAIMS_H

#include "lucid/doc.h"
#include "lucid/store.h"

#define CLAIM_ID_SIZE (STORE_ID_MAX + 1)
/* "node:port" */
char *claim_port_id(char dst[CLAIM_ID_SIZE], const char *node, int port);
/* "owner:name"; '%' and ':' of the owner are escaped as %25 and %3A, so that the first ':' is the separator. A text that is too long for an id
 * is replaced by "%%" and its SHA-256. */
char *claim_name_id(char dst[CLAIM_ID_SIZE], const char *owner, const char *name);
int64_t claim_version(const char *server_id);
/* {"server_id","node"/"owner","port"/"name","created_at","version"}; the caller owns it */
json_t *claim_port_doc(const char *server_id, const char *node, int port, int64_t now_ms);
json_t *claim_name_doc(const char *server_id, const char *owner, const char *name, int64_t now_ms);

/* Releases claims of a server after a list of writes has failed part way. Claims of other servers stay. `done` (may be NULL) is called at the
 * end, also on failure: the sweep releases remaining claims later. */
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
