// records: the record stream of one chunk (docs/recording-format.md). It is appended to in pieces of any size, and every length and position
// in it is checked, so that a damaged stream cannot make the player draw outside the picture or run without end.

export const FRAME = 1, CURSOR_IMAGE = 2, CURSOR_POS = 3, GAP = 4;

const HEAD = 8; // u32 t_ms, u16 number of rectangles, u8 key, u8 kind
const RECT = 8; // u16 x, y, w, h
const STREAM_MAX = 384 << 20; // a chunk is closed at 128 MiB; one frame more fits
const TIME_MAX = 60 * 1000; // of a chunk
const RECORDS_MAX = 65536;
const CURSOR_SIDE_MAX = 256;

// A change is idle if it stays within a small area that has just changed: a blinking caret, a clock, a spinner.
const SMALL_AREA = 4096;
const RECENT_MS = 3000;
const RECENT_MAX = 8;

const JOIN = 64 << 10; // bytes that are added to a record in several pieces, at least; doubled each time

const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export class RecordError extends Error {
	constructor(message) {
		super(message);
		this.name = "RecordError";
	}
}

export class RecordStream {
	constructor(width, height) {
		this.width = width;
		this.height = height;
		this.size = 0; // bytes taken
		this.n = 0;
		this.times = []; // of each record, in ms since the start of the chunk
		this.kinds = [];
		this.busy = []; // whether the record is activity of a person or program, see SMALL_AREA
		this.#places = [];
		this.#recent = [];
	}

	// Pieces are kept as they come, without a copy. A record that is in several of them is joined.
	#places; // of each record: { view, at }
	#tail = null; // bytes of a record that is not whole yet
	#recent;

	get lastTime() {
		return this.n ? this.times[this.n - 1] : -1;
	}

	append(piece) {
		this.size += piece.length;
		if (this.size > STREAM_MAX)
			throw new RecordError(`the chunk has more than ${STREAM_MAX} bytes`);
		const begin = this.#tail ? this.#join(piece) : 0;
		if (begin === piece.length)
			return;
		const end = this.#parse(viewOf(piece), begin, Infinity);
		this.#tail = end < piece.length ? piece.subarray(end) : null;
	}

	// Completes the record in the tail with the beginning of a piece. Returns how many bytes of it belong to that record.
	#join(piece) {
		for (let used = 0; used < piece.length;) {
			const before = this.#tail.length, take = Math.min(piece.length - used, Math.max(before, JOIN));
			const joined = new Uint8Array(before + take);
			joined.set(this.#tail);
			joined.set(piece.subarray(used, used + take), before);
			used += take;
			const end = this.#parse(viewOf(joined), 0, 1);
			if (end) {
				this.#tail = null;
				return used - (joined.length - end);
			}
			this.#tail = joined;
		}
		return piece.length;
	}

	// Takes up to `most` whole records. Returns where the rest begins.
	#parse(view, at, most) {
		for (let end; most > 0 && (end = this.#end(view, at)) > 0; at = end, most--)
			this.#take(view, at);
		return at;
	}

	// Call it when the chunk is complete.
	finish() {
		if (this.#tail)
			throw new RecordError("the chunk ends within a record");
	}

	// The end of the record at `at`, or 0 if it is not whole.
	#end(v, at) {
		const size = v.byteLength;
		if (at + HEAD > size)
			return 0;
		const kind = v.getUint8(at + 7);
		let end = at + HEAD;
		if (kind === FRAME) {
			end = this.#frameEnd(v, at);
		} else if (kind === CURSOR_IMAGE) {
			if (end + 8 > size)
				return 0;
			const w = v.getUint16(end + 4, true), h = v.getUint16(end + 6, true);
			if (w > CURSOR_SIDE_MAX || h > CURSOR_SIDE_MAX)
				throw new RecordError(`a cursor of ${w}x${h} pixels`);
			end += 8 + 4 * w * h;
		} else if (kind === CURSOR_POS) {
			end += 4;
		} else if (kind === GAP) {
			end += 8;
		} else {
			throw new RecordError(`unknown kind of record: ${kind}`);
		}
		return end <= size ? end : 0;
	}

	#frameEnd(v, at) {
		const n = v.getUint16(at + 4, true);
		let end = at + HEAD, left = 4 * this.width * this.height;
		for (let i = 0; i < n; i++) {
			if (end + RECT > v.byteLength)
				return 0;
			const bytes = this.#rectBytes(v, end);
			end += RECT + bytes;
			left -= bytes;
		}
		if (left < 0 || (left > 0 && v.getUint8(at + 6)))
			throw new RecordError("the rectangles do not make one picture");
		return end;
	}

