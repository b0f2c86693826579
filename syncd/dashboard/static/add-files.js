/** Adds files from the browser to a watched folder, by drag and drop or by a file dialog. */

import { addToFolder } from "./api.js";
import { appState } from "./app-state.js";
import { h, icon, setText } from "./ui/dom.js";
import { baseName, formatSize, pluralize } from "./ui/format.js";
import { showToast } from "./ui/toast.js";

const MAX_PARALLEL_TRANSFERS = 3;
const MAX_LISTED_FILES = 50;

/** Accept files that are dropped anywhere on the page. */
export function enableFileDrop() {
  const overlay = new DropOverlay();
  let depth = 0; // dragenter and dragleave fire for every nested element
  const onFileDrag = (type, handler) =>
    addEventListener(type, event => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      handler(event);
    });
  onFileDrag("dragenter", () => {
    depth += 1;
    if (depth === 1) overlay.show();
  });
  onFileDrag("dragleave", () => {
    depth = Math.max(0, depth - 1);
    if (!depth) overlay.hide();
  });
  onFileDrag("dragover", event => overlay.selectTarget(event.target));
  onFileDrag("drop", async event => {
    depth = 0;
    const folder = overlay.selectedFolder();
    overlay.hide();
    const files = await listFiles(event.dataTransfer);
    if (folder) addFiles(folder, files);
    else showToast("No watched folder to add files to. Add a folder to the configuration, then reload it.", "error");
  });
}

/** Open the browser's file dialog and add the chosen files to `folder`. */
export function chooseFiles(folder) {
  const input = h("input", { type: "file", multiple: true, onchange: () => addFiles(folder, [...input.files]) });
  input.click();
}

/** An overlay with a drop target for each watched folder, shown while files are dragged over the page. */
class DropOverlay {
  constructor() {
    this.element = h("div", { class: "drop-overlay", hidden: true, "aria-hidden": "true" });
    document.body.append(this.element);
  }

  show() {
    const folders = [...appState.folders.values()];
    const targets = folders.map(folder =>
      h(
        "div",
        { class: "drop-target", "data-path": folder.path },
        icon("folder"),
        h("strong", {}, baseName(folder.path)),
        h("small", {}, folder.path),
      ),
    );
    this.element.replaceChildren(
      h("p", {}, folders.length > 1 ? "Drop onto a folder to add the files to it" : "Drop to add the files to"),
      h("div", { class: "drop-targets" }, targets),
    );
    this.element.hidden = false;
    this.selectTarget(targets[0]);
  }

  hide() {
    this.element.hidden = true;
  }

  /** Select the drop target that contains `element`, if any. */
  selectTarget(element) {
    const target = element?.closest?.(".drop-target");
    if (!target) return;
    for (const other of this.element.querySelectorAll(".drop-target")) {
      other.classList.toggle("selected", other === target);
    }
  }

  selectedFolder() {
    return appState.folders.get(this.element.querySelector(".drop-target.selected")?.dataset.path);
  }
}

/** Return the dropped files, including those in dropped folders. */
async function listFiles(dataTransfer) {
  const pending = [...dataTransfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!pending.some(entry => entry.isDirectory)) return [...dataTransfer.files];
  const files = [];
  while (pending.length) {
    const entry = pending.shift();
    if (entry.isFile) files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    else {
      const reader = entry.createReader();
      let batch;
      do {
        batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        pending.push(...batch);
      } while (batch.length);
    }
  }
  return files;
}

let panel = null;

function addFiles(folder, files) {
  if (!files.length) return;
  panel ??= new TransferPanel();
  for (const file of files) panel.add(folder, file);
}

/** A panel with the files that are being written into folders, each with a progress bar. Closing it cancels them. */
class TransferPanel {
  constructor() {
    this.queue = [];
    this.running = 0;
    this.added = 0;
    this.abortController = new AbortController();
    this.title = h("h2");
    this.rows = h("ul");
    const close = h(
      "button",
      { class: "subtle", "aria-label": "Close the list of added files", onclick: () => this.close() },
      icon("cancel"),
    );
    this.element = h(
      "section",
      { class: "transfer-panel", "aria-label": "Files being added" },
      h("div", { class: "panel-head" }, this.title, close),
      this.rows,
    );
    document.body.append(this.element);
  }

  close() {
    this.abortController.abort();
    this.queue = [];
    this.element.remove();
    panel = null;
  }

  add(folder, file) {
    this.queue.push({ folder, file });
    this.startTransfers();
  }

  startTransfers() {
    while (this.queue.length && this.running < MAX_PARALLEL_TRANSFERS) this.transfer(this.queue.shift());
    const remaining = this.running + this.queue.length;
    const title = remaining ? `Adding ${pluralize(remaining, "file")}…` : `${pluralize(this.added, "file")} added`;
    setText(this.title, title);
  }

  async transfer({ folder, file }) {
    this.running += 1;
    const bar = h("progress", { max: 1, value: 0, "aria-label": file.name });
    const note = h("small", {}, formatSize(file.size));
    const row = h("li", {}, h("span", { class: "transfer-name" }, file.name), bar, note);
    this.rows.prepend(row);
    try {
      const { signal } = this.abortController;
      const { name } = await addToFolder(folder.uri, file, part => (bar.value = part), signal);
      this.added += 1;
      bar.value = 1;
      row.dataset.tone = "success";
      const target = baseName(folder.path);
      setText(note, name === file.name ? `added to ${target}` : `added to ${target} as ${name}`);
      while (this.rows.children.length > MAX_LISTED_FILES) this.rows.lastElementChild.remove();
    } catch (error) {
      bar.remove();
      row.dataset.tone = "error";
      setText(note, error.message);
    }
    this.running -= 1;
    if (!this.abortController.signal.aborted) this.startTransfers();
  }
}
