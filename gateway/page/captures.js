// captures.js - what runs, what is stored and what has ended; and one capture seen closely.

let you = null;  // who is logged in, as /v1/info says
let info = null; // all that it says

const ENDS = ["ready", "streamed", "failed", "killed", "expired", "purged"];
const STATE_WORDS = {waiting: "waits for approval", starting: "starting", running: "running", finishing: "being stored", ready: "stored", streamed: "ended",
	failed: "failed", killed: "killed", expired: "expired", purged: "erased"};

const isMine = job => job.owner.user_id === you.user_id;
const dropped = job => Object.values(job.packets.dropped).reduce((a, b) => a + b, 0);
const listPath = () => you.operator ? "v1/admin/captures" : "v1/captures";

function oneTarget(t) {
	const some = t.instances?.length ? t.instances : null;
	if (t.type === "host")
		return some ? some.join(", ") : "all hosts";
	if (t.type === "bosh")
		return t.deployment + (some ? `: ${some.join(", ")}` : "");
	return (t.app_name ?? t.app ?? "app") + (t.process && t.process !== "web" ? ` ${t.process}` : "") + (some ? `/${some.join(",")}` : "");
}

function targetText(job) {
	const all = Array.isArray(job.target) ? job.target : [job.target];
	return all.map(t => t && typeof t === "object" ? oneTarget(t) : "?").join(" + ");
}

function ownerText(job) {
	const name = job.owner.user_name || job.owner.user_id;
	return job.org ? `${name} · ${job.org}${job.space ? `/${job.space}` : ""}` : name;
}

function stateChip(job) {
	return el("span.state", {"data-state": job.state}, STATE_WORDS[job.state] ?? words(job.state));
}

function setState(chip, job) {
	chip.dataset.state = job.state;
	setText(chip, STATE_WORDS[job.state] ?? words(job.state));
}

const button = (text, onclick, kind = "plain") => el(`button.${kind}`, {type: "button", onclick}, text);

// ---- deeds ----

async function stopJob(job) {
	try {
		await api("POST", `v1/captures/${job.id}/stop`);
		toast("It is ending; what was captured is kept.");
	} catch (e) {
		toast(e.message, true);
	}
	lookNow();
}

function killJob(job) {
	ask({title: "Kill this capture?", text: `${targetText(job)}, started by ${ownerText(job)}. It ends at once and nothing of it is kept.`, deed: "Kill", danger: true,
		fields: [{name: "reason", label: "Reason, which its owner is told", most: 200}],
		run: async values => {
			const answer = await api("POST", "v1/admin/kill", {job: job.id, ...values});
			if (answer.failed.length)
				throw new Error(answer.failed[0].error);
			toast(answer.killed.length ? "Killed." : answer.held.length ? "It does not run any more; it is on hold, so its file is kept." : "It had ended already.");
			lookNow();
		}});
}

function deleteJob(job) {
	const running = !ENDS.includes(job.state);
	ask({title: "Delete this capture?", text: `${targetText(job)}: ${running ? "it is stopped, and " : ""}all that is stored of it is erased. Nobody can bring it back.`,
		deed: "Delete", danger: true,
		run: async () => {
			await api("DELETE", `v1/captures/${job.id}`);
			toast("Deleted.");
			lookNow();
		}});
}

function purgeJob(job) {
	ask({title: "Purge this capture?", text: `${targetText(job)}, of ${ownerText(job)}: all that is stored of it is erased. Nobody can bring it back.`, deed: "Purge", danger: true,
		fields: [{name: "reason", label: "Reason", most: 200}],
		run: async values => {
			const answer = await api("POST", "v1/admin/purge", {job: job.id, ...values});
			if (answer.failed?.length)
				throw new Error(answer.failed[0].error);
			toast(answer.purged.length ? `Erased: ${bytes(answer.size_bytes)}.` : "Nothing was erased.");
			lookNow();
		}});
}

