// session.js - who is logged in.  The token lives in this module's variable and nowhere else: not in storage, cookies, addresses or the window; it is gone with the page.
// What a login by redirect has to find again - its state and verifier, good for one code and of no use without it - waits in the tab's session storage and is removed
// by the first look at it.

let token = null;
let loggedOut = () => {}; // what main.js does about it

const PENDING = "pcapline.login";

class ApiError extends Error {
	constructor(status, code, message) {
		super(message);
		Object.assign(this, {status, code});
	}
}

// Paths are below the page's own, so that a gateway behind a path of a proxy works too.
async function request(method, path, body, signal) {
	const headers = {Accept: "application/json"};
	if (token)
		headers.Authorization = `Bearer ${token}`;
	if (body !== undefined)
		headers["Content-Type"] = "application/json";
	try {
		return await fetch(path, {method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal,
			cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer"});
	} catch (e) {
		if (signal?.aborted && e.name !== "TimeoutError")
			throw e;
		throw new ApiError(0, "unreachable", "the gateway does not answer");
	}
}

async function refusal(response) {
	let error = null;
	try {
		error = (await response.json()).error;
	} catch {
		// a proxy's own words
	}
	return new ApiError(response.status, error?.code ?? "http", error?.message ?? `the gateway answers ${response.status}`);
}

// One call: its JSON (null where there is none), or an ApiError.  A token that is not good any more ends the login.
async function api(method, path, body) {
	const asked = token;
	const response = await request(method, path, body, AbortSignal.timeout(60000));
	const answer = !response.ok ? await refusal(response) : response.status === 204 ? null : await response.json();
	if (asked !== token)
		throw new ApiError(0, "stale", "somebody else is logged in meanwhile");
	if (response.ok)
		return answer;
	if (answer.status === 401 && asked)
		logOut(`You are logged out: ${answer.message}.`);
	throw answer;
}

// Is there such a path here?  An older gateway says 404.  Asked with a method that it does not take (405), since to look at some things is itself recorded, or takes a while.
async function has(method, path) {
	const response = await request(method, path, undefined, AbortSignal.timeout(20000));
	await response.body?.cancel();
	return response.status !== 404;
}

function logOut(why = "") {
	token = null;
	loggedOut(why);
}

// The token is good when a call that needs one takes it.
async function logIn(candidate) {
	token = candidate.trim().replace(/^bearer\s+/i, "");
	if (!/^[\x21-\x7e]+$/.test(token)) {
		token = null;
		throw new ApiError(401, "auth", "this is no token: it has characters that none has");
	}
	try {
		const response = await request("GET", "v1/captures?limit=1", undefined, AbortSignal.timeout(20000));
		if (!response.ok)
			throw await refusal(response);
		return await api("GET", "v1/info");
	} catch (e) {
		token = null;
		throw e;
	}
}

// ---- authorization code with PKCE (RFC 7636) ----

function randomText() {
	return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

function base64url(data) {
	return btoa(String.fromCharCode(...data)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function goToIssuer(page) {
	const verifier = randomText(), state = randomText();
	const challenge = base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
	const url = new URL(page.authorize_url);
	const query = {response_type: "code", client_id: page.client_id, redirect_uri: page.redirect_uri, state, code_challenge: challenge, code_challenge_method: "S256"};
	if (page.scopes)
		query.scope = page.scopes;
	for (const [name, value] of Object.entries(query))
		url.searchParams.set(name, value);
	sessionStorage.setItem(PENDING, JSON.stringify({state, verifier}));
	location.assign(url);
}

// Back from the issuer?  Then the token that it gives for the code.  The address is cleaned before anything else happens.
async function comeBack() {
	const query = new URLSearchParams(location.search);
	const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
	sessionStorage.removeItem(PENDING);
	if (![...query.keys()].length)
		return null;
	history.replaceState(null, "", location.pathname);
	if (!query.has("code") && !query.has("error"))
		return null;
	if (!pending || query.get("state") !== pending.state)
		throw new ApiError(401, "state", "this login was not begun in this tab; begin again");
	if (query.has("error"))
		throw new ApiError(401, "refused", `the issuer says: ${query.get("error_description") ?? query.get("error")}`);
	const answer = await api("POST", "v1/login/token", {code: query.get("code"), code_verifier: pending.verifier});
	return answer.access_token;
}
