/** Files: every job, narrowed down by state, folder, server and name; one, many or all tried again or given up. */

import { api } from "../api.js";
import { makeRow, followRow } from "../files/row.js";
import { Selection } from "../files/selection.js";
import { live, on } from "../live.js";
import { changed, replace } from "../route.js";
import { folderChoice, remoteChoice, searchField } from "../ui/choices.js";
import { h, icon, say } from "../ui/dom.js";
import { count } from "../ui/format.js";
import { Pages } from "../ui/pages.js";
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
    this.selection = new Selection(this);
    this.list = new VirtualList({
      label: "Files",
      key: job => job.id,
      layout: width => ({ columns: 1, height: width < 640 ? 96 : 64 }),
      render: job => makeRow(job, this.selection),
      update: (row, job) => followRow(row, job, this.selection.has(job)),
      end: () => this.pages.more(),
    });
    this.pages = new Pages(this.list, { take: jobs => this.take(jobs), fail: error => say(this.note, error.message) });
    this.offs = [
      on("job", job => this.happened(job)),
      on("progress", () => this.progress()),
      on("connection", connection => connection === "open" && !this.pages.loaded && this.load()),
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
      this.selection.element,
      this.fresh,
      this.list.element,
      this.empty,
    );
    this.params(params);
    this.progress();
  }

  entered() {
    this.tabs.find(tab => tab.ariaPressed === "true")?.scrollIntoView({ inline: "center", block: "nearest" });
  }

  leave() {
    this.list.leave();
    this.folder.leave();
    this.remote.leave();
    this.offs.forEach(off => off());
    this.pages.leave();
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
    for (const tab of this.tabs) {
      tab.setAttribute("aria-pressed", String(tab.dataset.state === chosen.state));
      if (tab.dataset.state === chosen.state) tab.scrollIntoView({ inline: "center", block: "nearest" });
    }
    this.load();
  }

  async load() {
    this.jobs = [];
    this.known = new Map();
    this.fresh.hidden = true;
    this.selection.choose([]);
    await this.pages.begin(this.query);
  }

  take(jobs) {
    for (const job of jobs) {
      if (!this.known.has(job.id)) this.jobs.push(job);
      this.known.set(job.id, job);
    }
    this.jobs = this.jobs.map(job => this.known.get(job.id));
    this.shown();
  }

  shown() {
    say(this.note, this.jobs.length ? `${count(this.jobs.length)} shown${this.pages.next ? ", more below" : ""}` : "");
    this.empty.hidden = this.jobs.length > 0;
    if (!this.jobs.length)
      this.empty.replaceChildren(icon(this.chosen.state === "failed" ? "check" : "queue"), h("h2", {}, this.nothing()));
    this.selection.follow();
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
    this.selection.follow();
  }

  redraw() {
    this.list?.schedule();
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
    } else if (this.pages.loaded && (!this.chosen.state || this.chosen.state === job.state)) {
      if (scrollY < 100 && !this.selection.size && (this.chosen.sort || "latest") === "latest") this.reload();
      else this.fresh.hidden = false;
    }
  }

  /** Load the list anew, at most once a second. */
  reload() {
    this.due ??= setTimeout(() => {
      this.due = null;
      if (this.element.isConnected && !this.selection.size) this.refresh();
    }, 1000);
  }

  async refresh() {
    const page = await api.jobs(this.query, this.pages.stop.signal).catch(() => null);
    if (!page) return;
    const old = this.jobs.filter(job => !page.jobs.some(other => other.id === job.id));
    this.jobs = [...page.jobs, ...old];
    this.known = new Map(this.jobs.map(job => [job.id, job]));
    this.pages.next ??= page.next;
    this.shown();
  }
}