async function linkJob(job) {
	try {
		const link = await api("POST", `v1/captures/${job.id}/link`, {});
		const field = el("input", {id: "link-url", readonly: true, value: link.url, onfocus: event => event.target.select()});
		const mine = new URL(link.url, location).origin === location.origin;
		openDialog("Download",
			el("p", {}, `${targetText(job)}, ${bytes(link.size_bytes)}. Whoever has this link can fetch the file, until ${moment(link.expires_at)}.`),
			el("div.field", {}, el("label", {for: "link-url"}, "Link"),
				el("div.row", {}, field, button("Copy", async () => {
					try {
						await navigator.clipboard.writeText(link.url);
						toast("Copied.");
					} catch {
						field.focus();
					}
				}))),
			el("p.quiet.mono", {}, `SHA-256 ${link.sha256}`),
			el("div.row.end", {}, el("a.button.main", {href: link.url, download: mine, target: mine ? null : "_blank", rel: "noopener noreferrer", id: "link-go"}, "Download")));
	} catch (e) {
		toast(e.message, true);
	}
}

function actionsOf(job) {
	const live = !ENDS.includes(job.state), actions = [];
	if (job.state === "ready" && (isMine(job) || !you.operator || info.share !== "none"))
		actions.push(button("Link", () => linkJob(job)));
	if (job.state === "waiting" && you.operator && sections.approvals)
		actions.push(button("Decide", () => decide(job)));
	if (live && job.state !== "finishing" && isMine(job))
		actions.push(button("Stop", () => stopJob(job)));
	if (live && you.operator)
		actions.push(button("Kill", () => killJob(job), "danger"));
	if (job.state === "ready" && isMine(job))
		actions.push(button("Delete", () => deleteJob(job), "danger"));
	else if (job.state === "ready" && you.operator)
		actions.push(button("Purge", () => purgeJob(job), "danger"));
	return actions;
}

// ---- rows: made once for each capture, then only their texts change ----

function figure(name, kind = "") {
	const value = el("dd", {}, "–");
	return {element: el(`div.figure${kind}`, {}, el("dt", {}, name), value), value};
}

class Row {
	constructor(job) {
		this.chip = stateChip(job);
		this.note = el("p.note");
		this.filter = el("code");
		this.actions = el("div.actions");
		this.figures = {};
		this.title = el("button.title", {type: "button", onclick: () => showDetails(this.job)});
		this.meta = el("span.quiet");
		this.hold = el("span.state", {"data-state": "hold", hidden: true});
		this.element = el("li.job", {"data-job": job.id},
			el("div.what", {}, el("div.line", {}, this.title, this.chip, this.hold), this.note, el("p.line.sub", {}, this.meta, this.filter)),
			el("dl.figures", {}, this.columns(job)), this.actions);
		this.update(job);
	}

	add(name, kind) {
		const f = figure(name, kind);
		this.figures[name] = f.value;
		return f.element;
	}

	update(job) {
		const before = this.job;
		this.job = job;
		setText(this.title, targetText(job));
		setState(this.chip, job);
		setText(this.note, job.note ?? "");
		show(this.note, Boolean(job.note));
		setText(this.filter, job.options.filter || "no filter");
		setText(this.meta, `${ownerText(job)} · ${job.options.device}${job.options.payload === "headers" ? " · headers only" : ""}`);
		show(this.hold, Boolean(job.hold));
		setText(this.hold, "held");
		if (before?.state !== job.state)
			this.actions.replaceChildren(...actionsOf(job));
		this.figure(job);
	}
}

class RunningRow extends Row {
	columns() {
		this.rate = new Spark("rate", "Packets per second of the last two minutes");
		this.drops = new Spark("drop", "Packets lost of the last two minutes");
		this.last = null;
		return [this.add("Running"), this.add("Packets"), this.add("Bytes"),
			el("div.figure.chart", {}, el("dt", {}, "Rate"), this.rateText = el("dd", {}, "–"), this.rate.element),
			el("div.figure.chart", {}, el("dt", {}, "Lost"), this.dropText = el("dd", {}, "–"), this.drops.element)];
	}

