#include <stdio.h>
#include <unistd.h>

#include "app/doctor/doctor.h"
#include "lucid/clock.h"
#include "lucid/str.h"
#include "net/cert_check.h"

#define SOON_MS INT64_C(1209600000) /* 14 days */

/* The certificates that settings name: of the listeners and of the RDP servers. */
static const struct {
	const char *cert, *key;
} pairs[] = { { "TLS_CERT_FILE", "TLS_KEY_FILE" }, { "XRDP_CERT_FILE", "XRDP_KEY_FILE" } };

struct verdict {
	enum doctor_state state;
	struct strbuf found;
};

static void add_verdict(struct verdict *v, enum doctor_state state, const char *option, const char *path, const char *text)
{
	if (state < v->state)
		return;
	if (state > v->state)
		strbuf_reset(&v->found);
	v->state = state;
	strbuf_printf(&v->found, "%s%s %s: %s", v->found.len ? "; " : "", option, path, text);
}

static void check_pair(struct verdict *v, const char *cert_option, const char *cert, const char *key_option, const char *key)
{
	struct cert_state s;
	char text[200], until[CLOCK_ISO_SIZE];
	cert_check_files(cert, key, cert_now_ms(), &s);
	bool of_key = cert_fault_is_of_key(s.fault);
	if (s.fault) {
		cert_fault_text(&s, text, sizeof text);
		add_verdict(v, DOCTOR_FAIL, of_key ? key_option : cert_option, of_key ? key : cert, text);
		return;
	}
	snprintf(text, sizeof text, "valid until %s", clock_iso(until, s.not_after_ms));
	add_verdict(v, s.not_after_ms - cert_now_ms() < SOON_MS ? DOCTOR_WARN : DOCTOR_OK, cert_option, cert, text);
	if (s.key_open)
		add_verdict(v, DOCTOR_WARN, key_option, key, "all accounts of this host can read the key");
}

void doctor_certificates(const struct config *c, struct finding *f)
{
	struct verdict v = { 0 };
	_cleanup_(xfreep) char *cert = xasprintf("%s/xrdp/tls/cert.pem", config_str(c, "DATA_DIR")),
			       *key = xasprintf("%s/xrdp/tls/key.pem", config_str(c, "DATA_DIR"));
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if (*config_str(c, pairs[i].cert))
			check_pair(&v, pairs[i].cert, config_str(c, pairs[i].cert), pairs[i].key, config_str(c, pairs[i].key));
	if (!*config_str(c, "XRDP_CERT_FILE") && access(cert, F_OK) == 0) {
		struct cert_state s;
		cert_check_files(cert, key, cert_now_ms(), &s);
		add_verdict(&v, DOCTOR_OK, "the servers' own", cert, s.fault ? "the next start regenerates it" : "good");
	}
	if (!v.found.len)
		strbuf_puts(&v.found, "none is set; the program generates one for the servers");
	doctor_say(f, v.state, v.state == DOCTOR_FAIL ? "replace that file; the program reads it at the next start or SIGHUP" :
						       "renew the certificate in time (SIGHUP reloads it), and make the key readable by root only",
		   "%s", v.found.s);
	strbuf_done(&v.found);
}
