/*
 * export: a recording as a video file, made by ffmpeg in the background. Floor F6, loop thread only, never blocks.
 *
 * One export runs at a time. The finished file has no name and is kept for EXPORT_KEPT_MS, in the process that made it.
 */
#ifndef EXPORT_EXPORT_H
#define EXPORT_EXPORT_H

#include "roles/rdp-session-controller/controller.h"

struct exports;
struct exports *exports_new(struct controller *c);
void exports_cancel(struct exports *x); /* ends what runs */
void exports_free(struct exports *x);

#endif