	figure(job) {
		const at = performance.now(), lost = dropped(job);
		setText(this.figures.Running, job.started_at ? span(ago(job.started_at)) : STATE_WORDS[job.state]);
		setText(this.figures.Packets, count(job.packets.captured));
		setText(this.figures.Bytes, bytes(job.bytes));
		this.now = {packets: 0, bytes: 0, lost: 0};
		if (this.last) {
			const s = Math.max(0.2, (at - this.last.at) / 1000);
			this.now = {packets: Math.max(0, job.packets.captured - this.last.packets) / s, bytes: Math.max(0, job.bytes - this.last.bytes) / s,
				lost: Math.max(0, lost - this.last.lost) / s};
			this.rate.add(this.now.packets, `now ${count(this.now.packets)} per second`);
			this.drops.add(this.now.lost, `now ${count(this.now.lost)} per second, ${count(lost)} in all`);
		}
		setText(this.rateText, `${count(this.now.packets)}/s`);
		setText(this.dropText, count(lost));
		this.element.classList.toggle("loses", this.now.lost > 0);
		this.last = {at, packets: job.packets.captured, bytes: job.bytes, lost};
	}
}

class StoredRow extends Row {
	columns() {
		return [this.add("Stored"), this.add("Size"), this.add("Packets"), this.add("Lost"), this.add("Expires")];
	}

	figure(job) {
		setText(this.figures.Stored, job.ended_at ? `${span(ago(job.ended_at))} ago` : "–");
		setText(this.figures.Size, bytes(job.object?.size_bytes ?? job.bytes));
		setText(this.figures.Packets, count(job.packets.captured));
		setText(this.figures.Lost, count(dropped(job)));
		setText(this.figures.Expires, job.expires_at ? `in ${span(-ago(job.expires_at))}` : "–");
	}
}

class EndedRow extends Row {
	columns() {
		return [this.add("Ended"), this.add("Packets"), this.add("Bytes"), this.add("Why", ".why")];
	}

	figure(job) {
		setText(this.figures.Ended, job.ended_at ? `${span(ago(job.ended_at))} ago` : "–");
		setText(this.figures.Why, job.error?.message ?? (job.stop_reason ? words(job.stop_reason) : "–"));
		setText(this.figures.Packets, count(job.packets.captured));
		setText(this.figures.Bytes, bytes(job.bytes));
	}
}

// A list that keeps the rows of captures that stay.
class JobList {
	constructor(name, RowClass) {
		this.list = byId(name);
		this.none = byId(`${name}-none`);
		this.counter = byId(`${name}-count`);
		this.RowClass = RowClass;
		this.rows = new Map();
	}

	update(jobs, more, empty) {
		const stay = new Set(jobs.map(j => j.id));
		for (const [id, row] of this.rows) {
			if (!stay.has(id)) {
				row.element.remove();
				this.rows.delete(id);
			}
		}
		jobs.forEach((job, i) => {
			let row = this.rows.get(job.id);
			if (row)
				row.update(job);
			else
				this.rows.set(job.id, row = new this.RowClass(job));
			if (this.list.children[i] !== row.element)
				this.list.insertBefore(row.element, this.list.children[i] ?? null);
		});
		setText(this.counter, jobs.length ? `${jobs.length}${more ? "+" : ""}` : "");
		setText(this.none, empty);
		show(this.none, jobs.length === 0);
	}

	clear() {
		this.rows.clear();
		this.list.replaceChildren();
	}
}

const lists = {running: new JobList("running", RunningRow), stored: new JobList("stored", StoredRow), ended: new JobList("ended", EndedRow)};

// ---- the tiles above ----

class Tile {
	constructor(name, kind) {
		this.value = el("div.value", {}, "–");
		this.spark = kind ? new Spark(kind, name) : null;
		this.element = el("div.tile", {}, el("div.name", {}, name), this.value, this.spark?.element);
	}

	set(text, sample) {
		setText(this.value, text);
		this.spark?.add(sample, `now ${text}`);
	}
}

