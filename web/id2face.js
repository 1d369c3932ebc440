// ID²Face in ComfyUI's page. This file is all that is loaded at the start; panels come when they are needed.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { addStyle } from "./lib/dom.mjs";
import { allNodes, typeOf } from "./lib/graph.mjs";
import { loadTexts, t } from "./lib/text.mjs";
import { CLEAN, watchSavers } from "./panels/savers.mjs";

const REPOSITORY = "https://github.com/id2face/id2face";
const PANELS = /** @type {Record<string, (node: any) => Promise<unknown>>} */ ({
  ID2FaceDetectFaces: async (node) => new (await import("./panels/picker.mjs")).FacePicker(node),
  ID2FacePrivacyCheck: async (node) => (await import("./panels/compare.mjs")).checkPanel(node),
  ID2FaceSaveImage: async (node) => (await import("./panels/compare.mjs")).savePanel(node),
  ID2FaceAnonymize: async (node) => (await import("./panels/compare.mjs")).reportPanel(node),
  ID2FacePasteFaces: async (node) => (await import("./panels/compare.mjs")).reportPanel(node),
  ID2FaceRedact: async (node) => (await import("./panels/compare.mjs")).reportPanel(node),
});

/** @param {string} id @param {unknown} fallback */
const setting = (id, fallback) => app.extensionManager?.setting?.get?.(id) ?? fallback;
const look = () => watchSavers(() => setting("ID2Face.Warnings.Savers", true) === true);
const texts = loadTexts().catch(() => {}); // without texts the codes of the messages are shown

/** What to say when the page may ask a server of others, or null. */
async function phonesHome() {
  if (setting("ID2Face.Warnings.ApiNodes", true) !== true) return null;
  const { system } = await (await api.fetchApi("/system_stats")).json();
  return system?.argv?.includes("--disable-api-nodes") ? null : t("api_nodes");
}

const share = async () => (await import("./panels/share.mjs")).exportShareable();
const openGallery = () => app.extensionManager.command.execute("Workspace.ToggleSidebarTab.id2face-gallery");

app.registerExtension({
  name: "ID2Face",
  commands: [
    { id: "ID2Face.Share", label: "Export shareable workflow", icon: "pi pi-shield", function: share },
    { id: "ID2Face.Gallery", label: "Show the gallery of identities", icon: "pi pi-users", function: openGallery },
    { id: "ID2Face.Swap", label: "Save without metadata: exchange all stock save nodes on face paths", icon: "pi pi-sync",
      function: swapAll },
  ], // prettier-ignore
  menuCommands: [{ path: ["ID2Face"], commands: ["ID2Face.Share", "ID2Face.Swap", "ID2Face.Gallery"] }],
  actionBarButtons: [{ icon: "pi pi-shield", tooltip: "ID²Face: export shareable workflow", onClick: share }],
  aboutPageBadges: [{ label: "ID²Face", url: REPOSITORY, icon: "pi pi-shield" }],
  settings: /** @type {any[]} */ ([
    { id: "ID2Face.Warnings.Savers", name: "Warn when a stock node saves faces with metadata", type: "boolean", defaultValue: true,
      category: ["ID2Face", "Warnings", "Savers"], onChange: look },
    { id: "ID2Face.Warnings.ApiNodes", name: "Warn when the server runs without --disable-api-nodes", type: "boolean",
      defaultValue: true, category: ["ID2Face", "Warnings", "ApiNodes"] },
    { id: "ID2Face.Share.KeepSeed", name: "Keep seeds in shared workflows", type: "boolean", defaultValue: false,
      category: ["ID2Face", "Share", "KeepSeed"] },
  ]), // prettier-ignore

  async setup() {
    addStyle();
    await texts;
    app.extensionManager.registerSidebarTab({
      id: "id2face-gallery", icon: "pi pi-users", title: t("gallery_title"), tooltip: t("gallery_title"), type: "custom",
      render: async (/** @type {HTMLElement} */ place) => void new (await import("./panels/gallery.mjs")).Gallery(place, await phonesHome()),
    }); // prettier-ignore
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
    const make = PANELS[typeOf(node)];
    if (!make) return;
    await texts;
    await make(node);
  },

  afterConfigureGraph: look,
});

/** The command: every stock saver with a warning becomes the clean one. */
async function swapAll() {
  const { swap } = await import("./panels/savers.mjs");
  const { onFacePath } = await import("./lib/graph.mjs");
  for (const node of allNodes()) {
    const clean = CLEAN[typeOf(node)];
    if (clean && /** @type {any} */ (window).LiteGraph.registered_node_types[clean] && onFacePath(node)) swap(node, clean);
  }
}
