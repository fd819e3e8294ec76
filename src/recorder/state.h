/* state: what a recorder knows of its recording. Floor F5, in the recorder; recorder.h has the functions. */
#ifndef RECORDER_STATE_H
#define RECORDER_STATE_H

#include "record/writer.h"
#include "recorder/budget.h"
#include "recorder/start.h"

struct recorder {
	int control, dir;
	struct start start; /* with the key, for a writer after a failed write; wiped at the end */
	struct eye *eye;
	struct eye_view *view; /* NULL while nothing is recorded */
	struct record_writer *writer; /* NULL after a failed write */
	struct quality_copy copy;
	enum quality quality, best;
	struct budget budget;
	int level;
	bool lost, paused, full, ended; /* nothing is recorded in any of these states */
	bool announce; /* send `recording` with the next frame */
	unsigned width, height; /* as last sent */
	int64_t gap_from_us; /* the gap that the next frame ends; 0: none */
	enum record_gap gap_reason;
	int64_t report_us, reported_us; /* when figures are due, were sent */
	int64_t loaded_us, cpu_us;      /* when the processor time was last read, and what it was */
	uint64_t reported_items;
	int64_t last_us; /* time of the last record */
	struct record_written end; /* of a writer that is gone */
	struct record_figures gone[RECORD_STAGES]; /* figures of writers that are gone */
	const char *failed; /* static text: why it must exit with 1 */
};

#endif
