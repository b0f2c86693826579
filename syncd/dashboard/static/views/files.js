/** Files: each with its state on every server, filtered by state, folder, server and name; to be retried or cancelled. */

import { api } from "../api.js";
import { JobsByFile } from "../files/jobs-by-file.js";
import { createFileRow, updateFileRow, updateRowProgress } from "../files/file-row.js";
import { Selection } from "../files/selection.js";
import { appState, subscribe } from "../app-state.js";
import { currentHrefWith, replaceRoute } from "../router.js";
import { createFolderFilter, createRemoteFilter, createSearchField } from "../ui/filters.js";
import { h, icon, setText } from "../ui/dom.js";
import { formatCount, pluralize } from "../ui/format.js";
import { PageLoader } from "../ui/page-loader.js";
import { VirtualList } from "../ui/virtual-list.js";

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
  latest: "Newest first",
  oldest: "Oldest first",
  name: "By name",
  largest: "Largest first",
  smallest: "Smallest first",
};
const NOTHING = {
  queued: "No files are queued",
  uploading: "No files are being uploaded",
  waiting: "No files are waiting",
  failed: "No failed uploads",
  done: "Nothing has been uploaded yet",
  skipped: "No files were skipped",
};
const PARTS = ["state", "search", "folder", "remote", "sort"];

export const filesView = params => new Files(params);

class Files {
  constructor(params) {
    this.note = h("p", { class: "count", role: "status" });
    this.fresh = h("button", { class: "fresh", hidden: true, onclick: () => this.load() }, "Show what changed");
    this.empty = h("div", { class: "nothing", hidden: true });
    const choose = choices => replaceRoute(currentHrefWith(choices));
    this.tabs = STATES.map(state =>
      h(
        "button",
        { "data-state": state, "aria-pressed": "false", onclick: () => choose({ state }) },
        h("span", {}, TITLES[state]),
        h("span", { class: "tab-count" }),
      ),
    );
    this.search = createSearchField("Search names", search => choose({ search }));
    this.folder = createFolderFilter(folder => choose({ folder }));
    this.remote = createRemoteFilter(remote => choose({ remote }));
    this.sort = h(
      "select",
      { "aria-label": "Order", onchange: () => choose({ sort: this.sort.value }) },
      Object.entries(SORTS).map(([value, words]) => h("option", { value }, words)),
    );
    this.selection = new Selection(this);
    this.list = new VirtualList({
      label: "Files",
      key: file => file.key,
      layout: width => ({ columns: 1, height: width < 640 ? 96 : 64 }),
      render: file => createFileRow(file, this.selection),
      update: (row, file) => updateFileRow(row, file, this.selection.has(file)),
      end: () => this.pages.more(),
    });
    this.pages = new PageLoader(this.list, { take: page => this.take(page), fail: error => setText(this.note, error.message) });
    this.offs = [
      subscribe("job", job => this.happened(job)),
      subscribe("progress", () => this.progress()),
      subscribe("connection", connection => connection === "open" && !this.pages.loaded && this.load()),
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
    this.query = { ...chosen, group: "file", limit: PAGE, folder: this.folder.uri(chosen.folder) };
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
    this.known = new JobsByFile();
    this.files = [];
    this.fresh.hidden = true;
    this.selection.choose([]);
    await this.pages.begin(this.query);
  }

  take({ jobs, siblings }) {
    this.known.add(jobs);
    this.known.add(siblings);
    this.shown();
  }

  shown() {
    this.files = this.known.files;
    const { length } = this.files;
    setText(this.note, length ? `${pluralize(length, "file")} shown${this.pages.next ? ", more below" : ""}` : "");
    this.empty.hidden = length > 0;
    if (!length)
      this.empty.replaceChildren(icon(this.chosen.state === "failed" ? "check" : "queue"), h("h2", {}, this.nothing()));
    this.selection.follow();
    this.list.show(this.files);
  }

  nothing() {
    if (this.chosen.search || this.chosen.folder || this.chosen.remote) return "No matching files";
    return this.chosen.state ? NOTHING[this.chosen.state] : "No files yet";
  }

  progress() {
    if (!appState.progress) return;
    const { jobs, flights } = appState.progress;
    const all = Object.values(jobs).reduce((sum, number) => sum + number, 0);
    for (const tab of this.tabs) {
      const number = tab.dataset.state ? jobs[tab.dataset.state] : all;
      setText(tab.querySelector(".tab-count"), formatCount(number));
      tab.title = `${pluralize(number, "upload")}: each file counts once for every server`;
    }
    const byFile = Map.groupBy(
      flights.filter(flight => this.known.byJob.has(flight.id)),
      flight => this.known.byJob.get(flight.id).key,
    );
    for (const [key, own] of byFile) if (this.list.shown.has(key)) updateRowProgress(this.list.shown.get(key), own);
    this.selection.follow();
  }

  redraw() {
    this.list?.schedule();
  }

  /** Bring a file up to date where it stands; one that is new waits until a person asks, or shows at the top. */
  happened(job) {
    if (this.known?.follow(job)) {
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
    const before = this.files;
    this.known = new JobsByFile();
    this.known.add(page.jobs);
    this.known.add(page.siblings);
    for (const file of before) {
      const jobs = file.jobs.filter(job => !this.known.byJob.has(job.id));
      if (!this.known.byKey.has(file.key)) this.known.add(jobs);
    }
    this.pages.next ??= page.next;
    this.shown();
  }

  /** The files before and after a job's, for walking through them in the opened file: a job of each. */
  around(id) {
    const at = this.files.indexOf(this.known.byJob.get(Number(id)));
    return at < 0 ? [null, null] : [this.files[at - 1]?.jobs[0] ?? null, this.files[at + 1]?.jobs[0] ?? null];
  }
}
