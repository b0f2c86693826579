/** Which files are selected, and what is done with them: one, many or all retried or cancelled, on all their servers. */

import { api } from "../api.js";
import { appState } from "../app-state.js";
import { h, icon, setText } from "../ui/dom.js";
import { formatCount, pluralize } from "../ui/format.js";
import { runAction, showToast } from "../ui/toast.js";
import { cancellableJobs, retryableJobs } from "./jobs-by-file.js";

export class Selection {
  /**
   * `view` has in `files` all that are shown, and in `known.byKey` each by its key; its `load()` shows them anew, its
   * `redraw()` only which are selected.
   */
  constructor(view) {
    this.view = view;
    this.chosen = new Set();
    const button = (sign, words, kind, work) =>
      h("button", { class: `small ${kind}`, onclick: event => runAction(event.currentTarget, work) }, icon(sign), words);
    this.all = h("input", {
      type: "checkbox",
      "aria-label": "Select all files shown",
      onclick: () => this.choose(this.all.checked ? this.view.files.map(file => file.key) : []),
    });
    this.words = h("span", { class: "bulk-words", role: "status" });
    this.everyWords = h("span");
    this.some = [
      button("retry", "Retry", "", () => this.retry([...this.chosen])),
      button("cancel", "Cancel", "", () => this.cancel([...this.chosen])),
    ];
    this.every = button("retry", this.everyWords, "primary", () => this.retryAll());
    const box = h("label", { class: "row-box" }, this.all);
    this.element = h("div", { class: "bulk" }, box, this.words, this.some, this.every);
  }

  get size() {
    return this.chosen.size;
  }

  has(file) {
    return this.chosen.has(file.key);
  }

  /** Select the files of these keys and no others. */
  choose(keys) {
    this.chosen = new Set(keys);
    this.follow();
    this.view.redraw();
  }

  /** Select a file or not, or with Shift all from the last one to this. */
  tick(key, event) {
    const keys = this.view.files.map(file => file.key);
    const from = keys.indexOf(this.last);
    const to = keys.indexOf(key);
    const part = event.shiftKey && from >= 0 ? keys.slice(Math.min(from, to), Math.max(from, to) + 1) : [key];
    for (const one of part) {
      if (event.target.checked) this.chosen.add(one);
      else this.chosen.delete(one);
    }
    this.last = key;
    this.choose(this.chosen);
  }

  /** Bring the bar above the list up to date. */
  follow() {
    const failed = appState.progress?.jobs.failed ?? 0;
    const shown = this.view.files?.length ?? 0;
    this.element.hidden = !shown;
    this.all.checked = this.size > 0 && this.size === shown;
    this.all.indeterminate = this.size > 0 && !this.all.checked;
    setText(this.words, this.size ? `${formatCount(this.size)} selected` : "Select all");
    for (const button of this.some) button.hidden = !this.size;
    this.every.hidden = !failed || this.size > 0;
    setText(this.everyWords, `Retry all failed (${formatCount(failed)})`);
  }

  /** The ids of the jobs of these files that `which(file)` names. */
  ids(keys, which) {
    const { byKey } = this.view.known;
    return keys.flatMap(key => (byKey.has(key) ? which(byKey.get(key)).map(job => job.id) : []));
  }

  async retry(keys) {
    const number = await inParts(this.ids(keys, retryableJobs), api.retry);
    showToast(number ? `${pluralize(number, "upload")} queued again.` : "None of these can be retried.");
    this.choose([]);
  }

  async cancel(keys) {
    const number = await inParts(this.ids(keys, cancellableJobs), api.cancel);
    showToast(number ? `${pluralize(number, "upload")} cancelled. Retry queues them again.` : "None of these can be cancelled.");
    this.choose([]);
  }

  async retryAll() {
    const { count: number } = await api.retry("all");
    showToast(`${pluralize(number, "upload")} queued again.`);
    await this.view.load();
  }
}

const PART = 500;

/** Ask in parts of a size that one request may have; returns the sum of the counts. */
async function inParts(ids, ask) {
  let sum = 0;
  for (let start = 0; start < ids.length; start += PART) {
    const { count: number } = await ask(ids.slice(start, start + PART).map(String));
    sum += number;
  }
  return sum;
}
