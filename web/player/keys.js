// keys: the keyboard of the player.

import { SPEEDS } from "./playback.js";

const by = (ms) => (p) => p.seek(p.position + ms);
const part = (tenths) => (p) => p.seek((p.timetable.duration * tenths) / 10);
const faster = (direction) => (p) => {
	const i = SPEEDS.indexOf(p.speed) + direction;
	if (SPEEDS[i] && !p.following)
		p.set({ speed: SPEEDS[i] });
};
const toggle = (p) => p.toggle();
const live = (p) => (p.following ? p.pause() : p.follow());

const ACTIONS = {
	" ": toggle, k: toggle,
	ArrowLeft: by(-5000), ArrowRight: by(5000), "Shift+ArrowLeft": by(-30000), "Shift+ArrowRight": by(30000),
	j: by(-10000), l: by(10000), PageDown: by(-60000), PageUp: by(60000),
	Home: part(0), End: part(10), ",": (p) => p.step(-1), ".": (p) => p.step(1),
	"+": faster(1), "=": faster(1), "Shift++": faster(1), "-": faster(-1), ">": faster(1), "<": faster(-1), "Shift+>": faster(1), "Shift+<": faster(-1),
	i: (p) => p.set({ skipIdle: !p.skipIdle }), e: live, f: "full", "?": "keys", "Shift+?": "keys",
};
for (let i = 0; i <= 9; i++)
	ACTIONS[i] = part(i);

// What the help lists
export const KEYS = [
	["Space, K", "play or pause"],
	["← →", "5 seconds back or forward, with Shift 30 seconds"],
	["J L", "10 seconds back or forward"],
	["Page down, Page up", "1 minute back or forward"],
	["Home, End, 0 … 9", "start, end, tenths of the recording"],
	[", .", "previous or next change of the picture"],
	["− +", "slower or faster"],
	["I", "skip idle time"],
	["E", "live"],
	["F", "full screen"],
	["?", "this list"],
];

// A function of a Playback, "full", "keys", or undefined: the key is for the element that has the focus, or for nobody.
export function keyAction(e, target) {
	if (e.ctrlKey || e.altKey || e.metaKey || e.defaultPrevented)
		return undefined;
	const tag = target?.tagName;
	if (tag === "INPUT" || tag === "SELECT" || tag === "TEXTAREA")
		return undefined;
	if ((tag === "BUTTON" || tag === "SUMMARY" || tag === "A") && (e.key === " " || e.key === "Enter"))
		return undefined;
	const key = e.key.length === 1 ? e.key.toLowerCase() : e.key;
	return ACTIONS[e.shiftKey ? `Shift+${key}` : key];
}
