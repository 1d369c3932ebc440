// Sanitise one node of a graph. See id2face_core/sharing/graph_nodes.py.
import { UNKNOWN, cleanValue, colours, filled, isIdentifier, isRow, listed, pair, rows, whole } from "./rules.mjs";

const NAME_FOR_SEARCH = "Node name for S&R";

export class NodeCleaner {
	/** @param {Session} session @param {Scope} scope @param {number} number */
	constructor(session, scope, number) {
		this.session = session;
		this.scope = scope;
		this.number = number;
		this.raw = /** @type {Row} */ (scope.nodes.get(number));
		this.where = `${scope.prefix}${number}`;
		this.sub = scope.subgraphs.get(this.raw.type);
		const [kind, known] = this.sub ? [this.sub.id, null] : session.kind(this.raw.type);
		this.kind = kind;
		this.known = known;
		this.shown = this.sub ? "Subgraph" : this.kind;
	}

	remove(name, what) {
		this.session.remove(this.where, this.shown, name, what);
	}

	clean() {
		const { raw } = this;
		const flags = ["collapsed", "pinned"].filter((name) => raw.flags?.[name] === true);
		const node = /** @type {Row} */ ({
			id: this.number, type: this.kind, pos: pair(raw.pos) ?? [0, 0], size: pair(raw.size) ?? [200, 100],
			flags: Object.fromEntries(flags.map((name) => [name, true])), order: whole(raw.order, 0), mode: whole(raw.mode, 0),
			inputs: this.sockets("input"), outputs: this.sockets("output"),
			properties: this.sub ? {} : { [NAME_FOR_SEARCH]: this.kind }, ...colours(raw, "color", "bgcolor"),
		});
		if (raw.showAdvanced === true) node.showAdvanced = true;
		this.noteRest();
		if (this.sub) {
			this.proxies(this.sub, node);
			if (filled(raw.widgets_values)) this.remove("values", "text");
		} else if (!this.known) {
			if (filled(raw.widgets_values)) this.remove("settings", "settings");
		} else {
			const list = this.values(this.known);
			if (list.length) node.widgets_values = list;
		}
		return node;
	}

	noteRest() {
		const { raw } = this;
		if (filled(raw.title) && raw.title !== this.shown) this.remove("title", "title");
		const odd = Object.entries(isRow(raw.properties) ? raw.properties : {}).some(
			([name, value]) => name !== "proxyWidgets" && (name !== NAME_FOR_SEARCH || value !== raw.type),
		);
		if (odd) this.remove("properties", "property");
		if (Object.keys(raw).some((key) => !this.session.table.node.includes(key))) this.remove("more", "preview");
	}

	/** @param {Side} side */
	sockets(side) {
		return listed(this.raw[`${side}s`]).map((given, i) => {
			const row = isRow(given) ? given : {};
			const name = this.socketName(row.name, side, i);
			if (filled(row.label) && row.label !== name) {
				this.session.remove(this.where, this.sub || this.known ? this.shown : "", `${side} ${i + 1}`, "name");
			}
			const socket = /** @type {Row} */ ({ name, type: this.session.wire(row.type) });
			if (side === "input") socket.link = this.scope.links.has(row.link) ? row.link : null;
			else Object.assign(socket, { links: listed(row.links).filter((n) => this.scope.links.has(n)), slot_index: i });
			if (isRow(row.widget)) {
				socket.widget = { name: side === "output" && this.session.names.has(row.widget.name) ? row.widget.name : name };
			}
			if (Number.isInteger(row.shape)) socket.shape = row.shape;
			return socket;
		});
	}

	/** @param {any} name @param {Side} side @param {number} i */
	socketName(name, side, i) {
		const plain = `${side}_${i + 1}`;
		if (typeof name !== "string") return plain;
		if (this.sub) return this.sub[`${side}s`].get(name) ?? plain;
		const good = this.known ? this.known[`${side}s`].includes(name) : this.kind !== UNKNOWN && isIdentifier(name);
		return good ? name : plain;
	}

	/** Which inner widgets a subgraph shows. @param {Subgraph} sub @param {Row} node */
	proxies(sub, node) {
		const list = this.raw.properties?.proxyWidgets;
		if (!Array.isArray(list)) return;
		const inner = new Set(rows(sub.raw.nodes).map((n) => String(n.id)));
		node.properties.proxyWidgets = list
			.filter((row) => Array.isArray(row) && row.length === 2 && row.every((v) => typeof v === "string"))
			.filter(([id, name]) => (id === "-1" ? sub.inputs.has(name) : inner.has(id) && this.session.names.has(name)))
			.map(([id, name]) => [id, id === "-1" ? sub.inputs.get(name) : name]);
	}

	/** Values of widgets in the order of the definition. @param {Known} known */
	values(known) {
		const given = this.raw.widgets_values;
		const named = isRow(given) ? given : null;
		const queue = [...listed(given)];
		const list = [];
		for (const own of known.widgets) {
			const raw = named ? named[own.name] : queue.shift();
			const rule = own.kind === "linked" ? this.linked(own) : own;
			const [value, what] = cleanValue(rule, raw, this.session.keepSeed);
			list.push(value);
			this.session.note(this.where, this.kind, rule, rule.name, what);
			if (own.control) list.push(this.session.table.control.includes(queue[0]) ? queue.shift() : "fixed");
		}
		for (const value of known.extra ?? []) {
			queue.shift();
			list.push(value);
		}
		const odd = named && Object.keys(named).some((name) => !known.widgets.some((w) => w.name === name));
		if (odd || queue.some((v) => v !== null && v !== "")) this.remove("values", "preview");
		return list;
	}

	/** The rule of what a primitive is wired to. @param {Rule} rule @returns {Rule} */
	linked(rule) {
		for (const [origin, , target, slot] of this.scope.links.values()) {
			const raw = origin === this.number ? this.scope.nodes.get(target) : undefined;
			const input = listed(raw?.inputs)[slot];
			if (raw && isRow(input)) return this.session.meaning(rule, [raw.type, String(input.name)]);
		}
		return rule;
	}
}
