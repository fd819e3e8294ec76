/*
 * entry: the document and log line of an audit entry. Floor F5, loop thread only, never blocks. An entry never contains parts of a body or
 * secrets. Not for: its position in the chain (chain.h), storing it (audit.h).
 */
#ifndef API_AUDIT_ENTRY_H
#define API_AUDIT_ENTRY_H

#include "lucid/doc.h"

#define AUDIT_ACTOR "lucid-rdp" /* the actor of entries about the log itself */

/* Strings are borrowed; "" or NULL: unknown. action is static. */
struct audit_fact {
	const char *actor, *action, *object, *from, *request_id;
	const char *reason; /* static: a more specific reason than the code; NULL: none */
	int err; /* 0: success */
	int64_t count; /* how many attempts it stands for; 0: one */
	bool gate; /* refused by the gate: the outcome is "refused" whatever the status of err */
};

enum audit_outcome { AUDIT_OK, AUDIT_REFUSED, AUDIT_FAILED };
#define AUDIT_OUTCOMES (AUDIT_FAILED + 1)
enum audit_outcome audit_outcome(const struct audit_fact *f);
const char *audit_outcome_to_string(enum audit_outcome o); /* static */

/* The document; its position in the chain is set later (audit_chain_add). */
json_t *audit_entry(const struct audit_fact *f);
/* Writes the log line. `kept` false: the entry will not be stored. */
void audit_entry_log(const struct audit_fact *f, bool kept);

#endif
