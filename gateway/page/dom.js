// dom.js - elements, texts, sparklines and dialogs.  Whatever comes from outside becomes text nodes and attributes of our own choice, never markup; the page's policy
// (trusted types) would refuse anything else.

const SVG = "http://www.w3.org/2000/svg";
const byId = id => document.getElementById(id);

// el("button.main", {type: "button", onclick: f}, "text", child...): null children are left out.
function el(what, attributes = {}, ...children) {
	const [tag, ...classes] = what.split(".");
	const e = document.createElement(tag);
	if (classes.length)
		e.className = classes.join(" ");
	for (const [name, value] of Object.entries(attributes)) {
		if (name.startsWith("on"))
			e.addEventListener(name.slice(2), value);
		else if (value === true)
			e.setAttribute(name, "");
		else if (value !== false && value !== null && value !== undefined)
			e.setAttribute(name, value);
	}
	e.append(...children.flat().filter(c => c !== null && c !== undefined));
	return e;
}

function svg(tag, attributes, ...children) {
	const e = document.createElementNS(SVG, tag);
	for (const [name, value] of Object.entries(attributes))
		e.setAttribute(name, value);
	e.append(...children);
	return e;
}

// Only what has changed is touched: nothing flickers, and a screen reader is not told the same twice.
function setText(e, text) {
	if (e.textContent !== text)
		e.textContent = text;
}

function show(e, yes) {
	if (e.hidden === yes)
		e.hidden = !yes;
}

// ---- figures as people read them ----

