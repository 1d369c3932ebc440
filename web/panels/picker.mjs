// The face picker of Detect & Align Faces. The choice lives in the widgets `include` and `exclude`, nowhere else.
import { api } from "../../../scripts/api.js";
import { button, contain, h } from "../lib/dom.mjs";
import { addPanel, afterRun, refit, setWidget, widget } from "../lib/graph.mjs";
import { originalOf } from "../lib/server.mjs";
import { reason, t } from "../lib/text.mjs";
const numbers = (text) => String(text ?? "").split(",").filter((s) => s.trim() !== "").map(Number).filter(Number.isInteger);

/** Whether max_faces or the mask has kept a face out. @param {FaceRow} row */
const elsewhere = (row) => row.status === "skipped" && row.reason !== "not selected";

export class FacePicker {
	constructor(node) {
		this.node = node;
		this.frame = 0;
		this.clear = false;
		this.panel = /** @type {FacesPanel | null} */ (null);
		this.urls = /** @type {string[]} */ ([]);
		this.grid = h("div.grid", { role: "group", "aria-label": t("picker_title") });
		this.say = h("div", { role: "status" });
		this.bar = h("div.bar", {});
		this.step = h("input", { type: "range", min: "0", value: "0", oninput: () => ((this.frame = Number(this.step.value)), this.draw()) });
		const root = contain(h("div.panel", {}, this.bar, this.step, this.grid, this.say));
		this.grid.addEventListener("keydown", (event) => this.key(event));
		this.seen = new IntersectionObserver((entries) => entries.forEach((e) => e.isIntersecting && this.load(e.target)), { root: this.grid });
		addPanel(node, "face_picker", root, () => 250);
		afterRun(node, (output) => this.show(output?.id2face_faces?.[0] ?? null));
		for (const name of ["include", "exclude"]) {
			const own = widget(node, name);
			const before = own?.callback;
			if (own) own.callback = (...rest) => (before?.apply(own, rest), this.mark());
		}
		this.show(null);
	}

	/** @param {FacesPanel | null} panel */
	show(panel) {
		this.panel = panel;
		this.frame = Math.min(this.frame, (panel?.frames ?? 1) - 1);
		this.draw();
		refit(this.node);
	}

	/** Rows of the frame that is shown. */
	rows() {
		return (this.panel?.faces ?? []).filter((row) => row.frame === this.frame);
	}

	draw() {
		this.seen.disconnect();
		this.urls.splice(0).forEach((url) => URL.revokeObjectURL(url));
		const last = (this.panel?.frames ?? 1) - 1;
		Object.assign(this.step, { max: String(last), hidden: !last, ariaLabel: t("picker_frame", { frame: this.frame, last }) });
		this.bar.replaceChildren(
			button("picker_all", () => this.choose("all", "")),
			button("picker_none", () => this.choose("all", this.rows().map((r) => r.face).join(","))),
			button(this.clear ? "picker_hide" : "picker_show", () => this.reveal(), { "aria-pressed": this.clear, disabled: !this.panel }),
		);
		this.grid.replaceChildren(...this.rows().map((row, i) => this.tile(row, i)));
		this.mark();
	}

	/** @param {FaceRow} row @param {number} i */
	tile(row, i) {
		const picture = row.picture === null ? null : h("img", { alt: "", width: 64, height: 64, decoding: "async" });
		const tile = h("button.tile", {
			type: "button", role: "checkbox", tabIndex: i ? -1 : 0, "data-face": row.face,
			"data-picture": row.picture ?? "", onclick: () => this.toggle(row.face),
		}, picture, h("span.number", {}, String(row.face)), h("span.state", {}));
		if (picture) this.seen.observe(tile);
		return tile;
	}

	/** Fetch a thumbnail when it is looked at: coarse, or clear when the user asked for it. @param {Element} tile */
	async load(tile) {
		this.seen.unobserve(tile);
		const picture = tile.querySelector("img");
		const path = `/id2face/pictures/${this.panel?.pictures}/${/** @type {HTMLElement} */ (tile).dataset.picture}`;
		if (!picture) return;
		if (!this.clear) return void (picture.src = api.apiURL(path));
		const url = await originalOf(path);
		if (!url || !this.clear) return;
		picture.src = url;
		this.urls.push(url);
	}

	reveal() {
		this.clear = !this.clear;
		this.draw();
		/** @type {HTMLElement | undefined} */ (this.bar.children[2])?.focus();
	}

	/** What the widgets say. wanted: null for all faces. */
	choice() {
		const include = String(widget(this.node, "include")?.value ?? "all").trim();
		const wanted = include === "all" ? null : new Set(numbers(include));
		const without = new Set(numbers(widget(this.node, "exclude")?.value));
		const has = (/** @type {number} */ face) => (wanted?.has(face) ?? true) && !without.has(face);
		return { wanted, without, has };
	}
	toggle(face) {
		const { wanted, without, has } = this.choice();
		if (has(face)) without.add(face);
		else {
			without.delete(face);
			wanted?.add(face);
		}
		/** @param {Set<number>} set */
		const list = (set) => [...set].sort((a, b) => a - b).join(",");
		this.choose(wanted ? list(wanted) : "all", list(without));
	}

	/** @param {string} include @param {string} exclude */
	choose(include, exclude) {
		setWidget(this.node, "include", include);
		setWidget(this.node, "exclude", exclude);
		this.mark();
	}

	/** Show the choice. Words and a sign beside the colour; a tile whose state is the same costs no text. */
	mark() {
		const { has } = this.choice();
		let kept = 0;
		const rows = this.rows();
		rows.forEach((row, i) => {
			const [on, covered, otherwise] = [has(row.face), row.status === "rejected", elsewhere(row)];
			kept += Number(!on || otherwise);
			const tile = this.grid.children[i];
			if (tile.getAttribute("aria-checked") === String(on)) return;
			const why = covered || otherwise ? ` (${reason("why", row.reason)})` : "";
			const state = t(covered ? "picker_covered" : on && !otherwise ? "picker_replaced" : "picker_kept") + why;
			tile.setAttribute("aria-checked", String(on));
			tile.setAttribute("aria-label", t("picker_face", { face: row.face, state }));
			tile.setAttribute("title", state);
			/** @type {HTMLElement} */ (tile.lastElementChild).textContent = covered ? "▣" : on && !otherwise ? "✓" : "–";
		});
		this.say.textContent = this.panel ? t("picker_count", { faces: rows.length, kept }) : t("picker_run");
		this.say.classList.toggle("id2-warn", kept > 0);
	}

	/** Arrows, Home and End move. @param {KeyboardEvent} event */
	key(event) {
		const tiles = /** @type {HTMLElement[]} */ ([...this.grid.children]);
		const at = tiles.indexOf(/** @type {HTMLElement} */ (document.activeElement));
		const across = Math.max(1, getComputedStyle(this.grid).gridTemplateColumns.split(" ").length);
		const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + across, ArrowUp: at - across, Home: 0, End: tiles.length - 1 }[event.key];
		if (at < 0 || to === undefined) return;
		event.preventDefault();
		const next = tiles[Math.min(Math.max(0, to), tiles.length - 1)];
		tiles[at].tabIndex = -1;
		next.tabIndex = 0;
		next.focus();
	}
}