let tiles = null;

function makeTiles() {
	tiles = {running: new Tile("Captures", "rate"), packets: new Tile("Packets/s", "rate"), bytes: new Tile("Bytes/s", "rate"), lost: new Tile("Lost/s", "drop")};
	byId("tiles").replaceChildren(...Object.values(tiles).map(t => t.element));
}

function updateTiles() {
	const sum = {packets: 0, bytes: 0, lost: 0};
	for (const row of lists.running.rows.values()) {
		for (const key of Object.keys(sum))
			sum[key] += row.now?.[key] ?? 0;
	}
	tiles.running.set(String(lists.running.rows.size), lists.running.rows.size);
	tiles.packets.set(count(sum.packets), sum.packets);
	tiles.bytes.set(bytes(sum.bytes), sum.bytes);
	tiles.lost.set(count(sum.lost), sum.lost);
}

// ---- looking ----

let slowLook_at = 0, runningIds = "";

async function lookAtCaptures() {
	const running = await api("GET", `${listPath()}?state=waiting,starting,running,finishing&limit=200`);
	lists.running.update(running.captures, running.next_cursor, you.operator ? "Nothing is being captured anywhere." : "You capture nothing just now. pcap help tells how to begin.");
	updateTiles();
	const ids = running.captures.map(j => j.id).join();
	if (ids === runningIds && performance.now() - slowLook_at < 10000)
		return;
	const [stored, ended] = await Promise.all([api("GET", `${listPath()}?state=ready&limit=100`),
		api("GET", `${listPath()}?state=streamed,failed,killed,expired,purged&limit=20`)]);
	lists.stored.update(stored.captures, stored.next_cursor, info.storage.offered ? "No capture is stored." : "This gateway stores no captures.");
	lists.ended.update(ended.captures, ended.next_cursor, "No capture has ended lately.");
	slowLook_at = performance.now();
	runningIds = ids;
}

function lookAgainSoon() {
	slowLook_at = -Infinity;
}

// ---- one capture, closely ----

