// The gallery of identities: people who do not exist. Nothing of a real face is here.
import { api } from "../../../scripts/api.js";
import { button, dialog, h, mainButton } from "../lib/dom.mjs";
import { post } from "../lib/server.mjs";
import { t } from "../lib/text.mjs";

const nameOf = (file) => file.replace(/\.safetensors$/, "");

export class Gallery {
	/** @param {HTMLElement} place @param {string | null} note what to say above, or null */
	constructor(place, note) {
		this.chosen = /** @type {string[]} */ ([]);
		this.list = h("ul.gallery", {});
		this.say = h("div", { role: "status" });
		this.mix = button("gallery_blend", () => this.blend(), { disabled: true });
		place.replaceChildren(h("div.side", {},
			h("h2", {}, t("gallery_title")), note && h("p.warn", { role: "note" }, note),
			h("p", {}, t("gallery_what")),
			h("div.bar", {}, button("gallery_refresh", () => this.refresh()), this.mix), this.say, this.list));
		this.refresh();
	}

	async refresh() {
		const answer = await api.fetchApi("/id2face/identities");
		const rows = /** @type {IdentityRow[]} */ (answer.ok ? await answer.json() : []);
		this.chosen = this.chosen.filter((file) => rows.some((row) => row.file === file));
		this.list.replaceChildren(...rows.map((row) => this.card(row)));
		this.say.textContent = rows.length ? t("gallery_count", { count: rows.length }) : t("gallery_empty");
		this.mix.disabled = this.chosen.length !== 2;
	}

	/** @param {IdentityRow} row */
	card(row) {
		const name = nameOf(row.file);
		const url = api.apiURL(`/id2face/portrait?${new URLSearchParams({ file: row.file, v: row.version })}`);
		const face = row.sealed
			? h("span.sealed", { role: "img", "aria-label": t("gallery_sealed") }, "🔒")
			: h("img", { src: url, alt: t("gallery_portrait", { name }), loading: "lazy", width: 88, height: 88 });
		const pick = h("input", { type: "checkbox", checked: this.chosen.includes(row.file), disabled: row.sealed,
			"aria-label": t("gallery_pick", { name }), onchange: () => this.pick(row.file, pick.checked) });
		const tool = (action, act, off = false) => button(`gallery_${action}`, act, { disabled: off, "aria-label": `${t(`gallery_${action}`)}: ${name}` });
		return h("li", { "data-file": row.file }, face, h("div", {},
			h("label", {}, pick, " ", h("strong", {}, name)), h("small", {}, t(row.sealed ? "gallery_sealed" : row.locked ? "gallery_locked" : "gallery_open")),
			h("div.bar", {},
				tool("rename", () => this.rename(row), row.locked), tool(row.locked ? "unlock" : "lock", () => this.act("lock", { file: row.file, locked: !row.locked })),
				tool("delete", () => this.remove(row), row.locked))));
	}

	pick(file, on) {
		this.chosen = [...this.chosen.filter((one) => one !== file), ...(on ? [file] : [])];
		this.mix.disabled = this.chosen.length !== 2;
	}

	async act(action, wish) {
		const answer = await post(`/id2face/identities/${action}`, wish);
		const problem = answer.ok ? "" : (await answer.json()).error ?? String(answer.status);
		await this.refresh();
		if (problem) this.say.textContent = problem;
	}

	/** @param {IdentityRow} row */
	async rename(row) {
		const name = await ask(t("gallery_rename"), t("gallery_name"), nameOf(row.file).replace(/_\d{5}$/, ""));
		if (name) await this.act("rename", { file: row.file, name });
	}

	async blend() {
		const [a, b] = this.chosen;
		const ratio = h("input", { type: "range", min: "0", max: "1", step: "0.05", value: "0.5", "aria-label": t("gallery_ratio") });
		const name = await ask(t("gallery_blend"), t("gallery_name"), "blend",
			h("div.ratio", {}, nameOf(a), ratio, nameOf(b)));
		if (name) await this.act("blend", { a, b, ratio: Number(ratio.value), name });
	}

	/** @param {IdentityRow} row */
	async remove(row) {
		const answer = await dialog(t("gallery_delete"), (close) => [
			h("p", {}, t("gallery_sure", { name: nameOf(row.file) })),
			h("div.bar", {}, mainButton("gallery_delete", () => close("yes")),
				button("cancel", () => close(""))),
		]);
		if (answer === "yes") await this.act("delete", { file: row.file });
	}
}

/** Ask for a text. @param {...Node} more @returns {Promise<string>} */
function ask(title, label, value, ...more) {
	return dialog(title, (close) => {
		const field = h("input.field", { type: "text", value, maxLength: 64 });
		const form = h("form", { method: "dialog", onsubmit: () => close(field.value.trim()) },
			h("label", {}, label, " ", field), ...more,
			h("div.bar", {}, h("button.button.main", { type: "submit", value: "" }, t("ok")),
				button("cancel", () => close(""))));
		return [form];
	});
}
