#include <stdio.h>

#include "app/settings/app_config.h"
#include "app/commands/commands.h"
#include "app/doctor/doctor.h"
#include "lucid/doc.h"
#include "lucid/str.h"

static const char help[] =
	"lucid-rdp doctor [--json] [OPTION…]: checks this host, with the settings of the program: xrdp and known vulnerabilities of its\n"
	"version, ports, namespaces, control groups, disk, clock, store, recording and more, and recommends what to change. Run it as root. Exits 1 if\n"
	"a check fails, otherwise 0, even with warnings. It changes nothing.\n"
	"  --json               {\"healthy\":…, \"checks\":[{name, state, found, advice}]}\n";

static const struct {
	const char *name;
	void (*look)(const struct config *c, struct finding *f);
} checks[] = {
	{ "xrdp", doctor_xrdp },
	{ "vulnerabilities", doctor_vulnerabilities },
	{ "sesman", doctor_sesman },
	{ "xorgxrdp", doctor_xorgxrdp },
	{ "pam", doctor_pam },
	{ "desktops", doctor_desktops },
	{ "certificates", doctor_certificates },
	{ "user", doctor_user },
	{ "ports", doctor_ports },
	{ "namespaces", doctor_namespaces },
	{ "cgroups", doctor_cgroups },
	{ "disk", doctor_disk },
	{ "clock", doctor_clock },
	{ "entropy", doctor_entropy },
	{ "descriptors", doctor_descriptors },
	{ "store", doctor_store },
	{ "passwords", doctor_passwords },
	{ "recording", doctor_recording },
};

static const char *const states[] = { "ok", "warn", "fail" };

void doctor_say(struct finding *f, enum doctor_state state, const char *advice, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(f->found, sizeof f->found, fmt, ap);
	va_end(ap);
	f->state = state;
	snprintf(f->advice, sizeof f->advice, "%s", state == DOCTOR_OK ? "" : advice);
}

static int doctor_option(struct cli *c, int argc, char **argv, int *i, void *arg)
{
	bool *json = arg;
	return str_eq(argv[*i], "--json") ? (*json = true) : 0;
}

/* Without a valid configuration the other checks cannot run. */
static struct config *load(struct cli *c, struct finding *f)
{
	struct strbuf faults = { 0 }, warnings = { 0 };
	c->secrets = SECRETS_SKIP;
	struct config *config = app_config_load(c, &faults, &warnings);
	for (char *p = faults.s; p && *p; p++)
		if (*p == '\n')
			*p = p[1] ? ';' : 0;
	if (config)
		doctor_say(f, DOCTOR_OK, "", "valid");
	else
		doctor_say(f, DOCTOR_FAIL, "correct the settings; lucid-rdp check-config lists all errors", "%s", faults.s);
	strbuf_done(&faults);
	strbuf_done(&warnings);
	return config;
}

static void print_finding(const char *name, const struct finding *f, json_t *list)
{
	if (!list) {
		printf("%-4s  %-16s %s\n", states[f->state], name, f->found);
		if (*f->advice)
			printf("%23s→ %s\n", "", f->advice);
		return;
	}
	json_t *doc = json_object();
	doc_set_str(doc, "name", name);
	doc_set_str(doc, "state", states[f->state]);
	doc_set_str(doc, "found", f->found);
	doc_set_str(doc, "advice", f->advice);
	json_array_append_new(list, doc);
}

int cmd_doctor(struct cli *c, int argc, char **argv)
{
	struct finding f = { 0 };
	bool json = false;
	int code = 0;
	if (!command_words(c, argc, argv, help, doctor_option, &json, &code))
		return code;
	json_t *list = json ? json_array() : NULL;
	struct config *config = load(c, &f);
	enum doctor_state worst = f.state;
	print_finding("configuration", &f, list);
	for (size_t i = 0; config && i < ARRAY_LEN(checks); i++) {
		f = (struct finding){ 0 };
		checks[i].look(config, &f);
		print_finding(checks[i].name, &f, list);
		worst = MAX(worst, f.state);
	}
	config_free(config);
	if (list) {
		_cleanup_(doc_unrefp) json_t *doc = json_pack("{s:b,s:o}", "healthy", worst != DOCTOR_FAIL, "checks", list);
		_cleanup_(xfreep) char *text = doc_text(doc);
		puts(text);
	}
	return fflush(stdout) == 0 && worst != DOCTOR_FAIL ? 0 : 1;
}
