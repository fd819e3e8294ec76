// source: the API of one recording. The token is sent in the Authorization header only. No other file of the player knows paths and
// members of the API.

const RETRIES = 4;
const RETRY_MS = 400; // doubled with each attempt
const RETRY_AFTER_MAX_S = 15;

export class ApiError extends Error {
	constructor(status, message) {
		super(message);
		this.name = "ApiError";
		this.status = status; // 0: no response
	}
}

function pause(ms, signal) {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(resolve, ms);
		signal?.addEventListener("abort", () => {
			clearTimeout(timer);
			reject(signal.reason);
		}, { once: true });
	});
}

async function errorOf(response) {
	let text = "";
	try {
		text = (await response.json()).error?.message ?? "";
	} catch {
		// the body is not JSON; the status says enough
	}
	return new ApiError(response.status, text || `the server answered with status ${response.status}`);
}

function entryOf(c) {
	return { seq: c.seq, t0: c.t0_ms, duration: c.duration_ms ?? 0, bytes: c.bytes ?? 0, raw: c.raw_bytes ?? 0, width: c.width, height: c.height,
		 closed: c.closed !== false, torn: c.torn === true, activity: c.activity ?? [] };
}

export class Source {
	// `token`: a function that returns the token of the moment. `request` replaces fetch, for pages with their own way of authorization.
	constructor({ base, token, request }) {
		this.base = base;
		this.token = token ?? (() => "");
		this.request = request ?? ((url, init) => fetch(url, init));
	}

	// Retries what may succeed later: no response, 429 and 5xx. Throws ApiError, or the reason of the signal.
	async #get(path, query, signal) {
		const url = new URL(path, this.base);
		for (const [name, value] of Object.entries(query))
			if (value !== undefined && value !== null)
				url.searchParams.set(name, value);
		const headers = this.token() ? { Authorization: `Bearer ${this.token()}` } : {};
		for (let attempt = 0; ; attempt++) {
			let response, wait = RETRY_MS << attempt;
			try {
				response = await this.request(url, { headers, signal, cache: "no-store", credentials: "omit" });
			} catch (e) {
				signal?.throwIfAborted();
				if (attempt >= RETRIES)
					throw new ApiError(0, "the server cannot be reached; check the network and try again");
			}
			if (response?.ok)
				return response;
			if (response && response.status !== 429 && response.status < 500)
				throw await errorOf(response);
			if (response && attempt >= RETRIES)
				throw await errorOf(response);
			const after = Number(response?.headers.get("Retry-After"));
			if (after > 0)
				wait = Math.min(after, RETRY_AFTER_MAX_S) * 1000;
			await response?.body?.cancel();
			await pause(wait, signal);
		}
	}

	async sessions(signal) {
		const doc = await (await this.#get("sessions", { limit: 100 }, signal)).json();
		return doc.sessions.map((s) => ({ id: s.session_id, user: s.user_id, username: s.username, status: s.status, since: Date.parse(s.created_at) }));
	}

	async recordings(session, signal) {
		const doc = await (await this.#get(`sessions/${encodeURIComponent(session)}/recordings`, { limit: 100 }, signal)).json();
		return doc.recordings.map((r) => ({ id: r.recording_id, state: r.state, startedAt: Date.parse(r.started_at), duration: r.duration_ms ?? 0,
						    bytes: r.bytes ?? 0 }));
	}

	// The chunks after sequence number `after` (undefined: all), in order, with what is known of the whole recording.
	async index(session, recording, after, signal) {
		const found = { chunks: [] };
		for (let more = true; more;) {
			const doc = await (await this.#get(`sessions/${encodeURIComponent(session)}/chunks`, { recording, after }, signal)).json();
			Object.assign(found, { recording: doc.recording_id, state: doc.state, startedAt: Date.parse(doc.started_at), duration: doc.duration_ms ?? 0 });
			// a chunk that was torn before its size was written has no picture
			found.chunks.push(...doc.chunks.filter((c) => c.width && c.height).map(entryOf));
			more = doc.more === true && doc.chunks.length > 0;
			after = doc.chunks.at(-1)?.seq;
			recording = doc.recording_id;
		}
		return found;
	}

	// Passes the record stream of a chunk from byte `from` to `take`, piece by piece. Returns whether the chunk is complete.
	async data(session, recording, seq, from, take, signal) {
		const path = `sessions/${encodeURIComponent(session)}/chunks/${seq}/data`;
		const response = await this.#get(path, { recording, from: from || undefined }, signal);
		const closed = response.headers.get("X-Chunk-Closed") !== "false";
		const reader = response.body.getReader();
		try {
			for (;;) {
				const { done, value } = await reader.read();
				if (done)
					return closed;
				take(value);
			}
		} catch (e) {
			signal?.throwIfAborted();
			if (e instanceof TypeError)
				throw new ApiError(0, "the connection was lost while the recording was read");
			throw e;
		} finally {
			reader.cancel().catch(() => {});
		}
	}
}
