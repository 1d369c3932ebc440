// Sanitise a workflow by an allow-list. The same as id2face_core/sharing, tested with the same cases.
import { GraphCleaner } from "./graph.mjs";
import { Session, UNKNOWN, cleanValue, filled, isIdentifier, isRow } from "./rules.mjs";

/**
 * A copy of a graph, or of a prompt in API format, without what tells about its maker.
 * Throws "neither" (it is no workflow) or "groups" (group nodes, which hold further graphs).
 * @param {any} document @param {Table} table @param {{keepSeed?: boolean}} [options]
 */
export function shareWorkflow(document, table, { keepSeed = false } = {}) {
	const session = new Session(table, keepSeed);
	let workflow;
	if (isRow(document) && Array.isArray(document.nodes)) workflow = new GraphCleaner(session, document).clean();
	else if (isRow(document) && isPrompt(document.prompt)) {
		if (Object.keys(document).length > 1) session.remove("", "", "extra_data", "extra");
		workflow = cleanPrompt(session, document.prompt);
	} else if (isPrompt(document)) workflow = cleanPrompt(session, document);
	else throw new Error("neither");
	return { workflow, removed: session.removed, unknown: [...session.unknown].sort(), choose: session.choose };
}

/**
 * Removals of a kind together, kinds in the order in which they come first. inNodes: every one is in another node.
 * @param {Removal[]} removed
 */
export function grouped(removed) {
	const kinds = /** @type {Map<string, Removal[]>} */ (new Map());
	for (const row of removed) kinds.set(row.what, [...(kinds.get(row.what) ?? []), row]);
	return [...kinds].map(([what, rows]) =>
		({ what, rows, inNodes: new Set(rows.map((r) => r.node).filter(Boolean)).size === rows.length }));
}

function isPrompt(value) {
	const nodes = isRow(value) ? Object.values(value) : [];
	return nodes.length > 0 && nodes.every((node) => isRow(node) && typeof node.class_type === "string");
}

/** @param {Session} session @param {Row} prompt */
function cleanPrompt(session, prompt) {
	const dropped = session.table.dropped;
	const kept = Object.fromEntries(Object.entries(prompt).filter(([, node]) => !dropped.includes(node.class_type)));
	let fresh = 1 + Math.max(0, ...Object.keys(kept).filter((n) => /^[0-9]{1,9}$/.test(n)).map(Number));
	const numbers = new Map(
		Object.keys(kept).map((n) => [n, /^[0-9]{1,9}(:[0-9]{1,9})*$/.test(n) ? n : String(fresh++)]),
	);
	for (const node of Object.values(prompt)) {
		if (dropped.includes(node.class_type)) session.remove("", node.class_type, "note", "note");
	}
	return Object.fromEntries([...numbers].map(([old, own]) => [own, promptNode(session, kept, numbers, old, own)]));
}

/** @param {Session} session @param {Row} prompt @param {Map<string, string>} numbers @param {string} old @param {string} own */
function promptNode(session, prompt, numbers, old, own) {
	const node = prompt[old];
	const [kind, known] = session.kind(node.class_type);
	if (isRow(node._meta) && filled(node._meta.title)) session.remove(own, kind, "title", "title");
	if (Object.keys(node).some((k) => !["class_type", "inputs", "_meta"].includes(k))) session.remove(own, kind, "more", "preview");
	const inputs = /** @type {Row} */ ({});
	let lost = false;
	for (const [name, value] of Object.entries(isRow(node.inputs) ? node.inputs : {})) {
		const wire = link(value, numbers);
		let rule = known?.widgets.find((w) => w.name === name);
		if (wire) {
			if (known ? known.inputs.includes(name) : kind !== UNKNOWN && isIdentifier(name)) inputs[name] = wire;
			else session.remove(own, kind, "input", "name");
		} else if (rule) {
			if (rule.kind === "linked") rule = session.meaning(rule, consumer(prompt, old));
			const [clean, what] = cleanValue(rule, value, session.keepSeed);
			inputs[name] = clean;
			session.note(own, kind, rule, name, what);
		} else if (!known) lost = true;
		else session.remove(own, kind, "input", "extra");
	}
	if (lost) session.remove(own, kind, "settings", "settings");
	return { class_type: kind, inputs };
}

/** [number, slot] of a wire; null for a value. @param {Map<string, string>} numbers */
function link(value, numbers) {
	if (!Array.isArray(value) || value.length !== 2 || !Number.isInteger(value[1])) return null;
	const target = ["string", "number"].includes(typeof value[0]) ? numbers.get(String(value[0])) : undefined;
	return target === undefined ? null : [target, value[1]];
}

/** [type, input] of the first node that takes this node's value. @param {Row} prompt @param {string} number */
function consumer(prompt, number) {
	for (const node of Object.values(prompt)) {
		for (const [name, value] of Object.entries(isRow(node.inputs) ? node.inputs : {})) {
			if (Array.isArray(value) && value.length === 2 && String(value[0]) === number) return [node.class_type, name];
		}
	}
	return null;
}