	#rectBytes(v, at) {
		const x = v.getUint16(at, true), y = v.getUint16(at + 2, true), w = v.getUint16(at + 4, true), h = v.getUint16(at + 6, true);
		if (!w || !h || x + w > this.width || y + h > this.height)
			throw new RecordError(`a rectangle of ${w}x${h} at ${x},${y} in a picture of ${this.width}x${this.height}`);
		return 4 * w * h;
	}

	#take(v, at) {
		const time = v.getUint32(at, true), kind = v.getUint8(at + 7);
		if (time >= TIME_MAX || time < this.lastTime)
			throw new RecordError(`time ${time} ms after ${this.lastTime} ms`);
		if (this.n >= RECORDS_MAX)
			throw new RecordError(`more than ${RECORDS_MAX} records`);
		const key = kind === FRAME && v.getUint8(at + 6) !== 0;
		if (!this.n && !key)
			throw new RecordError("the chunk does not begin with a full picture");
		this.times.push(time);
		this.#places.push({ view: v, at });
		this.kinds.push(kind);
		this.n++;
		this.busy.push(kind === FRAME ? !key && this.#isBusy(this.n - 1, time) : kind !== CURSOR_IMAGE);
	}

	#isBusy(i, time) {
		let x0 = this.width, y0 = this.height, x1 = 0, y1 = 0;
		this.rects(i, (x, y, w, h) => {
			x0 = Math.min(x0, x);
			y0 = Math.min(y0, y);
			x1 = Math.max(x1, x + w);
			y1 = Math.max(y1, y + h);
		});
		if (x1 <= x0)
			return false;
		if ((x1 - x0) * (y1 - y0) > SMALL_AREA)
			return true;
		const within = (b) => time - b.time <= RECENT_MS && x0 >= b.x0 && y0 >= b.y0 && x1 <= b.x1 && y1 <= b.y1;
		const before = this.#recent.find(within);
		if (before)
			before.time = time;
		else if (this.#recent.unshift({ time, x0, y0, x1, y1 }) > RECENT_MAX)
			this.#recent.pop();
		return !before;
	}

	// Calls each(x, y, width, height, offset of the pixels, the bytes that contain them) for the rectangles of a frame.
	rects(i, each) {
		const { view: v, at } = this.#places[i], n = v.getUint16(at + 4, true);
		const bytes = new Uint8Array(v.buffer, v.byteOffset, v.byteLength);
		let p = at + HEAD;
		for (let k = 0; k < n; k++) {
			const w = v.getUint16(p + 4, true), h = v.getUint16(p + 6, true);
			each(v.getUint16(p, true), v.getUint16(p + 2, true), w, h, p + RECT, bytes);
			p += RECT + 4 * w * h;
		}
	}

	// The cursor image of a record: hot spot, size, and premultiplied BGRA pixels.
	cursorImage(i) {
		const { view: v, at } = this.#places[i], p = at + HEAD, width = v.getUint16(p + 4, true), height = v.getUint16(p + 6, true);
		return { hotX: v.getUint16(p, true), hotY: v.getUint16(p + 2, true), width, height,
			 bytes: new Uint8Array(v.buffer, v.byteOffset + p + RECT, 4 * width * height) };
	}

	cursorPosition(i) {
		const { view: v, at } = this.#places[i], p = at + HEAD;
		return { x: v.getUint16(p, true), y: v.getUint16(p + 2, true) };
	}

	// Since when nothing was recorded before this gap record, in ms since the start of the recording
	gapBegin(i) {
		const { view: v, at } = this.#places[i];
		return Number(v.getBigUint64(at + HEAD, true));
	}

	// The number of records with a time of at most `ms`; `from`: a number that is not too large.
	until(ms, from = 0) {
		let low = from, high = this.n;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (this.times[middle] <= ms)
				low = middle + 1;
			else
				high = middle;
		}
		return low;
	}
}