function facts(pairs) {
	return el("dl.facts", {}, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) =>
		el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function limitsText(o) {
	const parts = [];
	if (o.max_duration_s)
		parts.push(span(o.max_duration_s));
	if (o.max_bytes)
		parts.push(bytes(o.max_bytes));
	if (o.max_packets)
		parts.push(`${count(o.max_packets)} packets`);
	return parts.join(", ");
}

function jobFacts(job) {
	const lost = Object.entries(job.packets.dropped).filter(([, n]) => n > 0).map(([where, n]) => `${count(n)} at the ${where}`).join(", ");
	return facts([["State", stateChip(job)], ["Ended because", job.stop_reason ? words(job.stop_reason) : null], ["Problem", job.error?.message], ["Owner", ownerText(job)],
		["Note", job.note], ["Device", job.options.device], ["Filter", job.options.filter ? el("code", {}, job.options.filter) : "none"],
		["Packet length", job.options.payload === "headers" ? "headers only" : `up to ${job.options.snaplen} bytes`], ["Limits", limitsText(job.options)],
		["Mode", `${job.mode}, ${job.format}`], ["Started", moment(job.started_at)], ["Ended", job.ended_at ? moment(job.ended_at) : null],
		["Expires", job.expires_at ? moment(job.expires_at) : null], ["Held", job.hold ? job.hold_reason ?? "yes" : null], ["Packets", count(job.packets.captured)], ["Bytes", bytes(job.bytes)], ["Lost", lost || "none"],
		["Store", job.storage?.unreachable_since ? `away since ${moment(job.storage.unreachable_since)}, ${job.storage.parts_waiting} parts wait` : null],
		["Size", job.object ? bytes(job.object.size_bytes) : null], ["SHA-256", job.object ? el("span.mono", {}, job.object.sha256) : null], ["Id", el("span.mono", {}, job.id)]]);
}

function table(caption, heads, rows, empty) {
	if (!rows.length)
		return el("p.empty", {}, empty);
	return el("div.scroll", {tabindex: 0, role: "region", "aria-label": caption}, el("table", {}, el("caption", {}, caption),
		el("thead", {}, el("tr", {}, heads.map(h => el("th", {scope: "col"}, h)))),
		el("tbody", {}, rows.map(cells => el("tr", {}, cells.map((c, i) => el("td", {"data-head": heads[i]}, c)))))));
}

function instanceTable(job) {
	return table("Instances", ["Name", "State", "Packets", "Bytes", "Lost", "Agent", "Problem"], (job.instances ?? []).map(i => [
		`${i.name} ${i.device}`, `${i.state}${i.stop_reason ? `, ${words(i.stop_reason)}` : ""}`, count(i.packets), bytes(i.bytes),
		count(Object.values(i.dropped).reduce((a, b) => a + b, 0)), el("span.mono", {}, i.agent || "–"), i.error?.message ?? ""]), "It has no instances yet.");
}

function eventText(data) {
	return Object.entries(data ?? {}).filter(([, v]) => v !== null && v !== "").map(([k, v]) => `${words(k)}: ${typeof v === "object" ? JSON.stringify(v) : v}`).join(", ");
}

// Events come as they happen, until the capture ends.  Those up to `seq` are there already; the number of the last one is the answer.
async function readEvents(job, list, seq, signal) {
	const response = await request("GET", `v1/captures/${job.id}/events`, undefined, signal);
	if (!response.ok)
		throw await refusal(response);
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "";
	for (;;) {
		const {value, done} = await reader.read().catch(() => ({done: true})); // cut off
		if (done)
			return seq;
		const lines = (rest + value).split("\n");
		rest = lines.pop();
		for (const e of lines.filter(Boolean).map(line => JSON.parse(line)).filter(e => e.seq > seq)) {
			list.append(el("li", {}, el("time.quiet", {datetime: e.at}, new Date(e.at).toLocaleTimeString()), el("strong", {}, words(e.type)), el("span", {}, eventText(e.data))));
			seq = e.seq;
		}
	}
}

// A connection that breaks - a router cuts what is long - is begun again.
async function followEvents(job, list, problem, ended, signal) {
	for (let seq = 0; !signal.aborted;) {
		try {
			seq = await readEvents(job, list, seq, signal);
			setText(problem, "");
			if (ended())
				return;
		} catch (e) {
			if (signal.aborted)
				return;
			setText(problem, e.message);
		}
		await new Promise(resolve => setTimeout(resolve, 2000));
	}
}

function showDetails(job) {
	const top = el("div"), instances = el("div"), actions = el("div.row.end.actions-of"), events = el("ol.events"), eventsProblem = el("p.quiet"), problem = el("p.bad", {hidden: true, role: "alert"});
	const stop = new AbortController();
	let timer = null, state = null;

	const draw = j => {
		top.replaceChildren(jobFacts(j));
		instances.replaceChildren(instanceTable(j));
		if (j.state !== state)
			actions.replaceChildren(...actionsOf(j));
		state = j.state;
	};
	// To look closely at somebody else's capture is recorded: so that is done once, and at its end; between them the lists know its figures.
	let whole = null;
	const look = async () => {
		try {
			const known = Object.values(lists).map(l => l.rows.get(job.id)?.job).find(Boolean) ?? job;
			if (!whole || isMine(job) || known.state !== state)
				whole = await api("GET", `v1/captures/${job.id}`);
			else
				whole = {...whole, ...known};
			draw(whole);
			show(problem, false);
		} catch (e) {
			setText(problem, e.message);
			show(problem, true);
		}
		if (!stop.signal.aborted && !ENDS.includes(state))
			timer = setTimeout(look, 2000);
	};

	openDialog(targetText(job), problem, top, instances, el("h3", {}, "Events"), events, eventsProblem, actions);
	dialogClosed = () => {
		stop.abort();
		clearTimeout(timer);
	};
	draw(job);
	look();
	followEvents(job, events, eventsProblem, () => ENDS.includes(state), stop.signal);
}
