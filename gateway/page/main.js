// main.js - what is seen when: the login, or what the one who is logged in may see; and the looking again, every two seconds, less often when nobody looks or the
// gateway does not answer.

const LOOK_MS = 2000, HIDDEN_MS = 30000, AWAY_MS_MAX = 30000;
const panels = new Map(); // name: {tab, panel, look}
let infoLook_at = -Infinity, current = "captures", timer = null, looking = false, again = false, away_ms = 0;

// ---- health ----

async function lookAtHealth() {
	const chip = byId("health");
	try {
		const response = await request("GET", "readyz", undefined, AbortSignal.timeout(10000));
		const answer = await response.json();
		const halted = answer.reasons.some(r => r.what === "halted"), others = answer.reasons.filter(r => r.what !== "halted").map(r => r.message);
		const ready = answer.status === "ready";
		chip.dataset.health = !ready || halted ? "bad" : others.length ? "warn" : "good";
		setText(chip, !ready ? "not ready" : halted ? "halted" : others.length ? "ready, with a problem" : "ready");
		notice("health", others.map(text => `The gateway says: ${text}.`).join(" "), !ready);
	} catch {
		chip.dataset.health = "bad";
		setText(chip, "no answer");
	}
}

function notice(name, text, bad = true) {
	let n = byId(`notice-${name}`);
	if (!text) {
		n?.remove();
		return;
	}
	if (!n)
		byId("notices").append(n = el("p.notice", {id: `notice-${name}`}));
	n.classList.toggle("bad", bad);
	setText(n, text);
}

// What anybody is told: is everything halted, and how does one stand with the limits?
async function lookAtInfo() {
	if (performance.now() - infoLook_at < 10000)
		return;
	info = await api("GET", "v1/info");
	infoLook_at = performance.now();
	tellInfo();
}

function tellInfo() {
	const h = info.halted;
	notice("halted", h ? `All captures are halted since ${moment(h.since)}${h.by ? ` by ${h.by}` : ""}${h.reason ? `: ${h.reason}` : ""}` : "");
	tellStanding(info.standing);
}

// ---- looking again ----

async function lookAtPanel(p) {
	if (performance.now() - p.last_ms < p.every_ms)
		return;
	await p.lookAt();
	p.last_ms = performance.now();
}

async function look() {
	clearTimeout(timer);
	if (looking) {
		again = true;
		return;
	}
	looking = true;
	const by = token;
	try {
		await Promise.all([lookAtPanel(panels.get(current)), lookAtInfo(), lookAtHealth()]);
		notice("away", "");
		away_ms = 0;
	} catch (e) {
		if (by && by === token) {
			away_ms = Math.min(AWAY_MS_MAX, Math.max(LOOK_MS, away_ms * 2));
			notice("away", `Not up to date: ${e.message}. Trying again in ${Math.round(away_ms / 1000)} s.`);
		}
	}
	looking = false;
	if (!token)
		return;
	timer = setTimeout(look, again ? 0 : away_ms || (document.hidden ? HIDDEN_MS : LOOK_MS));
	again = false;
}

function lookNow() {
	lookAgainSoon();
	infoLook_at = -Infinity;
	for (const p of panels.values())
		p.last_ms = -Infinity;
	look();
}

document.addEventListener("visibilitychange", () => {
	if (!document.hidden && token)
		look();
});

// ---- tabs ----

function choose(name, focus) {
	current = name;
	panels.get(name).last_ms = -Infinity;
	for (const [key, p] of panels) {
		const chosen = key === name;
		p.tab.setAttribute("aria-selected", String(chosen));
		p.tab.tabIndex = chosen ? 0 : -1;
		show(p.panel, chosen);
		if (chosen && focus)
			p.tab.focus();
	}
	look();
}

// lookAt is called at most each every_ms, unless something was done or chosen.
function addPanel(name, title, panel, lookAt, every_ms = 0) {
	const tab = el("button.tab", {type: "button", role: "tab", id: `tab-${name}`, "aria-controls": panel.id, onclick: () => choose(name)}, title);
	panel.setAttribute("role", "tabpanel");
	panel.setAttribute("aria-labelledby", tab.id);
	panels.set(name, {tab, panel, lookAt, every_ms, last_ms: -Infinity});
	byId("tabs").append(tab);
	if (!panel.isConnected)
		byId("app").append(panel);
	return tab;
}

byId("tabs").addEventListener("keydown", event => {
	const names = [...panels.keys()], at = names.indexOf(current), last = names.length - 1;
	const to = {ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last}[event.key];
	if (to === undefined)
		return;
	event.preventDefault();
	choose(names[to], true);
});

// ---- coming and going ----

function showLogin(why) {
	clearTimeout(timer);
	closeDialog();
	show(byId("app"), false);
	show(byId("me"), false);
	show(byId("login"), true);
	setText(byId("login-why"), why);
	show(byId("login-why"), Boolean(why));
	byId("notices").replaceChildren();
	for (const list of Object.values(lists))
		list.clear();
	for (const p of panels.values()) {
		p.tab.remove();
		if (p.panel.id !== "panel-captures")
			p.panel.remove();
	}
	panels.clear();
	you = null;
	tellStanding([]);
	lookAgainSoon();
	lookAtHealth();
	byId("token").focus();
}

async function showApp(answer) {
	info = answer;
	you = info.you;
	makeTiles();
	tellInfo();
	addPanel("captures", "Captures", byId("panel-captures"), lookAtCaptures);
	if (you.operator)
		await addOperatorPanels();
	show(byId("tabs"), panels.size > 1);
	setText(byId("who"), you.operator ? `${you.user_name}, operator` : you.user_name);
	show(byId("login"), false);
	show(byId("me"), true);
	show(byId("app"), true);
	choose("captures");
}

async function enter(candidate) {
	await showApp(await logIn(candidate));
}

loggedOut = showLogin;
byId("logout").addEventListener("click", () => logOut());

byId("login-form").addEventListener("submit", async event => {
	event.preventDefault();
	const field = byId("token"), submit = event.submitter ?? byId("login-form").querySelector("button");
	const given = field.value;
	field.value = "";
	submit.disabled = true;
	try {
		await enter(given);
	} catch (e) {
		showLogin(`You are not logged in: ${e.message}.`);
	}
	submit.disabled = false;
});

function offerIssuer(page) {
	const here = location.origin + location.pathname;
	if (!page)
		return;
	setText(byId("login-go"), `Log in with ${page.issuer}`);
	show(byId("login-issuer"), true);
	if (here !== page.redirect_uri) { // the issuer sends people there, and what it needs would not be found
		show(byId("login-go"), false);
		show(byId("login-elsewhere"), true);
		byId("login-elsewhere").replaceChildren(`Log in with ${page.issuer} at `, el("a", {href: page.redirect_uri}, page.redirect_uri), ".");
	}
	byId("login-go").addEventListener("click", () => goToIssuer(page).catch(e => showLogin(e.message)));
}

async function begin() {
	let why = "";
	try {
		const given = await comeBack();
		if (given) {
			await enter(given);
		}
	} catch (e) {
		why = `You are not logged in: ${e.message}.`;
	}
	try {
		const response = await request("GET", "v1/info");
		if (!response.ok)
			throw await refusal(response);
		clockAhead_ms = Date.parse(response.headers.get("Date")) - Date.now() || 0;
		const answer = await response.json();
		setText(byId("version"), answer.version);
		offerIssuer(answer.login.page);
	} catch (e) {
		why ||= `Something is wrong: ${e.message}.`;
	}
	if (!token)
		showLogin(why);
}

begin();
