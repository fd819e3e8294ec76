// screen: the picture that the records draw, and the canvas that shows it. Records are copied into a BGRX picture, which is fast, so that a
// seek can apply hundreds of frames; only what is shown is converted to the RGBA of a canvas.

import { CURSOR_IMAGE, CURSOR_POS, FRAME } from "./records.js";

export class Screen {
	// `canvas` shows the picture in its own size; `cursor` (may be null) is a small canvas above it.
	constructor(canvas, cursor = null) {
		this.canvas = canvas;
		this.cursor = cursor;
		this.context = canvas.getContext("2d", { alpha: false });
		this.width = this.height = 0;
		this.#clean();
		this.#hideCursor();
	}

	#pixels; // the picture, BGRX
	#words;
	#image; // RGBA, of the same size
	#rgba;
	#dirty;
	#hot;
	#at;

	#clean() {
		this.#dirty = { x0: Infinity, y0: Infinity, x1: 0, y1: 0 };
	}

	#hideCursor() {
		this.#hot = this.#at = null;
		this.cursorChanged = true;
	}

	// Call it before the first record of a chunk. The canvas keeps its picture and size until the next paint.
	begin(width, height) {
		this.#hideCursor();
		if (width === this.width && height === this.height)
			return;
		this.width = width;
		this.height = height;
		this.#pixels = new Uint8Array(4 * width * height);
		this.#words = new Uint32Array(this.#pixels.buffer);
		this.#image = new ImageData(width, height);
		this.#rgba = new Uint32Array(this.#image.data.buffer);
		this.#dirty = { x0: 0, y0: 0, x1: width, y1: height };
	}

	apply(stream, i) {
		switch (stream.kinds[i]) {
		case FRAME:
			stream.rects(i, (x, y, w, h, at, bytes) => this.#put(bytes, x, y, w, h, at));
			break;
		case CURSOR_IMAGE:
			this.#hot = stream.cursorImage(i);
			this.cursorChanged = true;
			break;
		case CURSOR_POS:
			this.#at = stream.cursorPosition(i);
			this.cursorMoved = true;
		}
	}

	#put(bytes, x, y, w, h, at) {
		const row = 4 * this.width, length = 4 * w, d = this.#dirty;
		for (let to = y * row + 4 * x, end = to + h * row; to < end; to += row, at += length)
			this.#pixels.set(bytes.subarray(at, at + length), to);
		if (x < d.x0)
			d.x0 = x;
		if (y < d.y0)
			d.y0 = y;
		if (x + w > d.x1)
			d.x1 = x + w;
		if (y + h > d.y1)
			d.y1 = y + h;
	}

	// Shows what was applied. Returns whether something changed.
	paint() {
		const { x0, y0, x1, y1 } = this.#dirty;
		if (this.cursor)
			this.#paintCursor();
		if (x1 <= x0 || y1 <= y0)
			return false;
		if (this.canvas.width !== this.width || this.canvas.height !== this.height) {
			this.canvas.width = this.width;
			this.canvas.height = this.height;
		}
		for (let y = y0; y < y1; y++)
			toRgba(this.#words, this.#rgba, y * this.width + x0, y * this.width + x1);
		this.context.putImageData(this.#image, 0, 0, x0, y0, x1 - x0, y1 - y0);
		this.#clean();
		return true;
	}

	#paintCursor() {
		if (!this.cursorChanged && !this.cursorMoved)
			return;
		const hot = this.#hot, at = this.#at, c = this.cursor;
		c.hidden = !hot || !at || !hot.width || !hot.height;
		if (this.cursorChanged && !c.hidden) {
			c.width = hot.width;
			c.height = hot.height;
			c.getContext("2d").putImageData(cursorPicture(hot), 0, 0);
		}
		this.cursorChanged = c.hidden && this.cursorChanged;
		this.cursorMoved = false;
		if (c.hidden)
			return;
		const percent = (n, whole) => `${(100 * n) / whole}%`;
		c.style.left = percent(at.x - hot.hotX, this.width);
		c.style.top = percent(at.y - hot.hotY, this.height);
		c.style.width = percent(hot.width, this.width);
		c.style.height = percent(hot.height, this.height);
	}
}

// Words are little-endian, as on every machine that runs a browser.
function toRgba(from, to, begin, end) {
	for (let i = begin; i < end; i++) {
		const v = from[i];
		to[i] = 0xff000000 | ((v & 0xff) << 16) | (v & 0xff00) | ((v >>> 16) & 0xff);
	}
}

// X gives cursor images with premultiplied alpha; a canvas takes them without.
function cursorPicture(hot) {
	const image = new ImageData(hot.width, hot.height), to = image.data, from = hot.bytes;
	for (let i = 0; i < to.length; i += 4) {
		const alpha = from[i + 3], plain = (n) => (alpha ? Math.min(255, Math.round((n * 255) / alpha)) : 0);
		to[i] = plain(from[i + 2]);
		to[i + 1] = plain(from[i + 1]);
		to[i + 2] = plain(from[i]);
		to[i + 3] = alpha;
	}
	return image;
}
