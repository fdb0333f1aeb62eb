// operators.js - what only operators see: agents, switches, approvals, the audit trail, and what ends or erases many captures at once.  A call that this gateway does not
// have is not shown.

let sections = {}; // name: is it here?

const SELECTORS = [{name: "user", label: "User"}, {name: "org", label: "Org"}, {name: "space", label: "Space"}, {name: "app", label: "App"},
	{name: "deployment", label: "Deployment"}, {name: "agent", label: "Agent"}, {name: "job", label: "Capture"}];
const SCOPES = [["platform", "the whole platform"], ["org", "an org"], ["space", "a space"], ["app", "an app"], ["deployment", "a deployment"], ["group", "a group"]];

// What a list's answer holds, whatever its name.
const listOf = answer => Object.values(answer ?? {}).find(Array.isArray) ?? [];

function panel(name, ...content) {
	return el("div.panel", {id: `panel-${name}`, hidden: true}, ...content);
}

function heading(title, text, ...buttons) {
	return [el("div.head", {}, el("h2", {}, title), el("div.row.push", {}, buttons)), text ? el("p.quiet", {}, text) : null];
}

// A table is made anew only when what it shows is new; the focus stays where it was.
function drawer(place) {
	const buttons = () => [...place.querySelectorAll("button")];
	let last = null;
	return (answer, make) => {
		const text = JSON.stringify(answer);
		if (text === last)
			return;
		const focused = buttons().indexOf(document.activeElement);
		last = text;
		place.replaceChildren(make());
		if (focused >= 0)
			buttons()[focused]?.focus();
	};
}

// ---- agents ----

function agentRow(a) {
	const captures = a.captures ?? null;
	return [el("span.mono", {}, a.agent ?? "?"), a.error ? el("span.state", {"data-state": "failed"}, "away") : el("span.state", {"data-state": "running"}, "there"), a.version ?? "–",
		captures === null ? "–" : `${captures}${a.captures_max ? ` of ${a.captures_max}` : ""}`, a.last_seen_at ? `${span(ago(a.last_seen_at))} ago` : "–", a.error?.message ?? ""];
}

function addAgents() {
	const place = el("div"), draw = drawer(place);
	addPanel("agents", "Agents", panel("agents", heading("Agents", "Those of the inventory, and those that this gateway has met."), place), async () => {
		const answer = await api("GET", "v1/admin/agents");
		draw(answer, () => table("Agents", ["Agent", "State", "Version", "Captures", "Seen", "Problem"], answer.agents.map(agentRow), "This gateway knows no agent yet."));
	}, 15000);
}

// ---- switches ----

// The id of a group, DEPLOYMENT/GROUP, keeps its slash.
function switchPath(s) {
	const id = s.id ? `/${s.id.split("/").map(encodeURIComponent).join("/")}` : "";
	return `v1/admin/switches/${s.scope}${id}${s.level ? `?level=${s.level}` : ""}`;
}

function switchText(s) {
	const parts = [];
	if (s.capture)
		parts.push(s.capture === "allow" ? "captures allowed" : "no captures");
	if (s.storage)
		parts.push(s.storage === "allow" ? "storing allowed" : "no storing");
	if (s.approval)
		parts.push("needs approval");
	if (s.payload === "headers")
		parts.push("headers only");
	if (s.snaplen)
		parts.push(`at most ${s.snaplen} bytes of a packet`);
	if (s.filter)
		parts.push(`filter: ${s.filter}`);
	if (s.retention_s)
		parts.push(`kept for ${span(s.retention_s)}`);
	if (s.retention_max_s)
		parts.push(`kept for ${span(s.retention_max_s)} at most`);
	return parts.join("; ") || "nothing";
}

