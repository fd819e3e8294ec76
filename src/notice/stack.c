#include "notice/stack.h"

#include <stdlib.h>
#include <time.h>

#include "host/message/notice_wire.h"

#define LOOK_MAX 256 /* children of the root window that are looked at, from the top */

uint32_t stack_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint32_t)((uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000);
}

static bool is_newer(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

struct look {
	xcb_window_t window;
	xcb_get_window_attributes_cookie_t attributes;
	xcb_get_property_cookie_t mark;
};

static struct look look_ask(struct stack *s, xcb_window_t w)
{
	return (struct look){ w, xcb_get_window_attributes(s->screen->c, w),
			      xcb_get_property(s->screen->c, 0, w, s->mark, XCB_ATOM_CARDINAL, 0, 1) };
}

/* Whether it is visible; *ret_message: it is a message window, made at *ret_made. */
static bool look_read(struct stack *s, const struct look *l, bool *ret_message, uint32_t *ret_made)
{
	xcb_get_window_attributes_reply_t *a = xcb_get_window_attributes_reply(s->screen->c, l->attributes, NULL);
	xcb_get_property_reply_t *p = xcb_get_property_reply(s->screen->c, l->mark, NULL);
	bool visible = a && a->map_state == XCB_MAP_STATE_VIEWABLE && a->_class == XCB_WINDOW_CLASS_INPUT_OUTPUT;
	*ret_message = p && p->format == 32 && xcb_get_property_value_length(p) == sizeof *ret_made;
	if (*ret_message)
		*ret_made = *(const uint32_t *)xcb_get_property_value(p);
	free(a);
	free(p);
	return visible;
}

/* Asks about the highest children of the root window before it reads the first answer. Returns their number, the lowest first. */
static int look_at_top(struct stack *s, xcb_window_t stop_at, struct look looks[LOOK_MAX])
{
	xcb_query_tree_reply_t *r = xcb_query_tree_reply(s->screen->c, xcb_query_tree(s->screen->c, s->screen->root->root), NULL);
	if (!r)
		return 0;
	const xcb_window_t *all = xcb_query_tree_children(r);
	int end = xcb_query_tree_children_length(r), first = end > LOOK_MAX ? end - LOOK_MAX : 0, n = 0;
	for (int k = first; k < end; k++)
		if (stop_at && all[k] == stop_at)
			first = k + 1;
	for (int k = first; k < end; k++)
		looks[n++] = look_ask(s, all[k]);
	free(r);
	return n;
}

int stack_make_room(struct stack *s)
{
	struct look looks[LOOK_MAX];
	int n = look_at_top(s, 0, looks), count = 0;
	xcb_window_t oldest = 0;
	uint32_t oldest_made = 0;
	for (int k = 0; k < n; k++) {
		bool message;
		uint32_t made = 0;
		if (!look_read(s, &looks[k], &message, &made) || !message)
			continue;
		count++;
		if (!oldest || is_newer(oldest_made, made)) {
			oldest = looks[k].window;
			oldest_made = made;
		}
	}
	if (count < NOTICE_WINDOWS_MAX)
		return count;
	xcb_kill_client(s->screen->c, oldest);
	return NOTICE_WINDOWS_MAX - 1;
}

bool stack_keep(struct stack *s, xcb_window_t own, uint32_t made)
{
	struct look looks[LOOK_MAX];
	int n = look_at_top(s, own, looks);
	xcb_window_t above = 0;
	for (int k = 0; k < n; k++) {
		bool message;
		uint32_t other = 0;
		if (look_read(s, &looks[k], &message, &other) && !(message && is_newer(other, made)))
			above = looks[k].window;
	}
	if (!above)
		return false;
	const uint32_t values[] = { above, XCB_STACK_MODE_ABOVE };
	xcb_configure_window(s->screen->c, own, XCB_CONFIG_WINDOW_SIBLING | XCB_CONFIG_WINDOW_STACK_MODE, values);
	return true;
}
