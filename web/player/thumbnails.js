// thumbnails: small pictures along the time line. The browser makes them from the recording itself, one after another, while the player
// is not waiting for data. Of a chunk only what comes before the picture is read.

import { el } from "./dom.js";
import { RecordStream } from "./records.js";
import { Screen } from "./screen.js";

const WAIT_MS = 250; // after the last change of size, and while the player loads
const WIDTH = 96; // of a thumbnail, in CSS pixels, at least
const HEIGHT = 90; // as the tip shows it; the strip is lower
const GROWTH = 1.25; // of a running recording, after which the thumbnails are made again

export class Thumbnails {
	constructor(playback, strip) {
		this.playback = playback;
		this.strip = strip;
		this.screen = new Screen(document.createElement("canvas"));
	}

	#made = []; // { time, canvas }
	#plan = ""; // what the thumbnails were made for
	#duration = 0;
	#timer = 0;
	#stopping = new AbortController();

	stop() {
		clearTimeout(this.#timer);
		this.#stopping.abort();
		this.#plan = "";
	}

	// Makes the thumbnails for the present width and length, unless they are there. Cheap to call often.
	update() {
		const { timetable } = this.playback, width = this.strip.clientWidth;
		if (!timetable.chunks.length || !width)
			return;
		const n = Math.max(1, Math.floor(width / WIDTH));
		if (this.#duration > timetable.duration || timetable.duration > this.#duration * GROWTH || !timetable.running)
			this.#duration = timetable.duration;
		const plan = `${timetable.recording} ${n} ${this.#duration}`;
		if (plan === this.#plan)
			return;
		this.stop();
		this.#plan = plan;
		this.#stopping = new AbortController();
		this.#timer = setTimeout(() => this.#make(n, this.#stopping.signal), WAIT_MS);
	}

	// The thumbnail whose time is nearest, or undefined
	near(ms) {
		let best;
		for (const t of this.#made)
			if (!best || Math.abs(t.time - ms) < Math.abs(best.time - ms))
				best = t;
		return best?.canvas;
	}

	async #make(n, signal) {
		const step = this.#duration / n, wanted = new Map(); // sequence number: [{ entry, ms, canvas }]
		const canvases = Array.from({ length: n }, () => el("canvas"));
		this.strip.replaceChildren(...canvases);
		this.#made = [];
		canvases.forEach((canvas, i) => {
			const time = (i + 0.5) * step, entry = this.playback.timetable.at(time);
			const group = wanted.get(entry.seq) ?? wanted.set(entry.seq, []).get(entry.seq);
			// a picture at the start of a chunk needs nothing but the first record
			group.push({ entry, time, ms: step > 2 * entry.duration ? 0 : Math.max(0, time - entry.t0), canvas });
		});
		for (const group of wanted.values()) {
			await this.#idle(signal);
			if (signal.aborted)
				return;
			try {
				await this.#ofChunk(group, signal);
			} catch {
				// a thumbnail is missing; the player reports what cannot be read when it is shown
			}
		}
	}

	async #idle(signal) {
		do
			await new Promise((resolve) => setTimeout(resolve, this.playback.buffering ? WAIT_MS : 0));
		while (this.playback.buffering && !signal.aborted);
	}

	async #ofChunk(group, signal) {
		const { entry } = group[0];
		const stream = this.playback.held(entry.seq) ?? (await this.#read(entry, group.at(-1).ms, signal));
		if (signal.aborted || !stream.n)
			return;
		let applied = 0;
		this.screen.begin(entry.width, entry.height);
		for (const { ms, time, canvas } of group) {
			const until = Math.max(1, stream.until(ms));
			for (; applied < until; applied++)
				this.screen.apply(stream, applied);
			this.screen.paint();
			this.#shrink(canvas);
			this.#made.push({ time, canvas });
		}
	}

	async #read(entry, ms, signal) {
		const stream = new RecordStream(entry.width, entry.height), enough = new AbortController();
		const abort = () => enough.abort();
		signal.addEventListener("abort", abort, { once: true });
		try {
			await this.playback.read(entry, (piece) => {
				stream.append(piece);
				if (stream.n && (!ms || stream.lastTime > ms))
					enough.abort();
			}, enough.signal);
		} catch (e) {
			if (!enough.signal.aborted)
				throw e;
		} finally {
			signal.removeEventListener("abort", abort);
		}
		return stream;
	}

	#shrink(canvas) {
		const { width, height } = this.screen, high = HEIGHT * devicePixelRatio;
		canvas.width = Math.max(1, Math.round((high * width) / height));
		canvas.height = Math.round(high);
		const c = canvas.getContext("2d");
		c.imageSmoothingQuality = "high";
		c.drawImage(this.screen.canvas, 0, 0, canvas.width, canvas.height);
		canvas.classList.add("made");
	}
}
