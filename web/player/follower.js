// follower: keeps the timetable of a running recording up to date, and tells what the live view shows. The recorder writes at least once a
// second; with the pace of the requests below, a change is shown within two seconds.

const LIVE_MS = 350; // between requests in the live view
const INDEX_MS = 5000; // between requests for the index otherwise
const TROUBLE_MS = 2000; // after a failure
const BEHIND_MS = 1450; // the live view is this far behind, so that what was recorded in between has arrived, and moves evenly

export class Follower {
	constructor(playback, source, session, signal) {
		this.playback = playback;
		this.source = source;
		this.session = session;
		this.signal = signal;
		this.#edgeIs(playback.timetable.duration);
	}

	#edge; // the end of the recording when it was last known, and when that was
	#seen;
	#indexed = performance.now();
	#wake = null;

	#edgeIs(ms) {
		this.#edge = ms;
		this.#seen = performance.now();
	}

	edge(now = performance.now()) {
		return this.#edge + now - this.#seen;
	}

	position() {
		const edge = this.edge();
		this.playback.timetable.extend(edge);
		return Math.max(0, edge - BEHIND_MS);
	}

	hurry() {
		this.#wake?.();
	}

	#wait(ms) {
		return new Promise((resolve) => {
			const timer = setTimeout(resolve, ms);
			this.#wake = () => {
				clearTimeout(timer);
				resolve();
			};
			this.signal.addEventListener("abort", this.#wake, { once: true });
		});
	}

	async run() {
		const { playback } = this;
		let wait = 0;
		while (!this.signal.aborted && playback.timetable.running) {
			await this.#wait(wait);
			if (this.signal.aborted)
				return;
			try {
				wait = await this.#look();
				if (playback.following)
					playback.set({ error: null });
			} catch (e) {
				if (this.signal.aborted)
					return;
				wait = TROUBLE_MS;
				if (playback.following)
					playback.set({ error: e });
				if (e.status >= 400 && e.status < 500 && e.status !== 429)
					return; // the token has expired, or the recording was deleted
			}
		}
	}

	// Asks for what is new. Returns how long to wait until the next time.
	async #look() {
		const { playback } = this, { chunks } = playback.timetable;
		if (!playback.following) {
			await this.#index();
			return INDEX_MS;
		}
		const complete = chunks.at(-1)?.closed === false ? await this.#grow(chunks.at(-1)) : true;
		if (complete || performance.now() - this.#indexed > INDEX_MS)
			await this.#index();
		// a new chunk is read at once
		if (complete && playback.following && chunks.length && !chunks.at(-1).closed)
			await this.#grow(chunks.at(-1));
		return LIVE_MS;
	}

	// Reads what has been added to a running chunk. Returns whether it is complete.
	async #grow(entry) {
		const { playback } = this, chunk = playback.chunk(entry);
		await chunk.load();
		if (chunk.error) {
			const { error } = chunk;
			chunk.error = null;
			throw error;
		}
		const newest = entry.t0 + chunk.stream.lastTime;
		if (newest > this.edge())
			this.#edgeIs(newest);
		playback.wake();
		return chunk.complete;
	}

	async #index() {
		const { playback } = this, { timetable } = playback;
		this.#indexed = performance.now();
		const found = await this.source.index(this.session, timetable.recording, timetable.lastClosed, this.signal);
		timetable.merge(found);
		const { duration } = found;
		if (duration > this.edge() || duration < this.edge() - BEHIND_MS)
			this.#edgeIs(duration);
		if (!timetable.running && playback.following)
			playback.end();
		playback.dispatchEvent(new CustomEvent("index"));
		playback.wake();
	}
}
