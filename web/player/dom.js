// dom: elements without innerHTML, so that the page can require trusted types.

export function el(tag, attributes = {}, ...children) {
	const e = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes))
		if (value === true)
			e.setAttribute(name, "");
		else if (value !== false && value !== null && value !== undefined)
			e.setAttribute(name, value);
	e.append(...children);
	return e;
}

const SHAPES = {
	play: "M7 4.5v15l13-7.5z",
	pause: "M6 4.5h4.2v15H6zm7.8 0H18v15h-4.2z",
	replay: "M12 5V1.5L6.5 7 12 12.500V9a5 5 0 1 1-5 5H4a8 8 0 1 0 8-9z",
	skip: "M4 5l8 7-8 7zm8 0l8 7-8 7z",
	full: "M4 4h6v2.200H6.200V10H4zm10 0h6v6h-2.200V6.200H14zM4 14h2.200v3.800H10V20H4zm13.800 0H20v6h-6v-2.200h3.800z",
	keys: "M2 6h20v12H2zm2 2v8h16V8zm2 1.500h2v2H6zm4 0h2v2h-2zm4 0h2v2h-2zM6 13h12v2H6z",
};

export function icon(name) {
	const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
	const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
	svg.setAttribute("viewBox", "0 0 24 24");
	svg.setAttribute("aria-hidden", "true");
	path.setAttribute("d", SHAPES[name]);
	svg.append(path);
	return svg;
}
