// Export a workflow that can be given away: says what is gone, then writes a file.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { button, dialog, h, mainButton } from "../lib/dom.mjs";
import { rootGraph } from "../lib/graph.mjs";
import { t } from "../lib/text.mjs";
import { grouped, shareWorkflow } from "../share/clean.mjs";

/** The command. */
export async function exportShareable() {
	const table = await (await api.fetchApi("/id2face/sharing")).json();
	const graph = JSON.parse(JSON.stringify(rootGraph().serialize()));
	let keepSeed = app.extensionManager.setting.get("ID2Face.Share.KeepSeed") === true;
	let shared = /** @type {ReturnType<typeof shareWorkflow> | null} */ (null);
	await dialog(t("share_title"), (close) => {
		const list = h("ul.removed", { tabIndex: 0, "aria-label": t("share_removed") });
		const say = h("p", { role: "status" });
		const warnings = h("div.warn", { role: "alert" });
		const save = mainButton("share_save", () => (download(shared?.workflow), close("saved")));
		const fill = () => {
			try {
				shared = shareWorkflow(graph, table, { keepSeed });
			} catch (error) {
				warnings.textContent = t(`share_${/** @type {Error} */ (error).message}`);
				save.disabled = true;
				return;
			}
			list.replaceChildren(...grouped(shared.removed).map(finding));
			say.textContent = t("share_count", { count: shared.removed.length });
			warnings.replaceChildren(
				...shared.unknown.map((type) => h("p", {}, `⚠ ${t("share_unknown", { type })}`)),
				...shared.choose.map(([node, type, name]) => h("p", {}, t("share_choose", { node, type, name }))),
			);
		};
		const seed = h("input", { type: "checkbox", checked: keepSeed, onchange: () => ((keepSeed = seed.checked), fill()) });
		fill();
		return [say, list, warnings, h("label", {}, seed, ` ${t("share_seed")}`),
			h("div.bar", {}, save, button("cancel", () => close("")))];
	});
}

/** One thing, or how many of a kind, which open line by line. @param {ReturnType<typeof grouped>[number]} group */
const finding = ({ what, rows, inNodes }) =>
	rows.length === 1 ? line(rows[0]) : h("li", {}, h("details", {},
		h("summary", {}, t(inNodes ? "share_nodes" : "share_times", { count: rows.length, what: t(`removed_${what}`) })),
		h("ul", {}, ...rows.map(line))));

/** @param {Removal} row */
const line = ({ node, type, name, what }) =>
	h("li", {}, `${node ? `${t("share_node", { node, type })} ` : ""}${name}: ${t(`removed_${what}`)}`);
function download(workflow) {
	const url = URL.createObjectURL(new Blob([JSON.stringify(workflow, null, 1)], { type: "application/json" }));
	h("a", { href: url, download: "workflow.json" }).click();
	setTimeout(() => URL.revokeObjectURL(url), 1000);
}
