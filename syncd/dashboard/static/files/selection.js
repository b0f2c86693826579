/** Which files are chosen, and what is done with them: one, many or all tried again or given up. */

import { api } from "../api.js";
import { live } from "../live.js";
import { h, icon, say } from "../ui/dom.js";
import { count, counted } from "../ui/format.js";
import { attempt, toast } from "../ui/toast.js";

export class Selection {
  /** `view` has `jobs`, all that are shown; its `load()` shows them anew, its `redraw()` only which are chosen. */
  constructor(view) {
    this.view = view;
    this.chosen = new Map();
    const button = (sign, words, kind, work) =>
      h("button", { class: `small ${kind}`, onclick: event => attempt(event.currentTarget, work) }, icon(sign), words);
    this.all = h("input", {
      type: "checkbox",
      "aria-label": "Choose all that are shown",
      onclick: () => this.choose(this.all.checked ? this.view.jobs : []),
    });
    this.words = h("span", { class: "bulk-words", role: "status" });
    this.everyWords = h("span");
    this.some = [
      button("retry", "Retry", "", () => this.retry([...this.chosen.keys()])),
      button("cancel", "Cancel", "", () => this.cancel([...this.chosen.keys()])),
    ];
    this.every = button("retry", this.everyWords, "primary", () => this.retryAll());
    const box = h("label", { class: "row-box" }, this.all);
    this.element = h("div", { class: "bulk" }, box, this.words, this.some, this.every);
  }

  get size() {
    return this.chosen.size;
  }

  has(job) {
    return this.chosen.has(job.id);
  }

  /** Choose these jobs and no others. */
  choose(jobs) {
    this.chosen = new Map(jobs.map(job => [job.id, job]));
    this.follow();
    this.view.redraw();
  }

  /** Choose a job or not, or with Shift all from the last one to this. */
  tick(job, event) {
    const { jobs } = this.view;
    const from = jobs.findIndex(other => other.id === this.last);
    const to = jobs.findIndex(other => other.id === job.id);
    const part = event.shiftKey && from >= 0 ? jobs.slice(Math.min(from, to), Math.max(from, to) + 1) : [job];
    for (const one of part) {
      if (event.target.checked) this.chosen.set(one.id, one);
      else this.chosen.delete(one.id);
    }
    this.last = job.id;
    this.choose([...this.chosen.values()]);
  }

  /** Bring the bar above the list up to date. */
  follow() {
    const failed = live.progress?.jobs.failed ?? 0;
    const shown = this.view.jobs?.length ?? 0;
    this.element.hidden = !shown;
    this.all.checked = this.size > 0 && this.size === shown;
    this.all.indeterminate = this.size > 0 && !this.all.checked;
    say(this.words, this.size ? `${count(this.size)} chosen` : "Choose all");
    for (const button of this.some) button.hidden = !this.size;
    this.every.hidden = !failed || this.size > 0;
    say(this.everyWords, `Retry all ${count(failed)} that failed`);
  }

  async retry(ids) {
    const number = await inParts(ids, api.retry);
    toast(number ? `${counted(number, "file")} queued again.` : "None of them can be tried again.");
    this.choose([]);
  }

  async cancel(ids) {
    const number = await inParts(ids, api.cancel);
    toast(`${counted(number, "file")} given up. Retry brings them back.`);
    this.choose([]);
  }

  async retryAll() {
    const { count: number } = await api.retry("all");
    toast(`${counted(number, "file")} queued again.`);
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
