/** The selected files of the Files view, and the bar that retries or cancels their uploads on all remotes. */

import { api } from "../api.js";
import { appState } from "../app-state.js";
import { h, icon, setText } from "../ui/dom.js";
import { formatCount, pluralize } from "../ui/format.js";
import { runAction, showToast } from "../ui/toast.js";
import { cancellableJobs, retryableJobs } from "./jobs-by-file.js";

const MAX_TARGETS_PER_REQUEST = 500;

export class Selection {
  /**
   * Args: `view` has the listed files in `files`, and in `jobsByFile`; `load()` reloads the list and `redraw()` shows
   * which files are selected.
   */
  constructor(view) {
    this.view = view;
    this.keys = new Set();
    this.selectAll = h("input", {
      type: "checkbox",
      "aria-label": "Select all files shown",
      onclick: () => this.select(this.selectAll.checked ? this.view.files.map(file => file.key) : []),
    });
    this.text = h("span", { class: "selection-text", role: "status" });
    this.selectedButtons = [
      actionButton("retry", "Retry", "", () => this.retry([...this.keys])),
      actionButton("cancel", "Cancel", "", () => this.cancel([...this.keys])),
    ];
    this.retryAllLabel = h("span");
    this.retryAllButton = actionButton("retry", this.retryAllLabel, "primary", () => this.retryAllFailed());
    this.element = h(
      "div",
      { class: "selection-bar" },
      h("label", { class: "file-row-checkbox" }, this.selectAll),
      this.text,
      this.selectedButtons,
      this.retryAllButton,
    );
  }

  get size() {
    return this.keys.size;
  }

  has(file) {
    return this.keys.has(file.key);
  }

  /** Select exactly the files with these keys. */
  select(keys) {
    this.keys = new Set(keys);
    this.update();
    this.view.redraw();
  }

  /** Apply a click on a file's checkbox. With Shift, it applies to all files from the last clicked one to this one. */
  toggle(key, event) {
    const keys = this.view.files.map(file => file.key);
    const from = keys.indexOf(this.lastKey);
    const to = keys.indexOf(key);
    const range = event.shiftKey && from >= 0 ? keys.slice(Math.min(from, to), Math.max(from, to) + 1) : [key];
    for (const one of range) {
      if (event.target.checked) this.keys.add(one);
      else this.keys.delete(one);
    }
    this.lastKey = key;
    this.select(this.keys);
  }

  /** Update the bar above the list. */
  update() {
    const failed = appState.progress?.jobs.failed ?? 0;
    const listed = this.view.files?.length ?? 0;
    this.element.hidden = !listed;
    this.selectAll.checked = this.size > 0 && this.size === listed;
    this.selectAll.indeterminate = this.size > 0 && !this.selectAll.checked;
    setText(this.text, this.size ? `${formatCount(this.size)} selected` : "Select all");
    for (const button of this.selectedButtons) button.hidden = !this.size;
    this.retryAllButton.hidden = !failed || this.size > 0;
    setText(this.retryAllLabel, `Retry all failed (${formatCount(failed)})`);
  }

  async retry(keys) {
    const count = await inBatches(this.jobIds(keys, retryableJobs), api.retry);
    showToast(count ? `${pluralize(count, "upload")} queued again.` : "None of these uploads can be retried.");
    this.select([]);
  }

  async cancel(keys) {
    const count = await inBatches(this.jobIds(keys, cancellableJobs), api.cancel);
    showToast(
      count
        ? `${pluralize(count, "upload")} cancelled. Press Retry to queue them again.`
        : "None of these uploads can be cancelled.",
    );
    this.select([]);
  }

  async retryAllFailed() {
    const { count } = await api.retry("all");
    showToast(`${pluralize(count, "upload")} queued again.`);
    await this.view.load();
  }

  /** Return the ids of the jobs that `jobsOf(file)` returns for the files with these keys. */
  jobIds(keys, jobsOf) {
    const { byKey } = this.view.jobsByFile;
    return keys.flatMap(key => (byKey.has(key) ? jobsOf(byKey.get(key)).map(job => job.id) : []));
  }
}

const actionButton = (iconName, label, className, action) =>
  h(
    "button",
    { class: `small ${className}`, onclick: event => runAction(event.currentTarget, action) },
    icon(iconName),
    label,
  );

/** Send ids in batches of the size that a request may have. Returns the total of the replies' counts. */
async function inBatches(ids, send) {
  let total = 0;
  for (let start = 0; start < ids.length; start += MAX_TARGETS_PER_REQUEST) {
    const { count } = await send(ids.slice(start, start + MAX_TARGETS_PER_REQUEST).map(String));
    total += count;
  }
  return total;
}
