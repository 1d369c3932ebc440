// Elements. Nothing is made of markup in strings, so that no text becomes code.

import { t } from "./text.mjs";

/**
 * An element. "div.grid" is a div of our class "id2-grid". Properties that start with "on" are listeners.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K | `${K}.${string}`} what @param {Record<string, any>} [properties] @param {...(Node | string | null | false)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(what, properties = {}, ...children) {
	const [tag, ...classes] = what.split(".");
	const element = document.createElement(/** @type {K} */ (tag));
	element.classList.add(...classes.map((name) => `id2-${name}`));
	for (const [name, value] of Object.entries(properties)) {
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else if (/^(aria-|data-|role$|for$|list$)/.test(name)) element.setAttribute(name, String(value));
		else if (value !== undefined) Object.assign(element, { [name]: value });
	}
	element.append(...children.filter((child) => child !== null && child !== false));
	return element;
}

/** A button. @param {string} label key of a text, or a sign @param {() => unknown} act @param {Record<string, any>} [more] */
export const button = (label, act, more = {}) =>
	h("button.button", { type: "button", onclick: act, ...more }, t(label));

/** The button of a dialog that does what the dialog is for. @param {string} label @param {() => unknown} act */
export const mainButton = (label, act) => h("button.button.main", { type: "button", onclick: act }, t(label));

/** Take our style sheet into the page, once. */
export function addStyle() {
	const href = new URL("../id2face.css", import.meta.url).href;
	if (!document.querySelector(`link[href="${href}"]`)) document.head.append(h("link", { rel: "stylesheet", href }));
}

/**
 * A modal dialog of the browser: focus stays in it, Escape closes it. Resolves when it is closed.
 * @param {(close: (answer: string) => void) => Node[]} fill
 * @returns {Promise<string>}
 */
export function dialog(title, fill) {
	return new Promise((resolve) => {
		const box = contain(h("dialog.dialog", { "aria-label": title }, h("h2", {}, title)));
		box.append(...fill((answer) => box.close(answer)));
		box.addEventListener("close", () => {
			box.remove();
			resolve(box.returnValue);
		});
		document.body.append(box);
		box.showModal();
	});
}

/** Keep the canvas from taking what happens in an element. @template {HTMLElement} E @param {E} element */
export function contain(element) {
	for (const kind of ["pointerdown", "keydown", "keyup", "wheel", "contextmenu", "dblclick", "paste", "copy"]) {
		element.addEventListener(kind, (event) => event.stopPropagation());
	}
	return element;
}
