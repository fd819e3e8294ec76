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

export class RecordError extends Error {
	constructor(message) {
		super(message);
		this.name = "RecordError";
	}
}

export class RecordStream {
	// `expected`: bytes of the whole stream, if they are known, so that the buffer need not grow
	constructor(width, height, expected = 0) {
		this.width = width;
		this.height = height;
		this.size = 0;
		this.#room(Math.min(Math.max(expected, 64 << 10), STREAM_MAX));
		this.n = 0;
		this.times = []; // of each record, in ms since the start of the chunk
		this.offsets = [];
		this.kinds = [];
		this.busy = []; // whether the record is activity of a person or program, see SMALL_AREA
		this.firstPicture = 0; // number of records up to the first full picture, with it; 0: it is not there yet
		this.parsed = 0;
		this.#recent = [];
	}

	#recent;

	#room(capacity) {
		const bytes = new Uint8Array(capacity);
		if (this.bytes)
			bytes.set(this.bytes.subarray(0, this.size));
		this.bytes = bytes;
		this.view = new DataView(bytes.buffer);
	}

	get lastTime() {
		return this.n ? this.times[this.n - 1] : -1;
	}

	append(piece) {
		const size = this.size + piece.length;
		if (size > STREAM_MAX)
			throw new RecordError(`the chunk has more than ${STREAM_MAX} bytes`);
		if (size > this.bytes.length)
			this.#room(Math.min(Math.max(size, this.bytes.length * 2), STREAM_MAX));
		this.bytes.set(piece, this.size);
		this.size = size;
		for (let end; (end = this.#end(this.parsed)) > 0; this.parsed = end)
			this.#take(this.parsed);
	}

	// Call it when the chunk is complete.
	finish() {
		if (this.parsed !== this.size)
			throw new RecordError("the chunk ends within a record");
	}

	// The end of the record at `at`, or 0 if it is not there yet.
	#end(at) {
		if (at + HEAD > this.size)
			return 0;
		const v = this.view, kind = v.getUint8(at + 7), n = v.getUint16(at + 4, true);
		let end = at + HEAD;
		if (kind === FRAME) {
			for (let i = 0; i < n; i++) {
				if (end + RECT > this.size)
					return 0;
				end += RECT + this.#rectBytes(end);
			}
		} else if (kind === CURSOR_IMAGE) {
			if (end + 8 > this.size)
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
		return end <= this.size ? end : 0;
	}

	#rectBytes(at) {
		const v = this.view, x = v.getUint16(at, true), y = v.getUint16(at + 2, true), w = v.getUint16(at + 4, true), h = v.getUint16(at + 6, true);
		if (!w || !h || x + w > this.width || y + h > this.height)
			throw new RecordError(`a rectangle of ${w}x${h} at ${x},${y} in a picture of ${this.width}x${this.height}`);
		return 4 * w * h;
	}

	#take(at) {
		const v = this.view, time = v.getUint32(at, true), kind = v.getUint8(at + 7);
		if (time >= TIME_MAX || time < this.lastTime)
			throw new RecordError(`time ${time} ms after ${this.lastTime} ms`);
		if (this.n >= RECORDS_MAX)
			throw new RecordError(`more than ${RECORDS_MAX} records`);
		const key = kind === FRAME && v.getUint8(at + 6) !== 0;
		if (key)
			this.firstPicture ||= this.n + 1;
		else if (kind === FRAME && !this.firstPicture)
			throw new RecordError("the chunk does not begin with a full picture");
		this.times.push(time);
		this.offsets.push(at);
		this.kinds.push(kind);
		this.busy.push(kind === FRAME ? !key && this.#isBusy(at, time) : kind !== CURSOR_IMAGE);
		this.n++;
	}

	#isBusy(at, time) {
		let x0 = this.width, y0 = this.height, x1 = 0, y1 = 0;
		this.rects(at, (x, y, w, h) => {
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

	// Calls each(x, y, width, height, offset of the pixels) for the rectangles of the frame at this offset.
	rects(at, each) {
		const v = this.view, n = v.getUint16(at + 4, true);
		let p = at + HEAD;
		for (let i = 0; i < n; i++) {
			const w = v.getUint16(p + 4, true), h = v.getUint16(p + 6, true);
			each(v.getUint16(p, true), v.getUint16(p + 2, true), w, h, p + RECT);
			p += RECT + 4 * w * h;
		}
	}

	// The cursor image of a record: hot spot, size, and premultiplied BGRA pixels.
	cursorImage(i) {
		const v = this.view, p = this.offsets[i] + HEAD, width = v.getUint16(p + 4, true), height = v.getUint16(p + 6, true);
		return { hotX: v.getUint16(p, true), hotY: v.getUint16(p + 2, true), width, height,
			 bytes: this.bytes.subarray(p + 8, p + 8 + 4 * width * height) };
	}

	cursorPosition(i) {
		const p = this.offsets[i] + HEAD;
		return { x: this.view.getUint16(p, true), y: this.view.getUint16(p + 2, true) };
	}

	// Since when nothing was recorded before this gap record, in ms since the start of the recording
	gapBegin(i) {
		return Number(this.view.getBigUint64(this.offsets[i] + HEAD, true));
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
