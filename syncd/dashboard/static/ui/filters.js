/** Fields to narrow a list down: a search, a folder, a server. */

import { appState, subscribe } from "../app-state.js";
import { h, icon } from "./dom.js";
import { baseName } from "./format.js";

const PAUSE = 250; // ms after the last key

/** A search field; `found(text)` is called a moment after the last key, or at once on Enter. */
export function createSearchField(label, found) {
  let timer;
  const tell = () => {
    clearTimeout(timer);
    found(input.value.trim());
  };
  const input = h("input", {
    type: "search",
    placeholder: label,
    "aria-label": label,
    oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(tell, PAUSE);
    },
    onkeydown: event => event.key === "Enter" && tell(),
  });
  return h("label", { class: "search" }, icon("search"), input);
}

/** A choice among the folders there are; `chosen(path)` with "" for all. */
export const createFolderFilter = chosen =>
  new Choice("Folder", "All folders", () => [...appState.folders.keys()].map(path => [path, baseName(path)]), chosen);

/** A choice among the servers there are; `chosen(name)` with "" for all. */
export const createRemoteFilter = chosen =>
  new Choice("Server", "All servers", () => [...appState.remotes.keys()].map(name => [name, name]), chosen);

class Choice {
  constructor(label, all, options, chosen) {
    this.all = all;
    this.options = options;
    this.wanted = "";
    this.element = h("select", { "aria-label": label, onchange: () => chosen(this.element.value) });
    this.leave = subscribe("daemon folder remote", () => this.fill());
    this.fill();
  }

  get value() {
    return this.wanted;
  }

  set value(value) {
    this.wanted = value;
    this.fill();
  }

  /** The folder's exact name, for the API. */
  uri(path) {
    return path ? (appState.folders.get(path)?.uri ?? `file://${encodeURI(path)}`) : "";
  }

  fill() {
    const options = [["", this.all], ...this.options()];
    if (this.wanted && !options.some(([value]) => value === this.wanted)) options.push([this.wanted, this.wanted]);
    const now = JSON.stringify(options);
    if (now !== this.shown) {
      this.element.replaceChildren(...options.map(([value, text]) => h("option", { value }, text)));
      this.shown = now;
    }
    this.element.value = this.wanted;
  }
}