function count(n) {
	if (n < 10000)
		return String(Math.round(n));
	const units = ["k", "M", "G", "T", "P"];
	let i = -1;
	for (; n >= 1000 && i < units.length - 1; i++)
		n /= 1000;
	return `${n < 100 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

function bytes(n) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
	let i = 0;
	for (; n >= 1024 && i < units.length - 1; i++)
		n /= 1024;
	return `${i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[i]}`;
}

function span(seconds) {
	const s = Math.max(0, Math.floor(seconds));
	if (s < 60)
		return `${s} s`;
	const both = (n, unit, rest, small) => rest ? `${n} ${unit} ${rest} ${small}` : `${n} ${unit}`;
	if (s < 3600)
		return both(Math.floor(s / 60), "min", s % 60, "s");
	if (s < 86400)
		return both(Math.floor(s / 3600), "h", Math.floor(s % 3600 / 60), "min");
	return both(Math.floor(s / 86400), "d", Math.floor(s % 86400 / 3600), "h");
}

let clockAhead_ms = 0; // of the gateway's clock before this browser's

const now = () => Date.now() + clockAhead_ms;
const ago = at => (now() - Date.parse(at)) / 1000;
const moment = at => at ? new Date(at).toLocaleString([], {dateStyle: "medium", timeStyle: "medium"}) : "–";
const words = name => String(name).replaceAll("_", " ");

// ---- sparklines: the last two minutes, drawn again in place ----

const SPARK = {width: 120, height: 28, samples: 60};

class Spark {
	constructor(kind, what) {
		this.what = what;
		this.values = [];
		this.line = svg("polyline", {class: "line", points: ""});
		this.area = svg("polygon", {class: "area", points: ""});
		this.element = svg("svg", {class: `spark ${kind}`, viewBox: `0 0 ${SPARK.width} ${SPARK.height}`, preserveAspectRatio: "none", role: "img"},
			svg("line", {class: "base", x1: 0, x2: SPARK.width, y1: SPARK.height - 1, y2: SPARK.height - 1}), this.area, this.line);
		this.tell("nothing yet");
	}

	tell(text) {
		this.element.setAttribute("aria-label", `${this.what}: ${text}`);
	}

	add(value, text) {
		this.values.push(value);
		if (this.values.length > SPARK.samples)
			this.values.shift();
		const top = Math.max(1, ...this.values), step = SPARK.width / (SPARK.samples - 1), first = SPARK.samples - this.values.length;
		const points = this.values.map((v, i) => [(first + i) * step, SPARK.height - 1 - v / top * (SPARK.height - 4)].map(n => n.toFixed(1)).join(","));
		this.element.classList.toggle("calm", !this.values.some(Boolean)); // nothing is nothing to be red about
		this.line.setAttribute("points", points.join(" "));
		this.area.setAttribute("points", `${(first * step).toFixed(1)},${SPARK.height} ${points.join(" ")} ${SPARK.width},${SPARK.height}`);
		this.tell(text);
	}
}

// ---- saying and asking ----

function toast(text, bad = false) {
	const t = el(bad ? "div.toast.bad" : "div.toast", {}, text);
	byId("toasts").append(t);
	setTimeout(() => t.remove(), bad ? 12000 : 6000);
}

let dialogClosed = null; // what is to be ended when the dialog goes

function openDialog(title, ...content) {
	closeDialog();
	byId("dialog").replaceChildren(
		el("div.dialog-head", {}, el("h2", {id: "dialog-title"}, title),
			el("button.plain.close", {type: "button", "aria-label": "Close", onclick: closeDialog}, "×")),
		...content.filter(c => c !== null));
	byId("dialog").showModal();
}

function closeDialog() {
	if (byId("dialog").open)
		byId("dialog").close();
	clearDialog();
}

function clearDialog() {
	dialogClosed?.();
	dialogClosed = null;
	byId("dialog").replaceChildren();
}

// By the Escape key.  The event comes later: another dialog may have taken the place.
byId("dialog").addEventListener("close", () => {
	if (!byId("dialog").open)
		clearDialog();
});

// fields: [{name, label, type ("text", "number", "select", "textarea", "check"), value, options, required, help, min, max, pattern}]
function makeField(f) {
	const id = `field-${f.name}`, help = f.help ? `${id}-help` : null;
	const common = {id, name: f.name, required: f.required, "aria-describedby": help};
	let input;
	if (f.type === "select") {
		input = el("select", common, f.options.map(([value, text]) => el("option", {value, selected: value === f.value}, text)));
	} else if (f.type === "check") {
		input = el("input", {...common, type: "checkbox", checked: f.value});
		return el("div.field.check", {}, input, el("label", {for: id}, f.label));
	} else {
		input = el("input", {...common, type: f.type ?? "text", value: f.value ?? "", min: f.min, max: f.max, maxlength: f.most ?? 256, placeholder: f.placeholder,
			autocomplete: "off", spellcheck: "false"});
	}
	return el("div.field", {}, el("label", {for: id}, f.label), input, f.help ? el("p.quiet", {id: help}, f.help) : null);
}

// What was entered: empty fields are left out.
function readFields(form) {
	const values = {};
	for (const input of form.querySelectorAll("input[name], select[name]")) {
		if (input.type === "checkbox")
			values[input.name] = input.checked;
		else if (input.value.trim() !== "")
			values[input.name] = input.type === "number" ? Number(input.value) : input.value.trim();
	}
	return values;
}

// A question with a deed: run(values) does it and may answer with an element, which is shown in place of the question; else the dialog closes.
function ask({title, text, fields = [], deed, danger = false, run}) {
	const problem = el("p.bad", {role: "alert", hidden: true});
	const button = el(danger ? "button.danger" : "button.main", {type: "submit"}, deed);
	const form = el("form", {novalidate: false}, text ? el("p", {}, text) : null, el(fields.length > 3 ? "div.fields" : "div", {}, fields.map(makeField)), problem,
		el("div.row.end", {}, el("button", {type: "button", onclick: closeDialog}, "Cancel"), button));
	form.addEventListener("submit", async event => {
		event.preventDefault();
		button.disabled = true;
		show(problem, false);
		try {
			const result = await run(readFields(form));
			if (result instanceof Element)
				form.replaceChildren(result, el("div.row.end", {}, el("button.main", {type: "button", onclick: closeDialog}, "Close")));
			else if (form.isConnected)
				closeDialog();
		} catch (e) {
			setText(problem, e.message);
			show(problem, true);
		}
		button.disabled = false;
	});
	openDialog(title, form);
	return form;
}
