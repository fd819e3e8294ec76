// chunk: the record stream of one chunk, loaded piece by piece, and for a running recording again and again.

import { ApiError } from "./source.js";
import { RecordStream } from "./records.js";

const RESUMES = 3; // after which a connection that brings nothing is given up

export class Chunk {
	// `changed` is called after each piece and at the end.
	constructor(source, session, recording, entry, changed) {
		this.source = source;
		this.session = session;
		this.recording = recording;
		this.entry = entry;
		this.changed = changed;
		this.stream = new RecordStream(entry.width, entry.height);
		this.complete = false; // nothing more follows
		this.error = null;
		this.loads = 0; // number of responses that have ended
		this.loading = null; // a promise while a request is under way
		this.stopping = new AbortController();
	}

	stop() {
		this.stopping.abort();
	}

	// Reads what there is. Resolves when the response has ended, also after an error.
	load() {
		this.loading ??= this.#read().finally(() => {
			this.loading = null;
			this.loads++;
			if (!this.stopping.signal.aborted)
				this.changed(this);
		});
		return this.loading;
	}

	async #read() {
		const take = (piece) => {
			this.stream.append(piece);
			this.changed(this);
		};
		for (let attempt = 0; !this.complete && !this.error; attempt++) {
			const before = this.stream.size;
			try {
				const closed = await this.source.data(this.session, this.recording, this.entry.seq, before, take, this.stopping.signal);
				if (closed && !this.entry.torn)
					this.stream.finish();
				this.complete = closed;
				return;
			} catch (e) {
				if (this.stopping.signal.aborted)
					return;
				if (this.stream.size > before)
					attempt = 0;
				// a lost connection: the rest is asked for again
				if (!(e instanceof ApiError) || e.status !== 0 || attempt >= RESUMES)
					this.error = e;
			}
		}
	}
}
