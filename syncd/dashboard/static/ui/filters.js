/** Filter controls for lists: a search field, and menus of folders and remotes. */

import { appState, subscribe } from "../app-state.js";
import { h, icon } from "./dom.js";
import { baseName } from "./format.js";

const SEARCH_DELAY_MS = 250;

/** Create a search field. `onSearch(text)` is called SEARCH_DELAY_MS after the last key, or immediately on Enter. */
export function createSearchField(label, onSearch) {
  let timer;
  const search = () => {
    clearTimeout(timer);
    onSearch(input.value.trim());
  };
  const input = h("input", {
    type: "search",
    placeholder: label,
    "aria-label": label,
    oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(search, SEARCH_DELAY_MS);
    },
    onkeydown: event => event.key === "Enter" && search(),
  });
  return h("label", { class: "search" }, icon("search"), input);
}

/** Create a menu of the watched folders; `onChange` receives a path, or "" for all. */
export const createFolderFilter = onChange =>
  new FilterMenu(
    "Folder",
    "All folders",
    () => [...appState.folders.keys()].map(path => [path, baseName(path)]),
    onChange,
  );

/** Create a menu of the remotes; `onChange` receives a name, or "" for all. */
export const createRemoteFilter = onChange =>
  new FilterMenu("Remote", "All remotes", () => [...appState.remotes.keys()].map(name => [name, name]), onChange);

/** Return the URI of a watched folder, as the API expects it; "" for "". */
export const folderUri = path => (path ? (appState.folders.get(path)?.uri ?? `file://${encodeURI(path)}`) : "");

class FilterMenu {
  constructor(label, allLabel, listOptions, onChange) {
    this.allLabel = allLabel;
    this.listOptions = listOptions;
    this.selected = "";
    this.element = h("select", { "aria-label": label, onchange: () => onChange(this.element.value) });
    this.destroy = subscribe("daemon folder remote", () => this.render());
    this.render();
  }

  /** Select a value. The menu lists it even if no folder or remote has it. */
  select(value) {
    this.selected = value;
    this.render();
  }

  render() {
    const options = [["", this.allLabel], ...this.listOptions()];
    if (this.selected && !options.some(([value]) => value === this.selected)) {
      options.push([this.selected, this.selected]);
    }
    const signature = JSON.stringify(options);
    if (signature !== this.signature) {
      this.element.replaceChildren(...options.map(([value, text]) => h("option", { value }, text)));
      this.signature = signature;
    }
    this.element.value = this.selected;
  }
}
