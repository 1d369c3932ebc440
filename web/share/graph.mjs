// Sanitise the graph that the page stores, with the definitions of its subgraphs. See id2face_core/sharing/graph.py.
import { cleanNode } from "./node.mjs";
import { colours, filled, isRow, listed, pair, rows, whole } from "./rules.mjs";

/**
 * @typedef {import("./rules.mjs").Row} Row
 * @typedef {import("./rules.mjs").Session} Session
 * @typedef {{id: string, number: number, raw: Row, inputs: Map<string, string>, outputs: Map<string, string>}} Subgraph
 * @typedef {[number, number, number, number, string]} Link origin, slot, target, slot, type
 * @typedef {{prefix: string, nodes: Map<number, Row>, links: Map<number, Link>, subgraphs: Map<string, Subgraph>}} Scope
 */

const ROOT = ["last_node_id", "last_link_id", "nodes", "links", "groups", "config", "extra", "version", "revision",
  "definitions", "state"]; // prettier-ignore
const LINK = ["id", "origin_id", "origin_slot", "target_id", "target_slot", "type"];

/** @param {number} n */
const freshId = (n) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
/** @param {number[]} numbers */
const largest = (numbers) => Math.max(0, ...numbers);

/** @param {Session} session @param {Row} document @returns {Row} */
export function cleanGraph(session, document) {
  const extra = isRow(document.extra) ? document.extra : {};
  if (filled(extra.groupNodes)) throw new Error("groups");
  const subgraphs = findSubgraphs(session, document);
  if (filled(document.id)) session.remove("", "", "id", "id");
  const more = isRow(document.extra)
    ? Object.keys(extra).some((k) => !["ds", "frontendVersion"].includes(k))
    : filled(document.extra);
  if (more || filled(document.config) || Object.keys(document).some((k) => k !== "id" && !ROOT.includes(k))) {
    session.remove("", "", "extra", "extra");
  }
  const parts = body(session, document, subgraphs, "");
  const out = /** @type {Row} */ ({
    last_node_id: largest(parts.nodes.map((n) => n.id)), last_link_id: largest(parts.links.map((l) => /** @type {number[]} */ (l)[0])),
    ...parts, config: {}, extra: {}, version: 0.4,
  }); // prettier-ignore
  if (subgraphs.size) out.definitions = { subgraphs: [...subgraphs.values()].map((s) => definition(session, s, subgraphs)) };
  return out;
}

/** @param {Session} session @param {Row} document @returns {Map<string, Subgraph>} */
function findSubgraphs(session, document) {
  const found = new Map();
  for (const raw of rows(document.definitions?.subgraphs)) {
    if (typeof raw.id !== "string") continue;
    const number = found.size + 1;
    /** @param {"input" | "output"} word */
    const names = (word) =>
      new Map(
        rows(raw[`${word}s`]).flatMap((s, i) =>
          typeof s.name === "string" ? [[s.name, session.names.has(s.name) ? s.name : `${word}_${i + 1}`]] : [],
        ),
      );
    found.set(raw.id, { id: freshId(number), number, raw, inputs: names("input"), outputs: names("output") });
  }
  return found;
}

/**
 * Nodes, links and groups of a graph.
 * @param {Session} session @param {Row} raw @param {Map<string, Subgraph>} subgraphs @param {string} prefix
 */
function body(session, raw, subgraphs, prefix) {
  const nodes = /** @type {Map<number, Row>} */ (new Map());
  for (const node of rows(raw.nodes)) {
    const number = typeof node.id === "string" && /^[0-9]{1,9}$/.test(node.id) ? Number(node.id) : node.id;
    if (!Number.isInteger(number) || typeof node.type !== "string") session.remove("", "", "node", "extra");
    else if (/^workflow[>/]/.test(node.type)) throw new Error("groups");
    else if (session.table.dropped.includes(node.type)) session.remove(`${prefix}${number}`, node.type, "note", "note");
    else nodes.set(number, node);
  }
  const links = findLinks(session, raw, nodes);
  const scope = { prefix, nodes, links, subgraphs };
  return {
    nodes: [...nodes.keys()].map((number) => cleanNode(session, scope, number)),
    links: [...links].map(([number, link]) =>
      prefix ? Object.fromEntries(LINK.map((key, i) => [key, [number, ...link][i]])) : [number, ...link],
    ),
    groups: rows(raw.groups).map((g, i) => group(session, g, i)),
  };
}

