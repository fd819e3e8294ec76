/*
 * token_fault: why a token is refused, with the name and text of each reason. Floor F3, any thread, pure.
 */
#ifndef AUTH_TOKEN_FAULT_H
#define AUTH_TOKEN_FAULT_H

enum token_fault { TOKEN_OK, TOKEN_MALFORMED, TOKEN_SIGNATURE, TOKEN_ALGORITHM, TOKEN_EXPIRED, TOKEN_NOT_YET, TOKEN_CLAIMS,
		   TOKEN_ISSUER, TOKEN_AUDIENCE, TOKEN_FAULTS };
const char *token_fault_text(enum token_fault f); /* a sentence for WWW-Authenticate and the error page */
const char *token_fault_name(enum token_fault f); /* the label of the metric */

#endif
