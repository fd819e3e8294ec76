// format: times as text.

const two = (n) => String(n).padStart(2, "0");

// "2:05", "1:02:05"
export function position(ms) {
	const s = Math.max(0, Math.floor(ms / 1000));
	const hours = Math.floor(s / 3600), minutes = Math.floor(s / 60) % 60;
	return hours ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

// "1 hour 2 minutes 5 seconds", for screen readers
export function spoken(ms) {
	const s = Math.max(0, Math.floor(ms / 1000));
	const parts = [[Math.floor(s / 3600), "hour"], [Math.floor(s / 60) % 60, "minute"], [s % 60, "second"]];
	const said = parts.filter(([n], i) => n || (i === 2 && s < 60)).map(([n, unit]) => `${n} ${unit}${n === 1 ? "" : "s"}`);
	return said.join(" ");
}

// The time of day at the browser, "14:03:27". `date` is a time in ms since 1970, or NaN.
export function timeOfDay(date) {
	const d = new Date(date);
	return Number.isNaN(d.getTime()) ? "" : `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

// "2026-11-30 14:03:27"
export function dateAndTime(date) {
	const d = new Date(date);
	return Number.isNaN(d.getTime()) ? "" : `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${timeOfDay(date)}`;
}

export function bytes(n) {
	const units = ["bytes", "KB", "MB", "GB", "TB"];
	let i = 0;
	for (; n >= 1000 && i + 1 < units.length; i++)
		n /= 1000;
	return `${i && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}
