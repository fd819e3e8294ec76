// <lucid-player>: shows one recording. Usable on any page:
//
//     import "…/player/player.js";
//     const player = document.createElement("lucid-player");
//     player.token = () => token;             // sent as Authorization header; or player.request = your own fetch
//     document.body.append(player);
//     player.open("sess-0123456789abcdef");   // the newest recording of the session; or open(session, recording)
//
// Properties: playback (playback.js: position, seek, play, …), base (URL of the API). Events: "unauthorized" (status 401), "opened".
// Its style has variables (player.css) and follows color-scheme of the page.

import { Controls } from "./controls.js";
import { el } from "./dom.js";
import { spoken } from "./format.js";
import { keyAction } from "./keys.js";
import { Playback } from "./playback.js";
import { Screen } from "./screen.js";
import { ApiError, Source } from "./source.js";
import { Timeline } from "./timeline.js";

const STYLE = new URL("player.css", import.meta.url).href;
const API = new URL("../api/v1/", import.meta.url).href;
const NOTICE_MS = 2500;
const WAITING_MS = 300; // shorter waits are not shown

export class LucidPlayer extends HTMLElement {
	constructor() {
		super();
		this.token = () => "";
		this.request = null;
		this.base = API;
		this.#build();
	}

	#stage;
	#picture;
	#notice;
	#problem;
	#timeline;
	#controls;
	#skips = 0; // ms that were skipped since the notice appeared
	#skippedAt = -Infinity;
	#noticeTimer = 0;
	#waitingTimer = 0;

	#build() {
		const canvas = el("canvas", { class: "screen", role: "img", "aria-label": "Recorded desktop" });
		const cursor = el("canvas", { class: "cursor", "aria-hidden": "true", hidden: true });
		const source = new Source({ token: () => this.token(), request: (url, init) => (this.request ?? fetch.bind(window))(url, init) });
		Object.defineProperty(source, "base", { get: () => this.base });
		this.playback = new Playback(source, new Screen(canvas, cursor));
		this.source = source;
		this.#picture = el("div", { class: "picture" }, canvas, cursor);
		this.#notice = el("div", { class: "notice", role: "status", "aria-live": "polite" });
		this.#problem = el("div", { class: "problem", role: "alert", hidden: true });
		this.#stage = el("div", { class: "stage" }, this.#picture, el("div", { class: "spinner", "aria-hidden": "true" }), this.#notice, this.#problem);
		this.#timeline = new Timeline(this.playback);
		this.#controls = new Controls(this.playback, () => this.#fullScreen());
		this.frame = el("div", { class: "player", role: "group", "aria-label": "Recording" }, this.#stage, this.#timeline.element, this.#controls.element);
		this.attachShadow({ mode: "open" }).append(el("link", { rel: "stylesheet", href: STYLE }), this.frame);
		this.#picture.addEventListener("click", () => this.playback.toggle());
		this.frame.addEventListener("keydown", (e) => this.key(e));
		this.playback.addEventListener("change", () => this.#changed());
		this.playback.addEventListener("index", () => this.#fit());
		this.playback.addEventListener("painted", () => this.#picture.style.setProperty("--ratio", canvas.width / canvas.height));
		this.playback.addEventListener("skip", (e) => this.#skipped(e.detail.ms));
	}

	// Resolves when the index is there; the picture follows. Rejects with an ApiError, which is also shown.
	async open(session, recording) {
		this.#show(null);
		try {
			await this.playback.open(session, recording);
		} catch (e) {
			if (e.name !== "AbortError")
				this.#show(e, () => this.open(session, recording).catch(() => {}));
			throw e;
		}
		if (!this.playback.timetable.chunks.length)
			this.say("Nothing has been recorded yet");
		this.dispatchEvent(new CustomEvent("opened"));
	}

	disconnectedCallback() {
		// an element that is moved is connected again at once
		queueMicrotask(() => {
			if (!this.isConnected) {
				this.playback.close();
				this.#timeline.close();
			}
		});
	}

	// Handles a key, also one that a page passes on. Returns whether it was one of the player's.
	key(e) {
		const target = e.composedPath()[0], action = keyAction(e, target);
		if (!action)
			return false;
		e.preventDefault();
		if (action === "full")
			this.#fullScreen();
		else if (action === "keys")
			this.#controls.toggleKeys();
		else
			action(this.playback);
		return true;
	}

	// Shows a short text above the picture, which screen readers read.
	say(text) {
		clearTimeout(this.#noticeTimer);
		this.#notice.textContent = text;
		this.#notice.classList.add("shown");
		this.#noticeTimer = setTimeout(() => this.#notice.classList.remove("shown"), NOTICE_MS);
	}

	// The stage has the shape of the largest picture, so that the page does not move when the desktop changes its size.
	#fit() {
		const { chunks } = this.playback.timetable, most = (name) => chunks.reduce((m, c) => Math.max(m, c[name]), 0);
		if (chunks.length)
			this.#stage.style.aspectRatio = `${most("width")} / ${most("height")}`;
	}

	// Several skips in a row are one to the viewer.
	#skipped(ms) {
		const now = performance.now();
		this.#skips = now - this.#skippedAt < NOTICE_MS ? this.#skips + ms : ms;
		this.#skippedAt = now;
		this.say(`Skipped ${spoken(this.#skips)} without activity`);
	}

	#changed() {
		const { buffering, error } = this.playback;
		if (!buffering) {
			clearTimeout(this.#waitingTimer);
			this.#waitingTimer = 0;
			this.frame.classList.remove("waiting");
		} else {
			this.#waitingTimer ||= setTimeout(() => this.frame.classList.add("waiting"), WAITING_MS);
		}
		this.#show(error, () => this.playback.retry());
	}

	#shown = null;

	#show(error, again) {
		if (error === this.#shown)
			return;
		this.#shown = error;
		this.#problem.hidden = !error;
		this.frame.classList.toggle("failed", Boolean(error)); // what is shown is another moment
		if (!error)
			return;
		const button = el("button", { type: "button" }, "Try again");
		button.addEventListener("click", again);
		const what = error instanceof ApiError ? error.message : `the recording is damaged at this place: ${error.message}`;
		this.#problem.replaceChildren(el("p", {}, what.replace(/^./, (c) => c.toUpperCase())), button);
		if (error.status === 401)
			this.dispatchEvent(new CustomEvent("unauthorized", { detail: error }));
	}

	#fullScreen() {
		if (document.fullscreenElement)
			document.exitFullscreen();
		else
			this.requestFullscreen?.();
	}
}

customElements.define("lucid-player", LucidPlayer);
