// timetable: which chunk shows which time of a recording, and how much changed when. Times are in ms since the start of the recording.

const STILL_MS = 2000; // without a chunk for longer, the screen was still
const FULL_LEVEL = 12; // of activity, which is logarithmic: the whole screen twice in a second

export class Timetable {
	constructor() {
		this.chunks = []; // in order of time
		this.duration = 0;
		this.startedAt = NaN; // ms since 1970
		this.state = "";
		this.recording = null;
	}

	get running() {
		return this.state === "recording" || this.state === "paused";
	}

	// Takes an answer of Source.index. Entries that are known are replaced: a running chunk has grown.
	merge(found) {
		this.recording = found.recording;
		this.state = found.state;
		this.startedAt = found.startedAt;
		for (const entry of found.chunks) {
			const i = this.chunks.findLastIndex((c) => c.seq <= entry.seq);
			if (i >= 0 && this.chunks[i].seq === entry.seq)
				this.chunks[i] = entry;
			else
				this.chunks.splice(i + 1, 0, entry);
		}
		this.extend(found.duration);
		const last = this.chunks.at(-1);
		if (last)
			this.extend(last.t0 + last.duration);
	}

	extend(ms) {
		this.duration = Math.max(this.duration, ms);
	}

	// The number of the last chunk that is complete and must not be asked for again; undefined: none
	get lastClosed() {
		return this.chunks.findLast((c) => c.closed)?.seq;
	}

	// The chunk that shows this time: the last one that begins by then, and before the first one the first. undefined: there is none
	at(ms) {
		let low = 0, high = this.chunks.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (this.chunks[middle].t0 <= ms)
				low = middle + 1;
			else
				high = middle;
		}
		return this.chunks[Math.max(0, low - 1)];
	}

	after(entry) {
		return this.chunks[this.chunks.findIndex((c) => c.seq === entry.seq) + 1];
	}

	// Whether the screen was still before this chunk, so that its first picture is a change
	afterStill(entry) {
		const before = this.chunks[this.chunks.findIndex((c) => c.seq === entry.seq) - 1];
		return !before || entry.t0 - (before.t0 + before.duration) > STILL_MS;
	}

	// The activity in `n` equal parts of the recording, each from 0 to 1.
	activity(n) {
		const most = new Float64Array(n), scale = n / Math.max(1, this.duration);
		for (const c of this.chunks)
			c.activity.forEach((level, second) => {
				const begin = c.t0 + second * 1000, end = Math.min((begin + 1000) * scale, n);
				for (let i = Math.floor(begin * scale); i < end; i++)
					most[i] = Math.max(most[i], Math.min(1, level / FULL_LEVEL));
			});
		return most;
	}
}
