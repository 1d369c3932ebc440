// Before and after, and the privacy gauge. The original is fetched only when the user asks.
import { api } from "../../../scripts/api.js";
import { button, contain, h } from "../lib/dom.mjs";
import { addPanel, afterRun, refit, typeOf, upstream, widget } from "../lib/graph.mjs";
import { originalOf } from "../lib/server.mjs";
import { reason, t } from "../lib/text.mjs";

/** Where a score lies between "a stranger" (0), the threshold (0.5) and "the same picture" (1). @param {Verdict} v */
export function position({ worst, threshold }) {
	const top = threshold < 0 ? 0 : 1; // negative scores are distances
	return worst === null ? 0 : Math.min(1, Math.max(0, 0.5 + (0.5 * (worst - threshold)) / (top - threshold)));
}

/** One recogniser: its verdict in words, and a meter. @param {Verdict} v */
function gauge(v) {
	const passed = v.faces > 0 && v.failed === 0;
	const verdict = v.faces === 0 ? t("gauge_none") : t(passed ? "gauge_passed" : "gauge_failed", { failed: v.failed, faces: v.faces });
	const numbers = t("gauge_numbers", { worst: v.worst?.toFixed(3) ?? "–", threshold: v.threshold.toFixed(3) });
	const meter = h("div.meter", { role: "meter", "aria-valuemin": 0, "aria-valuemax": 1, "aria-valuenow": position(v).toFixed(2),
		"aria-valuetext": `${verdict} ${numbers}`, "aria-label": v.name,
	}, h("span.needle", {}), h("span.limit", {}));
	/** @type {HTMLElement} */ (meter.firstElementChild).style.left = `${100 * position(v)}%`;
	return h(passed ? "div.good" : "div.bad", {},
		h("strong", {}, `${passed ? "✓" : "✗"} ${v.name}: ${verdict}`), meter, h("small", {}, numbers));
}

/** Faces that were covered instead of replaced, and why. @param {ReportPanel} report */
export function reportLines(report) {
	const lines = report.faces.map((row) =>
		h(row.status === "anonymized" ? "li.good" : "li.warn", {},
			`${row.count} × ${reason("status", row.status)}${row.reason ? `: ${reason("why", row.reason)}` : ""}`));
	return h("ul.lines", {}, ...(lines.length ? lines : [h("li", {}, t("report_none"))]));
}

/**
 * Two pictures one over the other. With `resized` they are there only while they are compared, for nodes in which ComfyUI
 * shows the new one itself. @param {Pair} pair @param {(() => void)} [resized]
 */
function slider(pair, resized) {
	const after = h("img.view", { alt: t("compare_after"), src: pair.after[0] });
	const before = h("img.view.before", { alt: t("compare_before"), hidden: true });
	const range = h("input", { type: "range", min: "0", max: "100", value: "50", disabled: true, "aria-label": t("compare_slide"),
		oninput: () => before.style.setProperty("clip-path", `inset(0 ${100 - Number(range.value)}% 0 0)`) });
	const pictures = h("div.pictures", { hidden: Boolean(resized) }, range, h("div.stack", {}, after, before));
	let frame = 0;
	const show = button("compare_show", () => turn(before.hidden), { "aria-pressed": false });
	async function turn(on) {
		const url = on ? await pair.before(frame) : null;
		if (before.src.startsWith("blob:")) URL.revokeObjectURL(before.src);
		if (url) before.src = url;
		else before.removeAttribute("src");
		before.hidden = range.disabled = !url;
		show.setAttribute("aria-pressed", String(Boolean(url)));
		show.textContent = t(url ? "compare_hide" : on ? "compare_gone" : "compare_show");
		range.dispatchEvent(new Event("input"));
		if (!resized) return;
		pictures.hidden = !url;
		resized();
	}
	const next = button("›", () => {
		frame = (frame + 1) % pair.after.length;
		after.src = pair.after[frame];
		turn(!before.hidden);
	}, { "aria-label": t("compare_next") });
	return h("div.compare", {}, h("div.bar", {}, show, pair.after.length > 1 && next), pictures);
}

/** The picture that a LoadImage above this node loads. @returns {string | null} */
function source(node) {
	const loader = upstream(node).find((one) => typeOf(one) === "LoadImage");
	const [, path, type] = /^(.*?)(?: \[(\w+)\])?$/.exec(String(widget(loader ?? {}, "image")?.value ?? "")) ?? [];
	if (!path) return null;
	const [filename, ...folders] = path.split("/").reverse();
	return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder: folders.reverse().join("/"), type: type ?? "input" })}`);
}

/**
 * A panel that is drawn anew after each run.
 * @param {string} name @param {(root: HTMLElement) => number} height @param {(output: any) => Node[]} draw
 */
function panel(node, name, height, draw) {
	const root = contain(h("div.panel.scroll", { tabIndex: 0, role: "region", "aria-label": t(name) }));
	root.append(h("div", {}, t(`${name}_run`)));
	addPanel(node, name, root, () => height(root));
	afterRun(node, (output) => {
		node.id2face = { ...node.id2face, check: output?.id2face_check?.[0], report: output?.id2face_report?.[0] };
		const parts = draw(output);
		if (parts.length) root.replaceChildren(...parts);
		refit(node);
	});
}

/** Privacy Check. */
export function checkPanel(node) {
	panel(node, "panel_check", () => 330, (output) => {
		const check = /** @type {CheckPanel | undefined} */ (output?.id2face_check?.[0]);
		if (!check) return [];
		const after = Array.from({ length: check.views }, (_, i) => api.apiURL(`/id2face/pictures/${check.after}/${i}`));
		return [verdict(check), ...check.recognisers.map(gauge), slider({ after, before: (i) => originalOf(`/id2face/pictures/${check.before}/${i}`) })];
	});
}

/** @param {CheckPanel} check */
function verdict(check) {
	const text = t(check.passed ? "check_passed" : check.blocked ? "check_blocked" : "check_failed");
	return h(check.passed ? "div.verdict.good" : "div.verdict.bad", { role: "status" },
		`${check.passed ? "✓" : "✗"} ${text}`);
}

/** Our savers: what was saved, beside what the nodes above said. */
export function savePanel(node) {
	const comparing = (root) => root.querySelector(".id2-pictures:not([hidden])");
	panel(node, "panel_save", (root) => (comparing(root) ? 430 : 150), (output) => {
		const files = /** @type {Record<string, string>[]} */ (output?.images ?? []);
		const above = upstream(node).map((one) => one.id2face ?? {});
		const check = above.find((one) => one.check)?.check;
		const report = above.find((one) => one.report)?.report;
		const after = files.filter((file) => !/\.(mp4|webm)$/.test(file.filename)).map((file) => api.apiURL(`/view?${new URLSearchParams(file)}`));
		return [
			check ? verdict(check) : h("div", {}, t("save_unchecked")),
			...(check?.recognisers ?? []).map(gauge), ...(report ? [reportLines(report)] : []),
			...(after.length ? [slider({ after, before: async () => source(node) }, () => refit(node))] : []),
		];
	});
}

/** Nodes that replace or cover faces. */
export function reportPanel(node) {
	panel(node, "panel_report", () => 90, (output) => (output?.id2face_report?.[0] ? [reportLines(output.id2face_report[0])] : []));
}
