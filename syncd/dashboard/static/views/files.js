/** Files: every job, narrowed down by state, folder, server and name; one, many or all tried again or given up. */

import { api } from "../api.js";
import { live, on } from "../live.js";
import { changed, replace } from "../route.js";
import { folderChoice, remoteChoice, searchField } from "../ui/choices.js";
import { h, icon, say } from "../ui/dom.js";
import { base, count, counted, size, stateWords, when, whole, within } from "../ui/format.js";
import { thumb } from "../ui/thumb.js";
import { attempt, toast } from "../ui/toast.js";
import { VirtualList } from "../ui/virtual.js";

const PAGE = 100;
const STATES = ["", "queued", "uploading", "waiting", "failed", "done", "skipped"];
const TITLES = {
  "": "All",
  queued: "Queued",
  uploading: "Uploading",
  waiting: "Waiting",
  failed: "Failed",
  done: "Done",
  skipped: "Skipped",
};
const SORTS = {
  latest: "Latest change",
  oldest: "Oldest change",
  name: "Name",
  largest: "Largest",
  smallest: "Smallest",
};
const PARTS = ["state", "search", "folder", "remote", "sort"];

export const filesView = params => new Files(params);

class Files {
  constructor(params) {
    this.selected = new Map();
    this.note = h("p", { class: "count", role: "status" });
    this.fresh = h("button", { class: "fresh", hidden: true, onclick: () => this.load() }, "Something changed – show");
    this.empty = h("div", { class: "nothing", hidden: true });
    const choose = choices => replace(changed(choices));
    this.tabs = STATES.map(state =>
      h(
        "button",
        { "data-state": state, "aria-pressed": "false", onclick: () => choose({ state }) },
        h("span", {}, TITLES[state]),
        h("span", { class: "tab-count" }),
      ),
    );
    this.search = searchField("Search names", search => choose({ search }));
    this.folder = folderChoice(folder => choose({ folder }));
    this.remote = remoteChoice(remote => choose({ remote }));
    this.sort = h(
      "select",
      { "aria-label": "Order", onchange: () => choose({ sort: this.sort.value }) },
      Object.entries(SORTS).map(([value, words]) => h("option", { value }, words)),
    );
    this.bulk = this.makeBulk();
    this.list = new VirtualList({
      label: "Files",
      key: job => job.id,
      layout: width => ({ columns: 1, height: width < 640 ? 96 : 64 }),
      render: job => this.row(job),
      update: (row, job) => this.follow(row, job),
      end: () => this.more(),
    });
    this.offs = [
      on("job", job => this.happened(job)),
      on("progress", () => this.progress()),
      on("connection", connection => connection === "open" && !this.loaded && this.load()),
    ];
    this.element = h(
      "div",
      { class: "files" },
      h(
        "div",
        { class: "view-head" },
        h("h1", {}, "Files"),
        this.note,
        h("div", { class: "choices tabs", role: "group", "aria-label": "State" }, this.tabs),
        h("div", { class: "filters" }, this.search, this.folder.element, this.remote.element, this.sort),
      ),
      this.bulk.element,
      this.fresh,
      this.list.element,
      this.empty,
    );
    this.params(params);
    this.progress();
  }

  leave() {
    this.list.leave();
    this.folder.leave();
    this.remote.leave();
    this.offs.forEach(off => off());
    this.stop?.abort();
  }

  params(params) {
    const chosen = Object.fromEntries(PARTS.map(name => [name, params.get(name) ?? ""]));
    if (JSON.stringify(chosen) === JSON.stringify(this.chosen)) return;
    this.chosen = chosen;
    this.query = { ...chosen, limit: PAGE, folder: this.folder.uri(chosen.folder) };
    const input = this.search.querySelector("input");
    if (input.value.trim() !== chosen.search) input.value = chosen.search;
    this.folder.value = chosen.folder;
    this.remote.value = chosen.remote;
    this.sort.value = chosen.sort || "latest";
    for (const tab of this.tabs) tab.setAttribute("aria-pressed", String(tab.dataset.state === chosen.state));
    this.load();
  }

  async load() {
    this.stop?.abort();
    this.stop = new AbortController();
    this.jobs = [];
    this.known = new Map();
    this.cursor = null;
    this.loaded = this.asking = false;
    this.fresh.hidden = true;
    this.select([]);
    await this.more(true);
  }

