#include "roles/rdp-session-controller/watch/later.h"

#define SOON_MS 100
#define RETRY_MS 3000

void follow_later(struct controller *c)
{
	if (!objects_loaded(c->objects) || objects_draining(c->objects) || c->look_soon)
		return;
	c->look_soon = c->look_fully = true;
	loop_timer_set(c->look_timer, SOON_MS);
}

void follow_retry(struct controller *c)
{
	if (!objects_loaded(c->objects) || objects_draining(c->objects) || c->look_soon)
		return;
	c->look_fully = true;
	loop_timer_set(c->look_timer, RETRY_MS);
}
