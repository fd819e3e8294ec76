#include "host/instance/cert_watch.h"

#include <stdio.h>

#include "host/instance/instance.h"
#include "host/xrdp_config/cert.h"
#include "host/xrdp_config/instance_cert.h"
#include "host/instance/run.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/job.h"

#define LOOK_EVERY_MS 60000
#define ASKED_EVERY_MS 5000 /* after a request for readiness */
#define JOB_MS 10000
#define CLOCK_STEP_MS 60000
#define AT_A_TIME 2 /* instances that get a new certificate in one second */

struct cert_watch {
	struct host *host;
	struct job *job;
	int64_t looked_ms; /* monotonic; 0: never */
	int64_t offset_ms; /* of the wall clock to the monotonic one; changes when the clock is set */
	bool soon, renew, renewing; /* renewing: of the check in progress */
	struct reason why; /* word "": nothing is wrong */
};

struct cert_watch *cert_watch_new(struct host *h)
{
	struct cert_watch *w = XNEW(struct cert_watch);
	w->host = h;
	w->offset_ms = clock_wall_ms() - clock_mono_ms();
	return w;
}

void cert_watch_free(struct cert_watch *w)
{
	if (w)
		job_cancel(w->job);
	free(w);
}

static int cert_files_check(void *arg, int out)
{
	const struct host *h = arg;
	struct cert_state s = { 0 };
	struct reason why = { 0 };
	_cleanup_(closep) int lock = instance_cert_lock(h); /* without it, a start may be making the other half of another pair */
	if (lock < 0) {
		reason_of_path(h, h->set.data_dir, -lock, &why);
		reason_print(&why, out);
		return 1;
	}
	if (!instance_cert_look(h, &s, &why)) {
		reason_print(&why, out);
		return 1;
	}
	dprintf(out, "%s", s.fingerprint);
	return 0;
}

static bool cert_is_due(const struct instance *i)
{
	int64_t now = cert_now_ms();
	return now < i->cert_from_ms || now >= (i->cert_until_ms ? cert_renew_ms(i->cert_from_ms, i->cert_until_ms) : 0);
}

static void mark_instances(struct cert_watch *w, const char *fingerprint)
{
	struct instance *i;
	INSTANCE_FOREACH(i, w->host)
		if (i->fingerprint[0] && !str_eq(i->fingerprint, fingerprint) && (w->renewing || cert_is_due(i)))
			i->cert_due = true;
}

static void on_looked(void *arg, int code, const char *text, UNUSED size_t len)
{
	struct cert_watch *w = arg;
	struct reason why = { 0 };
	w->job = NULL;
	w->looked_ms = clock_mono_ms();
	if (code == 0)
		mark_instances(w, text);
	else if (code != 1 || !reason_parse(text, &why))
		return; /* the check failed: the previous result stays */
	if (!str_eq(why.line, w->why.line)) {
		if (why.word[0])
			log_error("host", "the certificate of the servers is not usable: %s", why.line);
		else
			log_info("host", "the certificate of the servers is usable again");
	}
	w->why = why;
}

void cert_watch_look(struct cert_watch *w, bool renew)
{
	w->renew |= renew;
	w->soon = true;
	if (w->job)
		return;
	w->soon = false;
	w->renewing = w->renew;
	w->renew = false;
	w->job = job_start(w->host->children, cert_files_check, w->host, JOB_MS, on_looked, w);
}

static void renew_some(struct host *h)
{
	struct instance *i;
	int n = 0;
	INSTANCE_FOREACH(i, h) {
		if (!i->cert_due || n == AT_A_TIME)
			continue;
		i->cert_due = false;
		n++;
		start_renew(i);
	}
}

void cert_watch_tick(struct cert_watch *w)
{
	int64_t now = clock_mono_ms(), offset = clock_wall_ms() - now, step = offset - w->offset_ms;
	bool set = step > CLOCK_STEP_MS || step < -CLOCK_STEP_MS;
	w->offset_ms = offset;
	if (w->soon || set || now - w->looked_ms >= LOOK_EVERY_MS)
		cert_watch_look(w, false);
	renew_some(w->host);
}

const char *cert_watch_fault(struct cert_watch *w)
{
	if (clock_mono_ms() - w->looked_ms >= ASKED_EVERY_MS)
		w->soon = true;
	return w->why.word[0] ? w->why.told : NULL;
}