function editSwitch(s) {
	const choice = (name, label, values) => ({name, label, type: "select", value: s?.[name] ?? "", options: [["", "says nothing"], ...values]});
	ask({title: s ? "Change this switch" : "Set a switch", deed: "Set", text: "It counts at once for all that lies within, also for captures that run.",
		fields: [{name: "scope", label: "For", type: "select", options: SCOPES, value: s?.scope},
			{name: "id", label: "Its id", value: s?.id, help: "The GUID of an org, space or app; the name of a deployment; DEPLOYMENT/GROUP, or a group of the inventory; nothing for the platform."},
			choice("capture", "Captures", [["allow", "allowed"], ["forbid", "forbidden"]]), choice("storage", "Storing", [["allow", "allowed"], ["forbid", "forbidden"]]),
			choice("payload", "Payload", [["headers", "headers only"]]), choice("approval", "Approval by an operator", [["required", "needed"]]),
			{name: "snaplen", label: "Most bytes of a packet", type: "number", min: 16, max: 262144, value: s?.snaplen},
			{name: "filter", label: "Filter that is joined with the user's", most: 2048, value: s?.filter},
			{name: "ttl_s", label: "Ends after seconds", type: "number", min: 1, help: "Nothing: it stays until it is taken away. One that ends stands beside the one that stays."},
			{name: "reason", label: "Reason", most: 200, value: s?.reason, required: true}],
		run: async ({scope, id, ...body}) => {
			const kept = s ? Object.fromEntries(["retention_s", "retention_max_s"].filter(k => s[k]).map(k => [k, s[k]])) : {};
			const answer = await api("PUT", switchPath({scope, id}), {...kept, ...body});
			const replaced = answer.replaced ? [`In place of: ${switchText(answer.replaced)}.`] : [];
			toast(["Set.", ...replaced, ...answer.warnings].join(" "), answer.warnings.length > 0);
			lookNow();
		}});
}

function deleteSwitch(s) {
	ask({title: "Take this switch away?", text: `${s.scope} ${s.id ?? ""}: ${switchText(s)}. What else counts there stays.`, deed: "Take away", danger: true,
		run: async () => {
			await api("DELETE", switchPath(s));
			toast("Taken away.");
			lookNow();
		}});
}

function switchRow(s) {
	return [`${s.scope} ${s.id ?? ""}`, switchText(s), s.reason ?? "", `${s.set_by ?? "–"}${s.level === "developer" ? ", a developer" : ""}`,
		s.expires_at ? moment(s.expires_at) : "never", el("div.row", {}, s.level === "developer" ? null : button("Change", () => editSwitch(s)), button("Take away", () => deleteSwitch(s), "danger"))];
}

function addSwitches() {
	const place = el("div"), draw = drawer(place);
	const title = heading("Switches", "What may be captured and stored where, and what is forced on it.", button("Set a switch", () => editSwitch(null), "main"));
	addPanel("switches", "Switches", panel("switches", title, place), async () => {
		const answer = await api("GET", "v1/admin/switches");
		draw(answer, () => table("Switches", ["For", "Says", "Reason", "Set by", "Ends", "Change"], answer.switches.map(switchRow), "No switch is set: what the configuration says counts everywhere."));
	}, 10000);
}

// ---- approvals ----

function decide(job) {
	ask({title: "Approve this capture?", text: `${job.target ? targetText(job) : job.job ?? job.id}, asked for by ${job.owner ? ownerText(job) : "its owner"}${job.note ? `: ${job.note}` : "."}`, deed: "Decide",
		fields: [{name: "what", label: "Decision", type: "select", options: [["approve", "approve: its user may begin it"], ["deny", "deny: it ends"]], value: "approve"},
			{name: "reason", label: "Reason", most: 200}],
		run: async ({what, ...body}) => {
			await api("POST", `v1/admin/captures/${job.job ?? job.id}/${what}`, body);
			toast(what === "approve" ? "Approved." : "Denied.");
			lookNow();
		}});
}

function addApprovals() {
	const place = el("div"), draw = drawer(place);
	const tab = addPanel("approvals", "Approvals", panel("approvals", heading("Approvals", "Captures of protected scopes that wait for somebody's word."), place), async () => {
		const answer = await api("GET", "v1/admin/approvals");
		const waiting = listOf(answer);
		setText(tab, waiting.length ? `Approvals (${waiting.length})` : "Approvals");
		draw(answer, () => table("Waiting captures", ["Capture", "Owner", "Why it waits", "Note", "Until", "Decide"], waiting.map(j => [
			j.target ? targetText(j) : el("span.mono", {}, j.job ?? j.id), j.owner ? ownerText(j) : "–", j.because ?? "", j.note ?? "", moment(j.expires_at), button("Decide", () => decide(j), "main")]),
		"Nothing waits."));
	}, 4000);
}

