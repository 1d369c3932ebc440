// Stock nodes that write the source's name and the graph into their files: a warning, and the clean node for one click.
import { button, contain, h } from "../lib/dom.mjs";
import { addPanel, allNodes, onFacePath, refit, typeOf } from "../lib/graph.mjs";
import { t } from "../lib/text.mjs";

// stock node -> the clean one that takes its place when the server has it
export const CLEAN = /** @type {Record<string, string>} */ ({
	SaveImage: "ID2FaceSaveImage", PreviewImage: "ID2FacePreview", SaveAnimatedPNG: "ID2FaceSaveVideo",
	SaveAnimatedWEBP: "ID2FaceSaveVideo", SaveWEBM: "ID2FaceSaveVideo", SaveVideo: "ID2FaceSaveVideo",
	VHS_VideoCombine: "ID2FaceSaveVideo", "Image Save": "ID2FaceSaveImage",
});
const NAME = "id2face_warning";
let due = 0;

/** Look at all savers again, soon. @param {() => boolean} wanted */
export function watchSavers(wanted) {
	clearTimeout(due);
	due = window.setTimeout(() => {
		for (const node of allNodes()) if (CLEAN[typeOf(node)]) mark(node, wanted() && onFacePath(node));
	}, 150);
}
function mark(node, warn) {
	const there = node.widgets?.find((w) => w.name === NAME);
	if (warn === Boolean(there)) return;
	if (!warn) {
		node.removeWidget ? node.removeWidget(there) : node.widgets.splice(node.widgets.indexOf(there), 1);
		there.onRemove?.();
	} else {
		const clean = cleanNode(node);
		const act = clean ? button("saver_swap", () => swap(node, clean)) : h("small", {}, t("saver_frames"));
		addPanel(node, NAME, contain(h("div.badge", { role: "note" }, h("span", {}, `⚠ ${t("saver_warning")}`), act)), () => 96);
	}
	refit(node);
}

/** @returns {any} */
const liteGraph = () => /** @type {any} */ (window).LiteGraph;

/** The registered clean node for a saver. @returns {string | null} */
function cleanNode(node) {
	const kind = CLEAN[typeOf(node)];
	return liteGraph()?.registered_node_types?.[kind] ? kind : null;
}

/** Put the clean node in the place of a stock one, with its wire. @param {string} kind */
export function swap(node, kind) {
	const graph = node.graph;
	const fresh = liteGraph().createNode(kind);
	if (!fresh) return;
	graph.beforeChange?.();
	fresh.pos = [...node.pos];
	graph.add(fresh);
	const [source, slot] = pictures(node);
	const input = fresh.inputs.findIndex((i) => i.type === "IMAGE");
	if (source && input >= 0) source.connect(slot, fresh, input);
	graph.remove(node);
	graph.afterChange?.();
	graph.setDirtyCanvas?.(true, true);
}

/** Every stock saver on a face path becomes the clean one. */
export function swapAll() {
	for (const node of allNodes()) {
		const clean = CLEAN[typeOf(node)] && cleanNode(node);
		if (clean && onFacePath(node)) swap(node, clean);
	}
}

/** [node, slot] where a saver's pictures come from; through Create Video when they do. @returns {[any, number]} */
function pictures(node) {
	const at = (node.inputs ?? []).findIndex((i) => ["IMAGE", "VIDEO"].includes(i.type));
	const source = at < 0 ? null : node.getInputNode(at);
	const slot = at < 0 ? 0 : node.getInputLink(at)?.origin_slot ?? 0;
	return source && node.inputs[at].type === "VIDEO" ? pictures(source) : [source, slot];
}
