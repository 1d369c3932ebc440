// Texts in the language of the page, from locales/<language>/main.json as the server collects them.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

/** @type {Record<string, any>} */
let all = {};

/** Fetch the texts once. */
export async function loadTexts() {
	all = await (await api.fetchApi("/i18n")).json();
}

/** A text in the language of the page, in English where that lacks it. @returns {string | undefined} */
const word = (key) => all[app.extensionManager?.setting?.get?.("Comfy.Locale") ?? "en"]?.id2face?.[key] ?? all.en?.id2face?.[key];

/** A text with its {holes} filled. @param {Record<string, unknown>} [holes] */
export function t(key, holes = {}) {
	return (word(key) ?? key).replace(/\{(\w+)\}/g, (_, name) => String(holes[name] ?? ""));
}

/** A text, or the word itself where there is none: for codes that the server may add. */
export const reason = (group, code) => word(`${group}_${code.replace(/\W/g, "_")}`) ?? code;
