// controls: the buttons below the time line, and the times.

import { el, icon } from "./dom.js";
import { dateAndTime, position, timeOfDay } from "./format.js";
import { KEYS } from "./keys.js";
import { SPEEDS } from "./playback.js";

function button(attributes, ...children) {
	return el("button", { type: "button", ...attributes }, ...children);
}

export class Controls {
	constructor(playback, fullScreen) {
		this.playback = playback;
		this.play = button({ class: "play" });
		this.position = el("span", { class: "position" });
		this.day = el("time", { class: "day" });
		this.speed = el("select", { class: "speed", "aria-label": "Speed" }, ...SPEEDS.map((s) => el("option", { value: s, selected: s === 1 }, `${s}×`)));
		this.skip = button({ class: "skip", "aria-pressed": "false", title: "Skip idle time (I)" }, icon("skip"), el("span", {}, "Skip idle"));
		this.live = button({ class: "live", "aria-pressed": "false", title: "Show what happens now (E)", hidden: true }, el("span", { class: "dot" }), "Live");
		this.keys = button({ class: "keys", "aria-label": "Keyboard", title: "Keyboard (?)", "aria-expanded": "false" }, icon("keys"));
		this.full = button({ class: "full", "aria-label": "Full screen", title: "Full screen (F)" }, icon("full"));
		this.help = el("dl", { class: "help", hidden: true }, ...KEYS.flatMap(([key, what]) => [el("dt", {}, key), el("dd", {}, what)]));
		const row = el("div", { class: "row" }, this.play, el("span", { class: "times" }, this.position, this.day), el("span", { class: "space" }),
			       this.live, this.speed, this.skip, this.keys, this.full);
		this.element = el("div", { class: "controls" }, row, this.help);
		this.#listen(fullScreen);
		this.#changed();
	}

	#shown = "";

	#listen(fullScreen) {
		const { playback } = this;
		this.play.addEventListener("click", () => playback.toggle());
		this.speed.addEventListener("change", () => playback.set({ speed: Number(this.speed.value) }));
		this.skip.addEventListener("click", () => playback.set({ skipIdle: !playback.skipIdle }));
		this.live.addEventListener("click", () => (playback.following ? playback.pause() : playback.follow()));
		this.keys.addEventListener("click", () => this.toggleKeys());
		this.full.addEventListener("click", fullScreen);
		playback.addEventListener("change", () => this.#changed());
		playback.addEventListener("index", () => this.#changed());
		playback.addEventListener("time", () => this.#moved());
	}

	toggleKeys() {
		this.help.hidden = !this.help.hidden;
		this.keys.setAttribute("aria-expanded", String(!this.help.hidden));
	}

	#changed() {
		const { ended, following, playing, skipIdle, speed, timetable } = this.playback;
		const [picture, label] = playing || following ? ["pause", "Pause"] : ended ? ["replay", "Play again"] : ["play", "Play"];
		if (this.play.getAttribute("aria-label") !== label) {
			this.play.setAttribute("aria-label", label);
			this.play.title = `${label} (Space)`;
			this.play.replaceChildren(icon(picture));
		}
		this.speed.value = String(speed);
		this.speed.disabled = following;
		this.skip.setAttribute("aria-pressed", String(skipIdle));
		this.live.hidden = !timetable.running;
		this.live.setAttribute("aria-pressed", String(following));
		this.#moved();
	}

	#moved() {
		const { position: ms, timetable } = this.playback, at = timetable.startedAt + ms;
		const text = `${position(ms)} / ${position(timetable.duration)}`;
		if (text === this.#shown)
			return;
		this.#shown = text;
		this.position.textContent = text;
		this.day.textContent = timeOfDay(at);
		this.day.title = dateAndTime(at);
		if (!Number.isNaN(at))
			this.day.setAttribute("datetime", new Date(at).toISOString());
	}
}
