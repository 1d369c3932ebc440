// Sanitise one node of a graph. See id2face_core/sharing/graph_nodes.py.
import { CONTROL, UNKNOWN, cleanValue, colours, filled, isIdentifier, isRow, listed, pair, rows, whole } from "./rules.mjs";

/**
 * @typedef {import("./rules.mjs").Row} Row
 * @typedef {import("./rules.mjs").Rule} Rule
 * @typedef {import("./rules.mjs").Known} Known
 * @typedef {import("./rules.mjs").Session} Session
 * @typedef {import("./graph.mjs").Scope} Scope
 * @typedef {import("./graph.mjs").Subgraph} Subgraph
 */

const KEPT = ["id", "type", "pos", "size", "flags", "order", "mode", "inputs", "outputs", "properties", "color", "bgcolor",
  "title", "widgets_values", "showAdvanced", "localized_name"]; // prettier-ignore
const NAME_FOR_SEARCH = "Node name for S&R";

/** @param {Session} session @param {Scope} scope @param {number} number @returns {Row} */
export function cleanNode(session, scope, number) {
  const raw = /** @type {Row} */ (scope.nodes.get(number));
  const where = `${scope.prefix}${number}`;
  const sub = scope.subgraphs.get(raw.type);
  const [kind, known] = sub ? [sub.id, null] : session.kind(raw.type);
  const shown = sub ? "Subgraph" : kind;
  const flags = ["collapsed", "pinned"].filter((name) => raw.flags?.[name] === true);
  /** @param {"input" | "output"} side */
  const side = (side) => sockets(session, scope, raw, kind, known, sub, where, side);
  const node = /** @type {Row} */ ({
    id: number, type: kind, pos: pair(raw.pos) ?? [0, 0], size: pair(raw.size) ?? [200, 100],
    flags: Object.fromEntries(flags.map((name) => [name, true])), order: whole(raw.order, 0), mode: whole(raw.mode, 0),
    inputs: side("input"), outputs: side("output"), properties: sub ? {} : { [NAME_FOR_SEARCH]: kind },
    ...colours(raw, "color", "bgcolor"),
  }); // prettier-ignore
  if (raw.showAdvanced === true) node.showAdvanced = true;
  noteRest(session, raw, where, shown);
  if (sub) {
    proxies(session, raw, sub, node);
    if (filled(raw.widgets_values)) session.remove(where, shown, "values", "text");
  } else if (!known) {
    if (filled(raw.widgets_values)) session.remove(where, shown, "settings", "settings");
  } else {
    const list = values(session, scope, number, known, kind, where);
    if (list.length) node.widgets_values = list;
  }
  return node;
}

/** @param {Session} session @param {Row} raw @param {string} where @param {string} kind */
function noteRest(session, raw, where, kind) {
  if (filled(raw.title) && raw.title !== kind) session.remove(where, kind, "title", "title");
  const odd = Object.entries(isRow(raw.properties) ? raw.properties : {}).some(
    ([name, value]) => name !== "proxyWidgets" && (name !== NAME_FOR_SEARCH || value !== raw.type),
  );
  if (odd) session.remove(where, kind, "properties", "property");
  if (Object.keys(raw).some((key) => !KEPT.includes(key))) session.remove(where, kind, "more", "preview");
}

/**
 * @param {Session} session @param {Scope} scope @param {Row} raw @param {string} kind @param {Known | null} known
 * @param {Subgraph | undefined} sub @param {string} where @param {"input" | "output"} side
 */
function sockets(session, scope, raw, kind, known, sub, where, side) {
  return listed(raw[`${side}s`]).map((given, i) => {
    const row = isRow(given) ? given : {};
    const name = socketName(row.name, kind, known, sub, side, i);
    if (filled(row.label) && row.label !== name) {
      session.remove(where, sub ? "Subgraph" : known ? raw.type : "", `${side} ${i + 1}`, "name");
    }
    const socket = /** @type {Row} */ ({ name, type: session.wire(row.type) });
    if (side === "input") {
      socket.link = scope.links.has(row.link) ? row.link : null;
    } else {
      socket.links = listed(row.links).filter((n) => scope.links.has(n));
      socket.slot_index = i;
    }
    if (isRow(row.widget)) {
      socket.widget = { name: side === "output" && session.names.has(row.widget.name) ? row.widget.name : name };
    }
    if (Number.isInteger(row.shape)) socket.shape = row.shape;
    return socket;
  });
}

/**
 * @param {any} name @param {string} kind @param {Known | null} known @param {Subgraph | undefined} sub
 * @param {"input" | "output"} side @param {number} i
 */
function socketName(name, kind, known, sub, side, i) {
  const plain = `${side}_${i + 1}`;
  if (typeof name !== "string") return plain;
  if (sub) return sub[`${side}s`].get(name) ?? plain;
  return (known ? known[`${side}s`].includes(name) : kind !== UNKNOWN && isIdentifier(name)) ? name : plain;
}

/** Which inner widgets a subgraph shows. @param {Session} session @param {Row} raw @param {Subgraph} sub @param {Row} node */
function proxies(session, raw, sub, node) {
  const list = raw.properties?.proxyWidgets;
  if (!Array.isArray(list)) return;
  const inner = new Set(rows(sub.raw.nodes).map((n) => String(n.id)));
  node.properties.proxyWidgets = list
    .filter((row) => Array.isArray(row) && row.length === 2 && row.every((v) => typeof v === "string"))
    .filter(([id, name]) => (id === "-1" ? sub.inputs.has(name) : inner.has(id) && session.names.has(name)))
    .map(([id, name]) => [id, id === "-1" ? sub.inputs.get(name) : name]);
}

/**
 * Values of widgets in the order of the definition.
 * @param {Session} session @param {Scope} scope @param {number} number @param {Known} known @param {string} kind @param {string} where
 */
function values(session, scope, number, known, kind, where) {
  const given = scope.nodes.get(number)?.widgets_values;
  const named = isRow(given) ? given : null;
  const queue = [...listed(given)];
  const list = [];
  for (const own of known.widgets) {
    const raw = named ? named[own.name] : queue.shift();
    const rule = own.kind === "linked" ? linked(session, scope, number, own) : own;
    const [value, what] = cleanValue(rule, raw, session.keepSeed);
    list.push(value);
    session.note(where, kind, rule, rule.name, what);
    if (own.control) list.push(CONTROL.includes(queue[0]) ? queue.shift() : "fixed");
  }
  for (const value of known.extra ?? []) {
    queue.shift();
    list.push(value);
  }
  const odd = named && Object.keys(named).some((name) => !known.widgets.some((w) => w.name === name));
  if (odd || queue.some((v) => v !== null && v !== "")) session.remove(where, kind, "values", "preview");
  return list;
}

/** @param {Session} session @param {Scope} scope @param {number} number @param {Rule} rule @returns {Rule} */
function linked(session, scope, number, rule) {
  for (const [origin, , target, slot] of scope.links.values()) {
    const raw = origin === number ? scope.nodes.get(target) : undefined;
    const input = listed(raw?.inputs)[slot];
    if (raw && isRow(input)) return session.meaning(rule, [raw.type, String(input.name)]);
  }
  return rule;
}
