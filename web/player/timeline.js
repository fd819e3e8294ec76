// timeline: the bar below the picture: thumbnails, activity, the position. It is a slider for screen readers and the keyboard.

import { el } from "./dom.js";
import { position, spoken, timeOfDay } from "./format.js";
import { Thumbnails } from "./thumbnails.js";

const BAR = 3; // width of a bar of activity with its gap, in CSS pixels

export class Timeline {
	constructor(playback) {
		this.playback = playback;
		this.strip = el("div", { class: "strip", "aria-hidden": "true" });
		this.graph = el("canvas", { class: "graph", "aria-hidden": "true" });
		this.played = el("div", { class: "played" });
		this.head = el("div", { class: "head" });
		this.bar = el("div", { class: "bar", role: "slider", tabindex: "0", "aria-label": "Position in the recording", "aria-valuemin": "0" },
			      this.strip, this.graph, this.played, this.head);
		this.tipPicture = el("canvas", { hidden: true });
		this.tipText = el("span");
		this.tip = el("div", { class: "tip", hidden: true, "aria-hidden": "true" }, this.tipPicture, this.tipText);
		this.element = el("div", { class: "timeline" }, this.bar, this.tip);
		this.thumbnails = new Thumbnails(playback, this.strip);
		this.#listen();
	}

	#second = -1;
	#drawing = 0;

	#listen() {
		const { bar, playback } = this;
		bar.addEventListener("pointerdown", (e) => {
			if (e.button !== 0 || !playback.timetable.duration)
				return;
			bar.setPointerCapture(e.pointerId);
			playback.dragging = true;
			this.#drag(e);
		});
		bar.addEventListener("pointermove", (e) => {
			if (playback.dragging)
				this.#drag(e);
			this.#showTip(e);
		});
		const release = () => {
			playback.dragging = false;
			playback.wake();
		};
		bar.addEventListener("pointerup", release);
		bar.addEventListener("pointercancel", release);
		bar.addEventListener("lostpointercapture", release);
		bar.addEventListener("pointerleave", () => (this.tip.hidden = true));
		playback.addEventListener("time", () => this.#moved());
		for (const type of ["index", "gap"])
			playback.addEventListener(type, () => this.redraw());
		this.sized = new ResizeObserver(() => this.redraw());
		this.sized.observe(bar);
		this.theme = matchMedia("(prefers-color-scheme: dark)");
		this.redrawTheme = () => this.redraw();
		this.theme.addEventListener("change", this.redrawTheme);
	}

	// The element has left the page.
	close() {
		this.thumbnails.stop();
		this.sized.disconnect();
		this.theme.removeEventListener("change", this.redrawTheme);
		cancelAnimationFrame(this.#drawing);
	}

	#timeAt(e) {
		const box = this.bar.getBoundingClientRect();
		return Math.min(1, Math.max(0, (e.clientX - box.left) / box.width)) * this.playback.timetable.duration;
	}

	#drag(e) {
		this.playback.seek(this.#timeAt(e));
	}

	#showTip(e) {
		const { timetable } = this.playback, ms = this.#timeAt(e);
		if (!timetable.duration || e.pointerType === "touch")
			return;
		const day = timeOfDay(timetable.startedAt + ms);
		this.tipText.textContent = day ? `${position(ms)} · ${day}` : position(ms);
		const picture = this.thumbnails.near(ms);
		this.tipPicture.hidden = !picture;
		if (picture) {
			this.tipPicture.width = picture.width;
			this.tipPicture.height = picture.height;
			this.tipPicture.getContext("2d").drawImage(picture, 0, 0);
		}
		this.tip.hidden = false;
		const box = this.bar.getBoundingClientRect(), half = this.tip.offsetWidth / 2;
		this.tip.style.left = `${Math.min(Math.max(e.clientX - box.left, half), Math.max(half, box.width - half))}px`;
	}

	#moved() {
		const { position: ms, timetable } = this.playback;
		const part = `${timetable.duration ? (100 * ms) / timetable.duration : 0}%`;
		this.played.style.width = part;
		this.head.style.left = part;
		const second = Math.floor(ms / 1000);
		if (second === this.#second)
			return;
		this.#second = second;
		const day = timeOfDay(timetable.startedAt + ms);
		this.bar.setAttribute("aria-valuenow", String(second));
		this.bar.setAttribute("aria-valuetext", `${spoken(ms)} of ${spoken(timetable.duration)}${day ? `, ${day}` : ""}`);
		if (timetable.running)
			this.redraw();
	}

	redraw() {
		if (!this.#drawing)
			this.#drawing = requestAnimationFrame(() => {
				this.#drawing = 0;
				this.#draw();
			});
	}

	#draw() {
		const { timetable } = this.playback, scale = devicePixelRatio;
		const width = this.graph.clientWidth, height = this.graph.clientHeight;
		this.bar.setAttribute("aria-valuemax", String(Math.floor(timetable.duration / 1000)));
		if (!width || !height)
			return;
		this.graph.width = Math.round(width * scale);
		this.graph.height = Math.round(height * scale);
		const c = this.graph.getContext("2d"), style = getComputedStyle(this.graph);
		c.scale(scale, scale);
		this.#drawGaps(c, style, width, height);
		c.fillStyle = style.color;
		timetable.activity(Math.floor(width / BAR)).forEach((part, i) => {
			const high = part ? Math.max(2, part * (height - 2)) : 1;
			c.globalAlpha = part ? 1 : 0.35;
			c.fillRect(i * BAR, height - high, BAR - 1, high);
		});
		this.thumbnails.update();
	}

	// When nothing was recorded.
	#drawGaps(c, style, width, height) {
		const { gaps, timetable } = this.playback, scale = width / Math.max(1, timetable.duration);
		c.fillStyle = style.getPropertyValue("--gap");
		for (const { from, to } of gaps)
			c.fillRect(from * scale, 0, Math.max(2, (to - from) * scale), height);
	}
}
