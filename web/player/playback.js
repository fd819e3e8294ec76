// playback: which moment of a recording is shown, and how it moves: play, speed, seek, skip idle, live. It draws on a Screen and knows no
// element of the page. Events: change (a member below), time, index (timetable), skip, gap, painted.

import { Chunk } from "./chunk.js";
import { Follower } from "./follower.js";
import { GAP } from "./records.js";
import { Timetable } from "./timetable.js";

export const SPEEDS = [0.5, 1, 2, 4, 8, 16];

const IDLE_MS = 1500; // a longer pause is skipped
const LEAD_MS = 300; // and what follows is shown from a little before
const PREFETCH_MS = 4000; // of playing time
const CACHE_BYTES = 200 << 20;
const LONGEST_TICK_MS = 500; // a page in the background gets no ticks; it does not jump when it is back
const DRAG_LOAD_MS = 120; // between the chunks that are loaded while the user drags

export class Playback extends EventTarget {
	constructor(source, screen) {
		super();
		this.source = source;
		this.screen = screen;
		this.timetable = new Timetable();
		this.position = 0; // ms since the start of the recording
		this.playing = false;
		this.following = false; // live
		this.buffering = false;
		this.ended = false;
		this.dragging = false;
		this.speed = 1;
		this.skipIdle = false;
		this.error = null;
		this.gaps = [];
	}

	#session;
	#chunk = null; // the one that the screen shows
	#applied = 0; // number of its records that were drawn
	#cache = new Map(); // sequence number: Chunk, the least recently used first
	#tick = 0;
	#last = 0;
	#loadedAt = 0;
	#ahead = null; // sequence number of the chunk that is loaded beforehand
	#follower = null;
	#stopping = new AbortController();

	#emit(type, detail) {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}

	// recording undefined: the newest of the session
	async open(session, recording) {
		this.close();
		const stopping = (this.#stopping = new AbortController());
		this.#session = session;
		this.timetable = new Timetable();
		this.position = 0;
		const found = await this.source.index(session, recording, undefined, stopping.signal);
		stopping.signal.throwIfAborted();
		this.timetable.merge(found);
		this.#follower = new Follower(this, this.source, session, stopping.signal);
		this.#emit("index");
		if (this.timetable.running)
			this.follow();
		this.#follower.run();
		this.wake();
	}

	close() {
		this.#stopping.abort();
		cancelAnimationFrame(this.#tick);
		this.#tick = 0;
		for (const chunk of this.#cache.values())
			chunk.stop();
		this.#cache.clear();
		this.#chunk = null;
		this.gaps = [];
		this.set({ playing: false, following: false, buffering: false, ended: false, error: null });
	}

	set(members) {
		const changed = Object.entries(members).filter(([name, value]) => this[name] !== value);
		Object.assign(this, members);
		if (changed.length) {
			this.#emit("change");
			this.wake();
		}
	}

	play() {
		if (this.ended || this.position >= this.timetable.duration) {
			if (this.timetable.running) {
				this.follow();
				return;
			}
			this.position = 0;
		}
		this.#last = performance.now();
		this.set({ playing: true, ended: false, error: null });
	}

	pause() {
		this.set({ playing: false, following: false });
	}

	toggle() {
		if (this.playing || this.following)
			this.pause();
		else
			this.play();
	}

	seek(ms) {
		this.position = Math.min(Math.max(0, ms), this.timetable.duration);
		this.#ahead = null;
		this.set({ following: false, ended: false, error: null });
		this.wake();
	}

	// Shows the newest picture of a running recording, and what follows.
	follow() {
		if (!this.timetable.running)
			return;
		this.set({ following: true, playing: false, ended: false, error: null, speed: 1 });
		this.#follower?.hurry();
	}

	// To the next change of the picture (1) or the one before (-1).
	step(direction) {
		const chunk = this.#chunk, i = this.#applied;
		this.pause();
		if (!chunk)
			return;
		const { times, n } = chunk.stream, t0 = chunk.entry.t0;
		if (direction > 0) {
			this.seek(i < n ? t0 + times[i] : this.timetable.after(chunk.entry)?.t0 ?? this.timetable.duration);
			return;
		}
		let first = i - 1;
		while (first > 0 && times[first - 1] === times[i - 1])
			first--;
		this.seek(first > 0 ? t0 + times[first - 1] : t0 - 1);
	}

	// Tries again what has failed.
	retry() {
		for (const [seq, chunk] of this.#cache)
			if (chunk.error)
				this.#drop(seq);
		this.set({ error: null });
		this.wake();
	}

	wake() {
		if (!this.#tick && !this.#stopping.signal.aborted)
			this.#tick = requestAnimationFrame((now) => {
				this.#tick = 0;
				this.#turn(now);
			});
	}

	#turn(now) {
		const passed = Math.min(Math.max(0, now - this.#last), LONGEST_TICK_MS);
		this.#last = now;
		if (this.following)
			this.position = this.#follower.position();
		else if (this.playing && !this.buffering && !this.dragging)
			this.#advance(passed);
		this.#draw(now);
		if (this.playing && !this.buffering && this.position >= this.timetable.duration)
			this.#atEnd(); // its picture is shown
		this.#emit("time");
		if (this.playing || this.following)
			this.wake();
	}

	#advance(passed) {
		this.position += passed * this.speed;
		if (this.skipIdle)
			this.#skip();
		this.position = Math.min(this.position, this.timetable.duration);
	}

	#atEnd() {
		if (this.timetable.running)
			this.follow();
		else
			this.set({ playing: false, ended: true });
	}

	// The recording ended while its live view was shown.
	end() {
		this.position = this.timetable.duration;
		this.set({ following: false, ended: true });
	}

	#skip() {
		const chunk = this.#chunk;
		if (!chunk || this.timetable.at(this.position)?.seq !== chunk.entry.seq)
			return;
		const { busy, times, n } = chunk.stream;
		let i = this.#applied;
		while (i < n && !busy[i])
			i++;
		if (i === n && !chunk.complete)
			return;
		const next = i < n ? chunk.entry.t0 + times[i] : this.timetable.after(chunk.entry)?.t0 ?? this.timetable.duration;
		if (next - this.position <= IDLE_MS)
			return;
		this.#emit("skip", { ms: next - LEAD_MS - this.position });
		this.position = next - LEAD_MS;
	}

	#draw(now) {
		const entry = this.timetable.at(this.position);
		const chunk = entry && this.chunk(entry, now);
		if (!chunk) {
			this.set({ buffering: Boolean(entry) });
			return;
		}
		const target = this.position - entry.t0, stream = chunk.stream;
		const ready = stream.n > 0 && (chunk.complete || (chunk.open && chunk.loads > 0) || stream.lastTime > target);
		if (stream.n)
			this.#apply(chunk, Math.max(1, stream.until(target)));
		if ((ready || this.following) && this.screen.paint())
			this.#emit("painted");
		if (chunk.error && !ready)
			this.set({ error: chunk.error, playing: false, buffering: false });
		else
			this.set({ buffering: !ready });
		if (this.playing && ready)
			this.#prefetch(entry, now);
	}

