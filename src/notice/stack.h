/*
 * stack: the order of windows. A message window stays above all others, and a newer message above an older one. Floor F5, in the program
 * of a message window. Does not rely on VisibilityNotify, which a compositing manager suppresses: reads the children of the root window.
 */
#ifndef NOTICE_STACK_H
#define NOTICE_STACK_H

#include <stdbool.h>

#include "notice/screen.h"

struct stack {
	struct screen *screen;
	xcb_atom_t mark; /* a property of message windows: when they were made */
};

uint32_t stack_now(void); /* the value of the mark of a window made now, in milliseconds */
/* The number of other message windows; closes the oldest if there are NOTICE_WINDOWS_MAX. */
int stack_make_room(struct stack *s);
/* Puts the window directly above the highest window that must not cover it. False: there was none above it. */
bool stack_keep(struct stack *s, xcb_window_t own, uint32_t made);

#endif
