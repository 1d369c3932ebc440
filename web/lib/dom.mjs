// Small helpers for elements. Everything is made with these: no markup from strings, so that no text becomes code.

/**
 * An element. Properties that start with "on" are listeners, with "aria" or "data-" attributes.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {Record<string, any>} [properties] @param {...(Node | string | null | undefined | false)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (/^(aria-|data-|role$|for$|list$)/.test(name)) element.setAttribute(name, String(value));
    else if (value !== undefined) Object.assign(element, { [name]: value });
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map((child) => child));
  return element;
}

/** A button. @param {string} label @param {() => unknown} act @param {Record<string, any>} [more] */
export const button = (label, act, more = {}) =>
  h("button", { type: "button", className: "id2face-button", onclick: act, ...more }, label);

/** Take our style sheet into the page, once. */
export function addStyle() {
  const href = new URL("../id2face.css", import.meta.url).href;
  if (!document.querySelector(`link[href="${href}"]`)) document.head.append(h("link", { rel: "stylesheet", href }));
}

/**
 * A modal dialog of the browser: focus stays in it, Escape closes it. Resolves when it is closed.
 * @param {string} title @param {(close: (answer: string) => void) => Node[]} fill
 * @returns {Promise<string>}
 */
export function dialog(title, fill) {
  return new Promise((resolve) => {
    const id = `id2face-title-${Math.random().toString(36).slice(2)}`;
    const box = h("dialog", { className: "id2face-dialog", "aria-labelledby": id });
    box.append(h("h2", { id }, title), ...fill((answer) => box.close(answer)));
    for (const kind of ["keydown", "keyup", "paste", "copy"]) box.addEventListener(kind, (event) => event.stopPropagation());
    box.addEventListener("close", () => {
      box.remove();
      resolve(box.returnValue);
    });
    document.body.append(box);
    box.showModal();
  });
}

/** Keep the canvas from taking what happens in a panel. @param {HTMLElement} element */
export function contain(element) {
  for (const kind of ["pointerdown", "keydown", "wheel", "contextmenu", "dblclick"]) {
    element.addEventListener(kind, (event) => event.stopPropagation());
  }
  return element;
}
