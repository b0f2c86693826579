/** Files dropped onto the page, or chosen: they go into a watched folder, and up from there. */

import { addToFolder } from "./api.js";
import { appState } from "./app-state.js";
import { h, icon, setText } from "./ui/dom.js";
import { baseName, formatSize, pluralize } from "./ui/format.js";
import { showToast } from "./ui/toast.js";

const AT_ONCE = 3;
let tray = null;

/** Take files that are dropped anywhere onto the page. */
export function enableFileDrop() {
  const overlay = new Overlay();
  let depth = 0; // enter and leave come for every element that is passed
  const withFiles = event => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", event => {
    if (!withFiles(event)) return;
    event.preventDefault();
    depth += 1;
    if (depth === 1) overlay.show();
  });
  addEventListener("dragleave", event => {
    if (!withFiles(event)) return;
    depth = Math.max(0, depth - 1);
    if (!depth) overlay.hide();
  });
  addEventListener("dragover", event => {
    if (!withFiles(event)) return;
    event.preventDefault();
    overlay.point(event.target);
  });
  addEventListener("drop", async event => {
    if (!withFiles(event)) return;
    event.preventDefault();
    depth = 0;
    const folder = overlay.pointed();
    overlay.hide();
    const files = await filesOf(event.dataTransfer);
    if (folder) put(folder, files);
    else showToast("There is no watched folder to add files to.", "bad");
  });
}

/** Let a person choose files to put into `folder`. */
export function chooseFiles(folder) {
  const input = h("input", { type: "file", multiple: true, onchange: () => put(folder, [...input.files]) });
  input.click();
}

/** Where files may be dropped: a field for each folder. */
class Overlay {
  constructor() {
    this.element = h("div", { class: "drop-overlay", hidden: true, "aria-hidden": "true" });
    document.body.append(this.element);
  }

  show() {
    const folders = [...appState.folders.values()];
    const fields = folders.map(folder =>
      h(
        "div",
        { class: "drop-field", "data-path": folder.path },
        icon("folder"),
        h("strong", {}, baseName(folder.path)),
        h("small", {}, folder.path),
      ),
    );
    this.element.replaceChildren(
      h("p", {}, folders.length > 1 ? "Drop onto a folder to add the files to it" : "Drop to add the files to"),
      h("div", { class: "drop-fields" }, fields),
    );
    this.element.hidden = false;
    this.point(fields[0]);
  }

  hide() {
    this.element.hidden = true;
  }

  point(target) {
    const field = target?.closest?.(".drop-field");
    if (!field) return;
    for (const other of this.element.querySelectorAll(".drop-field")) other.classList.toggle("chosen", other === field);
  }

  pointed() {
    return appState.folders.get(this.element.querySelector(".drop-field.chosen")?.dataset.path);
  }
}

/** The files in what was dropped, those within folders too. */
async function filesOf(transfer) {
  const entries = [...transfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some(entry => entry.isDirectory)) return [...transfer.files];
  const files = [];
  const pending = entries;
  while (pending.length) {
    const entry = pending.shift();
    if (entry.isFile) files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    else {
      const reader = entry.createReader();
      let part;
      do {
        part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        pending.push(...part);
      } while (part.length);
    }
  }
  return files;
}

function put(folder, files) {
  if (!files.length) return;
  tray ??= new Tray();
  for (const file of files) tray.add(folder, file);
}

/** The files on their way from the browser into a folder, at the edge of the page. */
class Tray {
  constructor() {
    this.waiting = [];
    this.running = 0;
    this.good = 0;
    this.title = h("h2");
    this.rows = h("ul");
    this.close = h(
      "button",
      { class: "quiet", "aria-label": "Close the list of added files", onclick: () => this.end() },
      icon("cancel"),
    );
    this.element = h(
      "section",
      { class: "tray", "aria-label": "Files being added" },
      h("div", { class: "panel-head" }, this.title, this.close),
      this.rows,
    );
    document.body.append(this.element);
    this.stop = new AbortController();
  }

  end() {
    this.stop.abort();
    this.waiting = [];
    this.element.remove();
    tray = null;
  }

  add(folder, file) {
    this.waiting.push({ folder, file });
    this.next();
  }

  next() {
    while (this.waiting.length && this.running < AT_ONCE) this.send(this.waiting.shift());
    const left = this.running + this.waiting.length;
    setText(this.title, left ? `Adding ${pluralize(left, "file")}…` : `${pluralize(this.good, "file")} added`);
  }

  async send({ folder, file }) {
    this.running += 1;
    const bar = h("progress", { max: 1, value: 0, "aria-label": file.name });
    const words = h("small", {}, formatSize(file.size));
    const row = h("li", {}, h("span", { class: "tray-name" }, file.name), bar, words);
    this.rows.prepend(row);
    try {
      const answer = await addToFolder(folder.uri, file, part => (bar.value = part), this.stop.signal);
      this.good += 1;
      bar.value = 1;
      row.classList.add("good");
      setText(words, answer.name === file.name ? `added to ${baseName(folder.path)}` : `added to ${baseName(folder.path)} as ${answer.name}`);
      while (this.rows.children.length > 50) this.rows.lastElementChild.remove();
    } catch (error) {
      bar.remove();
      row.classList.add("bad");
      setText(words, error.message);
    }
    this.running -= 1;
    if (!this.stop.signal.aborted) this.next();
  }
}