// ---- the audit trail ----

function auditRow(r) {
	return [moment(r.at), r.user_name || r.user_id || "the gateway", r.action ?? "", r.outcome + (r.code ? `: ${words(r.code)}` : ""), el("span.mono", {}, r.job ?? ""), r.why ?? ""];
}

// To read the trail is itself recorded: so it is read when somebody wants to see it, and not again and again.
function addAudit() {
	const place = el("div"), draw = drawer(place);
	const title = heading("Audit", "The newest first; pcap admin audit shows all of it. That you have looked is recorded too.", button("Look again", lookNow));
	addPanel("audit", "Audit", panel("audit", title, place), async () => {
		const answer = await api("GET", "v1/admin/audit?limit=100");
		draw(answer, () => table("Audit trail", ["When", "Who", "What", "Outcome", "Capture", "Why"], answer.records.map(auditRow), "Nothing is recorded yet."));
	}, Infinity);
}

// ---- many at once ----

function selectorFields(more) {
	return [{name: "all", label: "Everything", type: "check"}, ...SELECTORS.map(f => ({...f, most: 300})), ...more];
}

function readSelector({all, ...values}) {
	const some = SELECTORS.some(f => values[f.name] !== undefined) || values.older_than_s !== undefined;
	if (all === some)
		throw new Error(all ? "Everything, or what is named below: not both." : "Say what is meant: at least one of these, or everything.");
	return all ? {all: true, ...values} : values;
}

function jobRows(ids) {
	return el("ul.ids", {}, ids.slice(0, 200).map(id => el("li.mono", {}, id)));
}

function killMany() {
	ask({title: "Kill captures", text: "All running captures to which all of this applies end at once; nothing of them is kept.", deed: "Kill", danger: true,
		fields: selectorFields([{name: "reason", label: "Reason, which their owners are told", most: 200}]),
		run: async values => {
			const answer = await api("POST", "v1/admin/kill", readSelector(values));
			lookNow();
			return el("div", {}, el("p", {}, answer.killed.length ? `Killed: ${answer.killed.length}.` : "Nothing of that was running."), jobRows(answer.killed),
				answer.failed.length ? el("p.bad", {}, `Not killed: ${answer.failed.map(f => `${f.job} (${f.error})`).join(", ")}`) : null);
		}});
}

// A call erases for some seconds, and says where to go on.
async function purgeAll(body) {
	const sum = await api("POST", "v1/admin/purge", body);
	for (let next = sum.next_cursor; next;) {
		const more = await api("POST", "v1/admin/purge", {...body, cursor: next});
		for (const list of ["purged", "held", "failed"])
			sum[list].push(...more[list]);
		sum.size_bytes += more.size_bytes;
		next = more.next_cursor;
	}
	return sum;
}

function purgeReport(answer, done) {
	const found = answer.purged ?? [], failed = answer.failed ?? [], held = answer.held ?? [];
	return el("div.report", {}, el("p", {}, `${done ? "Erased" : "Would be erased"}: ${found.length} ${found.length === 1 ? "capture" : "captures"}, ${bytes(answer.size_bytes ?? 0)}.`), jobRows(found.map(f => f.job ?? f)),
		held.length ? el("p", {}, `Held, and left alone: ${held.length}.`) : null,
		failed.length ? el("p.bad", {}, `Not erased: ${failed.map(f => `${f.job} (${f.error})`).join(", ")}`) : null);
}

function purgeMany() {
	ask({title: "Purge captures", text: "First you are shown what would be erased.", deed: "Look",
		fields: selectorFields([{name: "older_than_s", label: "Older than seconds", type: "number", min: 1}, {name: "reason", label: "Reason", most: 200}]),
		run: async values => {
			const body = readSelector(values);
			const answer = await purgeAll({...body, dry_run: true});
			const found = answer.purged ?? [];
			if (!found.length)
				return purgeReport(answer, false);
			const form = ask({title: "Erase this?", deed: "Erase", danger: true, text: "Running ones are ended first. Nobody can bring any of it back.",
				run: async () => {
					const report = await purgeAll(body);
					lookNow();
					return purgeReport(report, true);
				}});
			form.prepend(purgeReport(answer, false));
			return undefined;
		}});
}