/** @param {Session} session @param {Row} raw @param {Map<number, Row>} nodes @returns {Map<number, Link>} */
function findLinks(session, raw, nodes) {
  const links = new Map();
  for (const link of listed(raw.links)) {
    const row = isRow(link) ? LINK.map((key) => link[key]) : link;
    if (!Array.isArray(row) || row.length < 5) continue;
    const five = row.slice(0, 5).map((v) => (typeof v === "string" && /^[0-9]{1,9}$/.test(v) ? Number(v) : v));
    const there = [five[1], five[3]].every((n) => nodes.has(n) || n === -10 || n === -20);
    if (five.every(Number.isInteger) && there) links.set(five[0], [...five.slice(1), session.wire(row[5])]);
  }
  return links;
}

/** @param {Session} session @param {Row} raw @param {number} i */
function group(session, raw, i) {
  if (filled(raw.title) && raw.title !== "Group") session.remove("", "", `group ${i + 1}`, "title");
  const bounding = pair(raw.bounding, 4) ?? [0, 0, 0, 0];
  return { id: whole(raw.id, i + 1), title: "Group", bounding, ...colours(raw, "color") };
}

/** @param {Session} session @param {Subgraph} sub @param {Map<string, Subgraph>} subgraphs @returns {Row} */
function definition(session, sub, subgraphs) {
  const { raw } = sub;
  const name = `Subgraph ${sub.number}`;
  if (filled(raw.name) && ![name, "New Subgraph"].includes(raw.name)) session.remove("", "", name, "name");
  if (filled(raw.extra) || filled(raw.config) || filled(raw.description) || filled(raw.category)) session.remove("", "", name, "extra");
  const parts = body(session, raw, subgraphs, `${sub.number}:`);
  /** @param {"input" | "output"} word */
  const side = (word) => rows(raw[`${word}s`]).map((s, i) => socket(session, sub, s, word, i));
  /** @param {any} end @param {number} id */
  const boundary = (end, id) => ({ id, bounding: pair(end?.bounding, 4) ?? [0, 0, 120, 60] });
  return {
    id: sub.id, version: 1, revision: 0, config: {}, name, extra: {}, widgets: [],
    state: { lastGroupId: parts.groups.length, lastNodeId: largest(parts.nodes.map((n) => n.id)),
      lastLinkId: largest(parts.links.map((l) => /** @type {Row} */ (l).id)), lastRerouteId: 0 },
    inputNode: boundary(raw.inputNode, -10), outputNode: boundary(raw.outputNode, -20),
    inputs: side("input"), outputs: side("output"), ...parts,
  }; // prettier-ignore
}

/** @param {Session} session @param {Subgraph} sub @param {Row} raw @param {"input" | "output"} word @param {number} i */
function socket(session, sub, raw, word, i) {
  const name = sub[`${word}s`].get(raw.name) ?? `${word}_${i + 1}`;
  if (name !== raw.name || (filled(raw.label) && raw.label !== name)) session.remove("", "", `Subgraph ${sub.number} ${name}`, "name");
  return {
    id: freshId(sub.number * 1000 + i + (word === "output" ? 500 : 0)), name, type: session.wire(raw.type),
    linkIds: listed(raw.linkIds).filter(Number.isInteger), pos: pair(raw.pos) ?? [0, 0],
  }; // prettier-ignore
}