	#apply(chunk, until) {
		if (chunk !== this.#chunk || until < this.#applied) {
			this.#chunk = chunk;
			this.#applied = 0;
			this.screen.begin(chunk.entry.width, chunk.entry.height);
		}
		for (let i = this.#applied; i < until; i++) {
			if (chunk.stream.kinds[i] === GAP)
				this.#note(chunk, i);
			this.screen.apply(chunk.stream, i);
		}
		this.#applied = until;
	}

	#note(chunk, i) {
		const to = chunk.entry.t0 + chunk.stream.times[i];
		if (this.gaps.some((gap) => gap.to === to))
			return;
		this.gaps.push({ from: Math.min(to, chunk.stream.gapBegin(i)), to });
		this.#emit("gap");
	}

	#prefetch(entry, now) {
		const next = this.timetable.after(entry);
		if (!next || next.t0 - this.position >= PREFETCH_MS * this.speed)
			return;
		this.#ahead = next.seq;
		this.chunk(next, now);
	}

	// The chunk of an entry, which is loaded if need be; null: while the user drags, it is loaded a little later.
	chunk(entry, now = performance.now()) {
		let chunk = this.#cache.get(entry.seq);
		if (!chunk) {
			if (this.dragging && now - this.#loadedAt < DRAG_LOAD_MS) {
				setTimeout(() => this.wake(), DRAG_LOAD_MS);
				return null;
			}
			this.#loadedAt = now;
			chunk = new Chunk(this.source, this.#session, this.timetable.recording, entry, () => this.wake());
			chunk.load();
		} else if (entry.closed && !chunk.complete && !chunk.loading && !chunk.error) {
			chunk.load();
		}
		chunk.open = !entry.closed;
		this.#cache.delete(entry.seq);
		this.#cache.set(entry.seq, chunk);
		this.#trim(entry);
		return chunk;
	}

	// The record stream of a chunk if all of it was loaded already
	held(seq) {
		const chunk = this.#cache.get(seq);
		return chunk?.complete ? chunk.stream : undefined;
	}

	// Reads the record stream of a chunk without keeping it.
	read(entry, take, signal) {
		return this.source.data(this.#session, this.timetable.recording, entry.seq, 0, take, signal);
	}

	#drop(seq) {
		const chunk = this.#cache.get(seq);
		chunk.stop();
		this.#cache.delete(seq);
		if (chunk === this.#chunk)
			this.#chunk = null;
	}

	// Forgets chunks that are not shown: those that are still being loaded, and the least recently used above CACHE_BYTES.
	#trim(entry) {
		let bytes = 0;
		for (const chunk of this.#cache.values())
			bytes += chunk.stream.size;
		const shown = this.timetable.at(this.position)?.seq;
		for (const [seq, chunk] of this.#cache) {
			if (seq === entry.seq || seq === shown || seq === this.#ahead)
				continue;
			if (bytes > CACHE_BYTES || (chunk.loading && !chunk.open)) {
				bytes -= chunk.stream.size;
				this.#drop(seq);
			}
		}
	}
}
