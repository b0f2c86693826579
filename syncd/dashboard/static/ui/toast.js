/** Short words about what was just done, at the edge of the page. */

import { h, icon } from "./dom.js";

const STAY = 6000;
const MOST = 4;

/** Tell `text`; tone "good" or "bad". What went wrong stays until it is closed. */
export function showToast(text, tone = "good") {
  const box = document.getElementById("toasts");
  const note = h("div", { class: `toast ${tone}` }, h("span", {}, text));
  note.append(
    h("button", { class: "quiet", "aria-label": "Dismiss", onclick: () => note.remove() }, icon("cancel")),
  );
  box.append(note);
  while (box.children.length > MOST) box.firstElementChild.remove();
  if (tone === "good") setTimeout(() => note.remove(), STAY);
}

/**
 * Do `work`, with `button` busy as long as it takes; tell what went wrong. Returns what it returned, or undefined.
 * A busy button is not disabled: who came to it by keyboard would lose the place.
 */
export async function runAction(button, work) {
  if (button?.getAttribute("aria-busy") === "true") return undefined;
  button?.setAttribute("aria-busy", "true");
  try {
    return await work();
  } catch (error) {
    showToast([error.message, ...(error.problems ?? [])].join(" "), "bad");
    return undefined;
  } finally {
    button?.removeAttribute("aria-busy");
  }
}