function holdMany(hold) {
	ask({title: hold ? "Hold captures" : "Let held captures go", deed: hold ? "Hold" : "Let go",
		text: hold ? "What is held does not expire and is not purged." : "They expire and can be purged again.",
		fields: selectorFields([{name: "reason", label: "Reason", most: 200, required: hold}]),
		run: async values => {
			const answer = await api("POST", hold ? "v1/admin/hold" : "v1/admin/unhold", readSelector(values));
			lookNow();
			return el("p", {}, `${hold ? "Held" : "Let go"}: ${listOf(answer).length}.`);
		}});
}

function halt() {
	ask({title: "Halt everything?", text: "All captures are killed and none can start, also after a restart of the gateway, until somebody resumes.", deed: "Halt", danger: true,
		fields: [{name: "reason", label: "Reason, which everybody is told", most: 200, required: true}],
		run: async values => {
			await api("POST", "v1/admin/halt", values);
			toast("Halted.");
			lookNow();
		}});
}

function resume() {
	ask({title: "Resume?", text: "Captures can start again.", deed: "Resume",
		run: async () => {
			await api("POST", "v1/admin/resume", {});
			toast("Captures can start again.");
			lookNow();
		}});
}

function deedCard(title, text, ...buttons) {
	return el("section.card", {}, el("h3", {}, title), el("p.quiet", {}, text), el("div.row", {}, buttons));
}

function addControls() {
	addPanel("controls", "Controls", panel("controls", heading("Controls", "For many captures at once; each asks before it does anything."), el("div.cards", {},
		deedCard("Kill", "Ends running captures at once, by user, org, space, app, deployment or agent.", button("Kill captures", killMany, "danger")),
		deedCard("Purge", "Erases what is stored, after a look at what that would be.", button("Purge captures", purgeMany, "danger")),
		sections.hold ? deedCard("Legal hold", "What is held does not expire and is not purged.", button("Hold", () => holdMany(true)), button("Let go", () => holdMany(false))) : null,
		sections.halt ? deedCard("Halt switch", "Ends everything, and lets nothing start until it is lifted.", button("Halt everything", halt, "danger"), button("Resume", resume)) : null)),
	async () => {}, 0);
}

// ---- all of it ----

async function addOperatorPanels() {
	const names = ["agents", "switches", "approvals", "audit", "hold", "halt"], deeds = ["hold", "halt"];
	const there = await Promise.all(names.map(name => has(deeds.includes(name) ? "GET" : "POST", `v1/admin/${name}`)));
	sections = Object.fromEntries(names.map((name, i) => [name, there[i]]));
	for (const [name, add] of [["agents", addAgents], ["switches", addSwitches], ["approvals", addApprovals], ["audit", addAudit]]) {
		if (sections[name])
			add();
	}
	addControls();
}

const STANDING_WORDS = {captures_per: "Captures at once", starts_per_hour: "Starts within an hour", starts_per_day: "Starts within a day", quota: "Stored"};

// What is left of the caller's limits: a list of {limit, of, used, max, reset_s}.
function standingTile(s) {
	const say = /quota|bytes/.test(s.limit) ? bytes : count;
	const name = STANDING_WORDS[s.limit.replace(/_(user|org)$/, "")] ?? words(s.limit);
	return el("div.tile", {}, el("div.name", {}, s.of === "org" ? `${name}, your org` : name),
		el("div.value", {}, say(s.used), el("span.quiet", {}, s.max ? ` of ${say(s.max)}` : ", no limit")),
		s.max ? el("progress", {max: s.max, value: Math.min(s.used, s.max), "aria-label": name}) : null,
		s.reset_s ? el("div.name", {}, `one more in ${span(s.reset_s)}`) : null);
}

const tellStanding = (() => {
	let last = "";
	return standing => {
		const list = Array.isArray(standing) ? standing : listOf(standing), text = JSON.stringify(list);
		if (text === last)
			return;
		last = text;
		byId("standing").replaceChildren(...list.map(standingTile));
		show(byId("standing-section"), list.length > 0);
	};
})();