  async more(first = false) {
    if (this.asking || (!first && !this.cursor)) return;
    this.asking = true;
    const { signal } = this.stop;
    try {
      const page = await api.jobs({ ...this.query, before: this.cursor }, signal);
      this.loaded = true;
      this.asking = false;
      this.cursor = page.next;
      for (const job of page.jobs) {
        if (!this.known.has(job.id)) this.jobs.push(job);
        this.known.set(job.id, job);
      }
      this.jobs = this.jobs.map(job => this.known.get(job.id));
      this.shown();
      if (page.partial && !page.jobs.length) this.more();
    } catch (error) {
      if (signal.aborted) return;
      this.asking = false;
      say(this.note, error.message);
    }
  }

  shown() {
    say(
      this.note,
      this.jobs.length
        ? `${counted(this.jobs.length, "entry").replace("entrys", "entries")}${this.cursor ? " shown, more below" : ""}`
        : "",
    );
    this.empty.hidden = this.jobs.length > 0;
    if (!this.jobs.length)
      this.empty.replaceChildren(icon(this.chosen.state === "failed" ? "check" : "queue"), h("h2", {}, this.nothing()));
    this.bulk.follow();
    this.list.show(this.jobs);
  }

  nothing() {
    if (this.chosen.search || this.chosen.folder || this.chosen.remote) return "Nothing matches";
    return (
      { "": "No files yet", failed: "Nothing has failed", done: "Nothing is done yet" }[this.chosen.state] ??
      `Nothing is ${this.chosen.state}`
    );
  }

  progress() {
    if (!live.progress) return;
    const { jobs, flights } = live.progress;
    const all = Object.values(jobs).reduce((sum, number) => sum + number, 0);
    for (const tab of this.tabs)
      say(tab.querySelector(".tab-count"), count(tab.dataset.state ? jobs[tab.dataset.state] : all));
    for (const flight of flights) {
      const bar = this.list.shown.get(flight.id)?.querySelector("progress");
      if (bar) bar.value = flight.size ? flight.sent / flight.size : 0;
    }
    this.bulk.follow();
  }

  row(job) {
    const box = h("input", {
      type: "checkbox",
      "aria-label": `Choose ${base(job.path)}`,
      onclick: event => this.tick(this.known.get(job.id), event),
    });
    const act = (sign, words, work) =>
      h(
        "button",
        {
          class: "quiet",
          title: words,
          "aria-label": `${words} ${base(job.path)}`,
          "data-act": words,
          onclick: event => attempt(event.currentTarget, work),
        },
        icon(sign),
      );
    return h(
      "div",
      { role: "listitem" },
      h(
        "div",
        { class: "row" },
        h("span", { class: "row-box" }, box),
        thumb(job),
        h(
          "a",
          { class: "row-name", href: changed({ job: job.id }) },
          h("strong", {}, within(job.path, job.folder)),
          h("small", {}, `${base(job.folder)} → ${job.remote}`),
        ),
        h(
          "span",
          { class: "row-state" },
          h("span", { class: "state" }),
          h("progress", { max: 1, value: 0, hidden: true, "aria-label": "Sent" }),
        ),
        h("span", { class: "row-detail" }),
        h("span", { class: "row-size" }, size(job.size)),
        h("time", { class: "row-time" }),
        h(
          "span",
          { class: "row-actions" },
          act("retry", "Retry", () => this.retry([job.id])),
          act("cancel", "Cancel", () => this.cancel([job.id])),
        ),
      ),
    );
  }

  follow(row, job) {
    const state = row.querySelector(".state");
    state.className = `state ${job.state}`;
    say(state, stateWords(job));
    row.querySelector("progress").hidden = job.state !== "uploading";
    const detail = row.querySelector(".row-detail");
    say(detail, job.detail ?? "");
    detail.title = job.detail ?? "";
    const time = row.querySelector("time");
    say(time, when(job.updated_at));
    time.title = whole(job.updated_at);
    row.querySelector('[data-act="Retry"]').hidden = !["failed", "skipped", "waiting"].includes(job.state);
    row.querySelector('[data-act="Cancel"]').hidden = !["queued", "uploading", "waiting", "failed"].includes(job.state);
    row.querySelector("input").checked = this.selected.has(job.id);
    row.querySelector(".row").classList.toggle("chosen", this.selected.has(job.id));
  }

