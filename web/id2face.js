// ID²Face in ComfyUI's page. This file is all that is loaded at the start; panels come when they are needed.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { addStyle } from "./lib/dom.mjs";
import { typeOf } from "./lib/graph.mjs";
import { loadTexts, t } from "./lib/text.mjs";
import { CLEAN, swapAll, watchSavers } from "./panels/savers.mjs";

const PANELS = /** @type {Record<string, "picker" | "check" | "saved" | "report">} */ ({
	ID2FaceDetectFaces: "picker", ID2FacePrivacyCheck: "check", ID2FaceSaveImage: "saved", ID2FaceAnonymize: "report",
	ID2FacePasteFaces: "report", ID2FaceRedact: "report", ID2FaceSaveVideo: "saved",
});

const setting = (id, fallback) => app.extensionManager?.setting?.get?.(id) ?? fallback;
const look = () => watchSavers(() => setting("ID2Face.Warnings.Savers", true) === true);
const texts = loadTexts().catch(() => {}); // without texts the codes of the messages are shown

/** What to say when the page may ask a server of others, or null. */
async function phonesHome() {
	if (setting("ID2Face.Warnings.ApiNodes", true) !== true) return null;
	const { system } = await (await api.fetchApi("/system_stats")).json();
	return system?.argv?.includes("--disable-api-nodes") ? null : t("api_nodes");
}

/** A setting to switch on and off. @returns {any} */
const flag = (group, key, name, defaultValue, onChange = () => {}) =>
	({ id: `ID2Face.${group}.${key}`, category: ["ID2Face", group, key], name, type: "boolean", defaultValue, onChange });

const share = async () => (await import("./panels/share.mjs")).exportShareable();

app.registerExtension({
	name: "ID2Face",
	commands: [
		{ id: "ID2Face.Share", label: "Export shareable workflow", icon: "pi pi-shield", function: share },
		{ id: "ID2Face.Swap", label: "Exchange stock save nodes on face paths for clean ones", icon: "pi pi-sync", function: () => swapAll() },
	],
	menuCommands: [{ path: ["ID2Face"], commands: ["ID2Face.Share", "ID2Face.Swap", "Workspace.ToggleSidebarTab.id2face-gallery"] }],
	actionBarButtons: [{ icon: "pi pi-shield", tooltip: "ID²Face: export shareable workflow", onClick: share }],
	aboutPageBadges: [{ label: "ID²Face", url: "https://github.com/id2face/id2face", icon: "pi pi-shield" }],
	settings: [
		flag("Warnings", "Savers", "Warn when a stock node saves faces with metadata", true, look),
		flag("Warnings", "ApiNodes", "Warn when the server runs without --disable-api-nodes", true),
		flag("Share", "KeepSeed", "Keep seeds in shared workflows", false),
	],

	async setup() {
		addStyle();
		await texts;
		app.extensionManager.registerSidebarTab({
			id: "id2face-gallery", icon: "pi pi-users", title: t("gallery_title"), tooltip: t("gallery_title"), type: "custom",
			render: async (place) => void new (await import("./panels/gallery.mjs")).Gallery(place, await phonesHome()),
		});
		const note = await phonesHome().catch(() => null);
		if (note) app.extensionManager.toast.add({ severity: "info", summary: "ID²Face", detail: note, life: 12000 });
		look();
	},

	async nodeCreated(node) {
		const before = node.onConnectionsChange;
		node.onConnectionsChange = function () {
			before?.apply(this, /** @type {any} */ (arguments));
			look();
		};
		if (CLEAN[typeOf(node)]) look();
		const kind = PANELS[typeOf(node)];
		if (!kind) return;
		await texts;
		(await import("./panels/nodes.mjs")).panels[kind](node);
	},

	afterConfigureGraph: look,
});
