// Sanitise the graph that the page stores, with the definitions of its subgraphs. See id2face_core/sharing/graph.py.
import { NodeCleaner } from "./node.mjs";
import { colours, filled, isRow, listed, pair, rows, whole } from "./rules.mjs";

const LINK = ["id", "origin_id", "origin_slot", "target_id", "target_slot", "type"];

const freshId = (n) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
const largest = (numbers) => Math.max(0, ...numbers);
/** Digits as a number; everything else as it is. */
const asNumber = (value) => (typeof value === "string" && /^[0-9]{1,9}$/.test(value) ? Number(value) : value);

export class GraphCleaner {
	/** @param {Session} session @param {Row} document */
	constructor(session, document) {
		this.session = session;
		this.document = document;
		this.subgraphs = /** @type {Map<string, Subgraph>} */ (new Map());
	}

	remove(name, what) {
		this.session.remove("", "", name, what);
	}

	/** @returns {Row} */
	clean() {
		const { document, session } = this;
		const extra = isRow(document.extra) ? document.extra : {};
		if (filled(extra.groupNodes)) throw new Error("groups");
		this.findSubgraphs();
		if (filled(document.id)) this.remove("id", "id");
		const more = isRow(document.extra)
			? Object.keys(extra).some((k) => !["ds", "frontendVersion"].includes(k))
			: filled(document.extra);
		if (more || filled(document.config) || Object.keys(document).some((k) => !session.table.root.includes(k))) {
			this.remove("extra", "extra");
		}
		const parts = this.body(document, "");
		const last = { last_node_id: largest(parts.nodes.map((n) => n.id)), last_link_id: largest(parts.links.map((l) => l[0])) };
		const out = /** @type {Row} */ ({ ...last, ...parts, config: {}, extra: {}, version: 0.4 });
		if (this.subgraphs.size) out.definitions = { subgraphs: [...this.subgraphs.values()].map((s) => this.definition(s)) };
		return out;
	}

	findSubgraphs() {
		for (const raw of rows(this.document.definitions?.subgraphs)) {
			if (typeof raw.id !== "string") continue;
			const number = this.subgraphs.size + 1;
			const names = (/** @type {Side} */ side) =>
				new Map(
					rows(raw[`${side}s`]).flatMap((s, i) =>
						typeof s.name === "string" ? [[s.name, this.session.names.has(s.name) ? s.name : `${side}_${i + 1}`]] : [],
					),
				);
			this.subgraphs.set(raw.id, { id: freshId(number), number, raw, inputs: names("input"), outputs: names("output") });
		}
	}

	/** Nodes, links and groups of a graph. @param {Row} raw @param {string} prefix */
	body(raw, prefix) {
		const nodes = /** @type {Map<number, Row>} */ (new Map());
		for (const node of rows(raw.nodes)) {
			const number = asNumber(node.id);
			if (!Number.isInteger(number) || typeof node.type !== "string") this.remove("node", "extra");
			else if (/^workflow[>/]/.test(node.type)) throw new Error("groups");
			else if (this.session.table.dropped.includes(node.type)) this.session.remove(`${prefix}${number}`, node.type, "note", "note");
			else nodes.set(number, node);
		}
		const scope = { prefix, nodes, links: this.links(raw, nodes), subgraphs: this.subgraphs };
		return {
			nodes: [...nodes.keys()].map((number) => new NodeCleaner(this.session, scope, number).clean()),
			links: [...scope.links].map(([number, link]) =>
				/** @type {any} */ (prefix ? Object.fromEntries(LINK.map((key, i) => [key, [number, ...link][i]])) : [number, ...link]),
			),
			groups: rows(raw.groups).map((g, i) => this.group(g, i)),
		};
	}

	/** @param {Row} raw @param {Map<number, Row>} nodes @returns {Map<number, Link>} */
	links(raw, nodes) {
		const links = new Map();
		for (const link of listed(raw.links)) {
			const row = isRow(link) ? LINK.map((key) => link[key]) : link;
			if (!Array.isArray(row) || row.length < 5) continue;
			const five = row.slice(0, 5).map(asNumber);
			const there = [five[1], five[3]].every((n) => nodes.has(n) || n === -10 || n === -20);
			if (five.every(Number.isInteger) && there) links.set(five[0], [...five.slice(1), this.session.wire(row[5])]);
		}
		return links;
	}

	group(raw, i) {
		if (filled(raw.title) && raw.title !== "Group") this.remove(`group ${i + 1}`, "title");
		const bounding = pair(raw.bounding, 4) ?? [0, 0, 0, 0];
		return { id: whole(raw.id, i + 1), title: "Group", bounding, ...colours(raw, "color") };
	}

	/** @param {Subgraph} sub @returns {Row} */
	definition(sub) {
		const { raw } = sub;
		const name = `Subgraph ${sub.number}`;
		if (filled(raw.name) && ![name, "New Subgraph"].includes(raw.name)) this.remove(name, "name");
		if (["extra", "config", "description", "category"].some((k) => filled(raw[k]))) this.remove(name, "extra");
		const parts = this.body(raw, `${sub.number}:`);
		const side = (/** @type {Side} */ word) => rows(raw[`${word}s`]).map((s, i) => this.socket(sub, s, word, i));
		const boundary = (end, id) => ({ id, bounding: pair(end?.bounding, 4) ?? [0, 0, 120, 60] });
		return {
			id: sub.id, version: 1, revision: 0, config: {}, name, extra: {}, widgets: [],
			state: { lastGroupId: parts.groups.length, lastNodeId: largest(parts.nodes.map((n) => n.id)),
				lastLinkId: largest(parts.links.map((l) => l.id)), lastRerouteId: 0 },
			inputNode: boundary(raw.inputNode, -10), outputNode: boundary(raw.outputNode, -20),
			inputs: side("input"), outputs: side("output"), ...parts,
		};
	}

	/** @param {Subgraph} sub @param {Row} raw @param {Side} side @param {number} i */
	socket(sub, raw, side, i) {
		const name = sub[`${side}s`].get(raw.name) ?? `${side}_${i + 1}`;
		const renamed = name !== raw.name || (filled(raw.label) && raw.label !== name);
		if (renamed) this.remove(`Subgraph ${sub.number} ${name}`, "name");
		return {
			id: freshId(sub.number * 1000 + i + (side === "output" ? 500 : 0)), name, type: this.session.wire(raw.type),
			linkIds: listed(raw.linkIds).filter(Number.isInteger), pos: pair(raw.pos) ?? [0, 0],
		};
	}
}
