/** Toasts (short messages at the edge of the page), and buttons that run an action. */

import { h, icon } from "./dom.js";

const SUCCESS_DISPLAY_MS = 6000;
const MAX_TOASTS = 4;

/** Show a message with tone "success" or "error". Errors stay until the user dismisses them. */
export function showToast(text, tone = "success") {
  const container = document.getElementById("toasts");
  const toast = h("div", { class: "toast", "data-tone": tone }, h("span", {}, text));
  toast.append(
    h("button", { class: "subtle", "aria-label": "Dismiss", onclick: () => toast.remove() }, icon("cancel")),
  );
  container.append(toast);
  while (container.children.length > MAX_TOASTS) container.firstElementChild.remove();
  if (tone === "success") setTimeout(() => toast.remove(), SUCCESS_DISPLAY_MS);
}

/**
 * Run an asynchronous action for a button, which is busy meanwhile, and show errors as a toast.
 *
 * Returns the action's result, or undefined after an error or if the button is busy already. A busy button is not
 * disabled, because a disabled button loses keyboard focus.
 */
export async function runAction(button, action) {
  if (button?.getAttribute("aria-busy") === "true") return undefined;
  button?.setAttribute("aria-busy", "true");
  try {
    return await action();
  } catch (error) {
    showToast([error.message, ...(error.problems ?? [])].join(" "), "error");
    return undefined;
  } finally {
    button?.removeAttribute("aria-busy");
  }
}
