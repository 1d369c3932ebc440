// Questions about the graph on the canvas.
import { app } from "../../../scripts/app.js";

/** The whole graph, also while a subgraph is open. @returns {any} */
export const rootGraph = () => /** @type {any} */ (app).rootGraph ?? app.graph;

/** All nodes, those in subgraphs too. @returns {any[]} */
export function allNodes(graph = rootGraph()) {
	return [...(graph?.nodes ?? graph?._nodes ?? [])].flatMap((node) => [node, ...(node.subgraph ? allNodes(node.subgraph) : [])]);
}

/** The node's type, as the server knows it. @returns {string} */
export const typeOf = (node) => node.comfyClass ?? node.type ?? "";

/** Nodes whose output flows into this one, nearest first. @returns {any[]} */
export function upstream(node) {
	const found = new Set();
	const queue = [node];
	for (const current of queue) {
		for (let i = 0; i < (current.inputs?.length ?? 0); i++) {
			const source = current.getInputNode?.(i);
			if (source && !found.has(source)) {
				found.add(source);
				queue.push(source);
			}
		}
	}
	return [...found];
}

/** Whether faces of a photograph flow through a node. @returns {boolean} */
const touchesFaces = (node) => typeOf(node).startsWith("ID2Face") || (node.subgraph && allNodes(node.subgraph).some(touchesFaces));

/** Whether what comes into a node went through one of ours. */
export const onFacePath = (node) => upstream(node).some(touchesFaces);

/** A widget by name. @returns {any} */
export const widget = (node, name) => node.widgets?.find((w) => w.name === name);

/** Set a widget as if the user had. */
export function setWidget(node, name, value) {
	const one = widget(node, name);
	if (!one || one.value === value) return;
	const before = one.value;
	one.value = value;
	one.callback?.(value);
	node.onWidgetChanged?.(name, value, before, one);
	node.graph?.setDirtyCanvas?.(true, false); // the node is drawn again, the wires are not
}

/**
 * Put an element into a node, in the classic canvas and in Nodes 2.0. It is neither stored nor sent.
 * @param {HTMLElement} element @param {() => number} high pixels; after a change call `refit`
 */
export function addPanel(node, name, element, high) {
	const panel = node.addDOMWidget(name, "id2face", element, { serialize: false, hideOnZoom: false, getMinHeight: high, getMaxHeight: high });
	panel.serialize = false;
	refit(node);
}

/** Let a node be as high as its panels want. */
export function refit(node) {
	requestAnimationFrame(() => {
		const least = node.computeSize?.();
		if (least && node.size[1] < least[1]) node.setSize?.([Math.max(node.size[0], least[0]), least[1]]);
		node.graph?.setDirtyCanvas?.(true, true);
	});
}

/** Call `act` with what the server sends after a run. @param {(output: any) => void} act */
export function afterRun(node, act) {
	const before = node.onExecuted;
	node.onExecuted = function (output) {
		before?.apply(this, arguments);
		act(output);
	};
}
