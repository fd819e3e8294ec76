// page: asks for a token, lists sessions and their recordings, and shows one in a <lucid-player>. The address has them in its fragment,
// which no browser sends: /player#session=sess-…&recording=…&t=SECONDS

import "./player.js";
import { bytes, dateAndTime, position } from "./format.js";
import { el } from "./dom.js";

const KEPT = "lucid-token"; // in sessionStorage, which belongs to this tab

const byId = (id) => document.getElementById(id);
const access = byId("access"), choice = byId("choice"), state = byId("state"), place = byId("place"), forget = byId("forget");
const sessions = byId("sessions"), recordings = byId("recordings"), tokenField = byId("token"), refusal = byId("refusal");
const player = document.createElement("lucid-player");

let token = kept();
let turn = 0; // an answer to an older choice is ignored

function kept() {
	try {
		return sessionStorage.getItem(KEPT) ?? "";
	} catch {
		return ""; // storage is switched off: the token stays in memory only
	}
}

function keep(value) {
	token = value;
	try {
		if (value)
			sessionStorage.setItem(KEPT, value);
		else
			sessionStorage.removeItem(KEPT);
	} catch {
		// as above
	}
}

const wanted = () => new URLSearchParams(location.hash.slice(1));

function name(session, recording) {
	const address = new URLSearchParams(session ? { session } : {});
	if (recording)
		address.set("recording", recording);
	const hash = `#${address}`;
	if (location.hash !== hash)
		history.replaceState(null, "", hash);
}

function ask(why) {
	player.remove();
	choice.hidden = forget.hidden = true;
	access.hidden = false;
	state.textContent = "";
	refusal.textContent = why;
	tokenField.value = "";
	tokenField.focus();
}

function report(e) {
	if (e.name === "AbortError")
		return;
	if (e.status === 401) {
		keep("");
		ask("The token is not valid, or it has expired. Enter another one.");
		return;
	}
	state.textContent = e.message.replace(/^./, (c) => c.toUpperCase());
}

function fill(select, items, value) {
	select.replaceChildren(...items.map(([id, text]) => el("option", { value: id }, text)));
	select.value = value;
	select.disabled = !items.length;
}

function sessionText(s) {
	return `${s.username ?? s.user ?? s.id} · ${dateAndTime(s.since)} · ${s.status}`;
}

function recordingText(r) {
	return `${dateAndTime(r.startedAt)} · ${r.state === "recording" ? "running" : `${position(r.duration)} · ${bytes(r.bytes)}`}`;
}

async function start() {
	const mine = ++turn, want = wanted();
	access.hidden = true;
	choice.hidden = forget.hidden = false;
	try {
		let list = await player.source.sessions();
		if (mine !== turn)
			return;
		let session = want.get("session");
		if (session && !list.some((s) => s.id === session))
			list = [{ id: session, user: session, status: "", since: NaN }, ...list];
		session ??= list[0]?.id;
		fill(sessions, list.map((s) => [s.id, s.since ? sessionText(s) : s.id]), session);
		if (session)
			await show(session, want.get("recording"), want.get("t"));
		else
			state.textContent = "There are no sessions.";
	} catch (e) {
		if (mine === turn)
			report(e);
	}
}

async function show(session, recording, seconds) {
	const mine = ++turn;
	state.textContent = "";
	try {
		const list = await player.source.recordings(session);
		if (mine !== turn)
			return;
		recording = recording ?? list[0]?.id;
		fill(recordings, list.map((r) => [r.id, recordingText(r)]), recording);
		name(session, recording);
		if (!recording) {
			player.remove();
			state.textContent = "This session has no recordings.";
			return;
		}
		if (!player.isConnected)
			place.append(player);
		await player.open(session, recording);
		if (mine === turn && seconds)
			player.playback.seek(Number(seconds) * 1000 || 0);
	} catch (e) {
		if (mine === turn && (!player.isConnected || e.status === 401))
			report(e);
	}
}

player.token = () => token;
player.addEventListener("unauthorized", (e) => report(e.detail));
access.addEventListener("submit", (e) => {
	e.preventDefault();
	keep(tokenField.value.trim());
	start();
});
choice.addEventListener("submit", (e) => e.preventDefault());
sessions.addEventListener("change", () => show(sessions.value));
recordings.addEventListener("change", () => show(sessions.value, recordings.value));
forget.addEventListener("click", () => {
	keep("");
	turn++;
	ask("");
});
addEventListener("hashchange", () => token && start());
// keys work without a focus on the player
addEventListener("keydown", (e) => {
	if (player.isConnected && (e.target === document.body || e.target === document.documentElement))
		player.key(e);
});

if (token)
	start();
else
	ask("");