  /** Choose an entry, or with Shift all from the last one to this. */
  tick(job, event) {
    const from = this.jobs.findIndex(other => other.id === this.last);
    const to = this.jobs.findIndex(other => other.id === job.id);
    const part = event.shiftKey && from >= 0 ? this.jobs.slice(Math.min(from, to), Math.max(from, to) + 1) : [job];
    for (const one of part) {
      if (event.target.checked) this.selected.set(one.id, one);
      else this.selected.delete(one.id);
    }
    this.last = job.id;
    this.select([...this.selected.values()]);
  }

  select(jobs) {
    this.selected = new Map(jobs.map(job => [job.id, job]));
    this.bulk.follow();
    this.list.schedule();
  }

  makeBulk() {
    const all = h("input", {
      type: "checkbox",
      "aria-label": "Choose all that are shown",
      onclick: () => this.select(all.checked ? this.jobs : []),
    });
    const words = h("span", { class: "bulk-words", role: "status" });
    const retry = h(
      "button",
      { class: "small", onclick: event => attempt(event.currentTarget, () => this.retry([...this.selected.keys()])) },
      icon("retry"),
      "Retry",
    );
    const cancel = h(
      "button",
      { class: "small", onclick: event => attempt(event.currentTarget, () => this.cancel([...this.selected.keys()])) },
      icon("cancel"),
      "Cancel",
    );
    const every = h(
      "button",
      { class: "small primary", onclick: event => attempt(event.currentTarget, () => this.retryAll()) },
      icon("retry"),
      h("span"),
    );
    const element = h("div", { class: "bulk" }, h("label", { class: "row-box" }, all), words, retry, cancel, every);
    const follow = () => {
      const chosen = this.selected.size;
      const failed = live.progress?.jobs.failed ?? 0;
      element.hidden = !this.jobs?.length;
      all.checked = chosen > 0 && chosen === this.jobs?.length;
      all.indeterminate = chosen > 0 && !all.checked;
      say(words, chosen ? `${count(chosen)} chosen` : "Choose all");
      retry.hidden = cancel.hidden = !chosen;
      every.hidden = !failed || chosen > 0;
      say(every.lastElementChild, `Retry all ${count(failed)} that failed`);
    };
    return { element, follow };
  }

  async retry(ids) {
    const number = await inParts(ids, api.retry);
    toast(number ? `${counted(number, "file")} queued again.` : "None of them can be tried again.");
    this.select([]);
  }

  async cancel(ids) {
    const number = await inParts(ids, api.cancel);
    toast(`${counted(number, "file")} given up. Retry brings them back.`);
    this.select([]);
  }

  async retryAll() {
    const { count: number } = await api.retry("all");
    toast(`${counted(number, "file")} queued again.`);
    await this.load();
  }

  /** Bring an entry up to date where it stands; one that is new waits until a person asks, or shows at the top. */
  happened(job) {
    const known = this.known?.get(job.id);
    if (known) {
      Object.assign(known, {
        state: job.state,
        outcome: job.outcome,
        detail: job.detail,
        size: job.size,
        updated_at: job.updated_at,
      });
      this.list.schedule();
    } else if (this.loaded && (!this.chosen.state || this.chosen.state === job.state)) {
      if (scrollY < 100 && !this.selected.size && (this.chosen.sort || "latest") === "latest") this.reload();
      else this.fresh.hidden = false;
    }
  }

  /** Load the list anew, at most once a second. */
  reload() {
    this.due ??= setTimeout(() => {
      this.due = null;
      if (this.element.isConnected && !this.selected.size) this.refresh();
    }, 1000);
  }

  async refresh() {
    const page = await api.jobs(this.query, this.stop.signal).catch(() => null);
    if (!page) return;
    const old = this.jobs.filter(job => !page.jobs.some(other => other.id === job.id));
    this.jobs = [...page.jobs, ...old];
    this.known = new Map(this.jobs.map(job => [job.id, job]));
    this.cursor ??= page.next;
    this.shown();
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
