// What may stay in a workflow: the allow-list of id2face_core/sharing/nodes.json, applied to one value.

export const UNKNOWN = "Unknown"; // an odd type, or that of a lost subgraph, is no type of a node pack
const LARGEST = 1e6; // of positions and sizes

/** @param {unknown} value @returns {value is Row} */
export const isRow = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** A list; nothing for what is none. @param {unknown} value @returns {any[]} */
export const listed = (value) => (Array.isArray(value) ? value : []);

/** The entries of a list that are objects. @param {unknown} value @returns {Row[]} */
export const rows = (value) => listed(value).filter(isRow);
export const isIdentifier = (text) => typeof text === "string" && /^[A-Za-z_][A-Za-z0-9_ .:+-]{0,63}$/.test(text);

/** Whether there is anything in it. */
export const filled = (value) => (typeof value === "object" && value !== null ? Object.keys(value).length > 0 : Boolean(value));

/** A whole number, or the default. @param {unknown} value @param {number | null} [fallback] */
export const whole = (value, fallback = null) => (Number.isInteger(value) ? /** @type {number} */ (value) : fallback);

/** `count` numbers, rounded: a place or a size. @param {number} [count] @returns {number[] | null} */
export function pair(value, count = 2) {
	if (isRow(value)) value = Array.from({ length: count }, (_, i) => value[String(i)]);
	if (!Array.isArray(value) || value.length !== count) return null;
	const good = value.every((v) => typeof v === "number" && Math.abs(v) < LARGEST);
	return good ? value.map((v) => Math.floor(v + 0.5)) : null;
}

/** Those of the entries that are colours. @param {Row} raw @param {...string} names */
export function colours(raw, ...names) {
	const good = names.filter((n) => typeof raw[n] === "string" && /^#[0-9a-fA-F]{3,8}$/.test(raw[n]));
	return Object.fromEntries(good.map((n) => [n, raw[n]]));
}

/** Whether a widget's value may stay as it is. @param {Rule} rule */
function allowed(rule, value, keepSeed) {
	if (rule.kind === "number" || (rule.kind === "seed" && keepSeed)) {
		return Number.isFinite(value) && value >= (rule.low ?? -Infinity) && value <= (rule.high ?? Infinity);
	}
	if (rule.kind === "flag") return typeof value === "boolean";
	if (rule.kind === "choice") return typeof value === "string" && (rule.options ?? []).includes(value);
	if (rule.kind === "text" && rule.pattern) return typeof value === "string" && new RegExp(`^(?:${rule.pattern})$`).test(value);
	return false;
}

/**
 * What goes along, and what was removed or null.
 * @param {Rule} rule @returns {[unknown, string | null]}
 */
export function cleanValue(rule, value, keepSeed) {
	const fallback = rule.default ?? null;
	if (allowed(rule, value, keepSeed)) return [value, null];
	if (value === null || value === undefined || value === fallback) return [fallback, null];
	if (["number", "flag"].includes(rule.kind) && typeof value !== "string") return [fallback, "value"];
	return [fallback, ["file", "key", "seed"].includes(rule.kind) ? rule.kind : "text"];
}

/** What one run knows and writes down. */
export class Session {
	/** @param {Table} table */
	constructor(table, keepSeed) {
		this.table = table;
		this.keepSeed = keepSeed;
		this.types = new Set(table.types);
		const known = Object.values(table.nodes);
		this.names = new Set(known.flatMap((n) => [...n.inputs, ...n.outputs, ...n.widgets.map((w) => w.name)]));
		this.removed = /** @type {Removal[]} */ ([]);
		this.unknown = /** @type {Set<string>} */ (new Set());
		this.choose = /** @type {string[][]} */ ([]);
	}

	remove(node, type, name, what) {
		this.removed.push({ node, type, name, what });
	}

	/** What became of a widget's value. @param {Rule} rule */
	note(node, type, rule, name, what) {
		if (!what) return;
		this.remove(node, type, name, what);
		const open = rule.kind === "key" || ["", "example.png"].includes(/** @type {string} */ (rule.default));
		if (["file", "key"].includes(what) && open && !name.includes("filename")) this.choose.push([node, type, name]);
	}

	/** @param {string} type @returns {Known | null} */
	find(type) {
		return Object.hasOwn(this.table.nodes, type) ? this.table.nodes[type] : null;
	}

	/** Type as it is written, and what is known of it. @param {string} type @returns {[string, Known | null]} */
	kind(type) {
		const known = this.find(type);
		if (known) return [type, known];
		const shown = isIdentifier(type) && !/^[0-9a-fA-F]{8}-/.test(type) ? type : UNKNOWN;
		this.unknown.add(shown);
		return [shown, null];
	}

	/** The type of a wire, "*" for one that is not known. */
	wire(value) {
		return this.types.has(value) ? value : "*";
	}

	/** The rule of the widget that a primitive is wired to. @param {Rule} rule @param {string[] | null} consumer */
	meaning(rule, consumer) {
		const target = consumer && this.find(consumer[0])?.widgets.find((r) => r.name === consumer[1]);
		return !target || target.kind === "linked" ? rule : target;
	}
}
