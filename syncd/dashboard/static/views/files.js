/** The Files view: all files with their state on each remote, with filters, and actions to retry or cancel uploads. */

import { api } from "../api.js";
import { appState, subscribe } from "../app-state.js";
import { createFileRow, updateFileRow, updateRowProgress } from "../files/file-row.js";
import { JobsByFile } from "../files/jobs-by-file.js";
import { Selection } from "../files/selection.js";
import { isPending, pendingCount } from "../status-text.js";
import { h, icon, setText } from "../ui/dom.js";
import { formatCount, pluralize } from "../ui/format.js";
import { VirtualList } from "../ui/virtual-list.js";
import { JobListView, setFilter } from "./job-list-view.js";

const NARROW_WIDTH_PX = 640; // below it, a row has two lines
const ROW_HEIGHT_PX = { narrow: 96, wide: 64 };
const REFRESH_INTERVAL_MS = 1000;
const TOP_OF_PAGE_PX = 100; // scrolled less than this, the list refreshes automatically
const DEFAULT_ORDER = "latest";
const FILTERS = ["state", "search", "folder", "remote", "sort"];

const STATE_TABS = {
  "": { title: "All", empty: "No files yet" },
  pending: { title: "Pending", empty: "No files are pending" },
  queued: { title: "Queued", empty: "No files are queued" },
  uploading: { title: "Uploading", empty: "No files are being uploaded" },
  waiting: { title: "Waiting", empty: "No files are waiting for another attempt" },
  failed: { title: "Failed", empty: "No failed uploads" },
  done: { title: "Done", empty: "Nothing has been uploaded yet" },
  skipped: { title: "Skipped", empty: "No files were skipped" },
};
const ORDERS = {
  latest: "Newest first",
  oldest: "Oldest first",
  name: "By name",
  largest: "Largest first",
  smallest: "Smallest first",
};

/** Return whether a job is in the state of a filter, which is "" for any state. */
const hasState = (job, state) => !state || job.state === state || (state === "pending" && isPending(job));

export const filesView = params => new FilesView(params);

class FilesView extends JobListView {
  constructor(params) {
    super({ filterNames: FILTERS });
    setText(this.newItemsButton, "Show changes");
    this.createFilters();
    this.unsubscribers.push(subscribe("progress", () => this.updateProgress()));
    const tabs = h("div", { class: "button-group tabs", role: "group", "aria-label": "State" }, this.tabs);
    this.element = h(
      "div",
      { class: "files" },
      this.createHead("Files", { tabs, order: this.order }),
      this.selection.element,
      this.newItemsButton,
      this.list.element,
      this.empty,
    );
    this.setParams(params);
    this.updateProgress();
  }

  createFilters() {
    this.tabs = Object.entries(STATE_TABS).map(([state, { title }]) =>
      h(
        "button",
        { "data-state": state, "aria-pressed": "false", onclick: () => setFilter({ state }) },
        h("span", {}, title),
        h("span", { class: "tab-count" }),
      ),
    );
    this.order = h(
      "select",
      { "aria-label": "Sort order", onchange: () => setFilter({ sort: this.order.value }) },
      Object.entries(ORDERS).map(([value, label]) => h("option", { value }, label)),
    );
  }

  createList() {
    this.selection = new Selection(this);
    return new VirtualList({
      label: "Files",
      keyOf: file => file.key,
      layout: width => ({ columns: 1, height: ROW_HEIGHT_PX[width < NARROW_WIDTH_PX ? "narrow" : "wide"] }),
      createItem: file => createFileRow(file, this.selection),
      updateItem: (row, file) => updateFileRow(row, file, this.selection.has(file)),
      onEnd: () => this.loader.loadNext(),
    });
  }

  onAttached() {
    this.scrollToTab(this.tabs.find(tab => tab.ariaPressed === "true"));
  }

  scrollToTab(tab) {
    tab?.scrollIntoView({ inline: "center", block: "nearest" });
  }

  showFilters(filters) {
    super.showFilters(filters);
    this.order.value = filters.sort || DEFAULT_ORDER;
    for (const tab of this.tabs) {
      const selected = tab.dataset.state === filters.state;
      tab.setAttribute("aria-pressed", String(selected));
      if (selected) this.scrollToTab(tab);
    }
  }

  async load() {
    this.jobsByFile = new JobsByFile();
    this.files = [];
    this.newItemsButton.hidden = true;
    this.selection.select([]);
    await this.loader.start(this.query);
  }

  /** Add a page of jobs. Its siblings are the other jobs of the same files. */
  addPage({ jobs, siblings }) {
    this.jobsByFile.add(jobs);
    this.jobsByFile.add(siblings);
    this.showFiles();
  }

  showFiles() {
    this.files = this.jobsByFile.files;
    const { length } = this.files;
    const more = this.loader.nextCursor ? ", more below" : "";
    const uploads = this.files.flatMap(file => file.jobs).filter(job => this.selectsJob(job)).length;
    const ofUploads = uploads === length ? "" : ` (${pluralize(uploads, "upload")})`;
    setText(this.countText, length ? `${pluralize(length, "file")} shown${ofUploads}${more}` : "");
    this.empty.hidden = length > 0;
    if (!length) {
      const { search, folder, remote, state } = this.filters;
      const text = search || folder || remote ? "No matching files" : STATE_TABS[state]?.empty;
      this.empty.replaceChildren(icon(state === "failed" ? "check" : "files"), h("h2", {}, text));
    }
    this.selection.update();
    this.list.setItems(this.files);
  }

  /** Update the tabs' counts, and the progress bars of the rows in the document. */
  updateProgress() {
    if (!appState.progress) return;
    const { jobs, flights } = appState.progress;
    const total = Object.values(jobs).reduce((sum, count) => sum + count, 0);
    for (const tab of this.tabs) {
      const { state } = tab.dataset;
      const count = state === "pending" ? pendingCount(jobs) : state ? jobs[state] : total;
      setText(tab.querySelector(".tab-count"), formatCount(count));
      tab.title = `${pluralize(count, "upload")}. Each file counts once per remote.`;
    }
    const { byJob } = this.jobsByFile;
    const flightsByKey = Map.groupBy(
      flights.filter(flight => byJob.has(flight.id)),
      flight => byJob.get(flight.id).key,
    );
    for (const [key, own] of flightsByKey) {
      if (this.list.elements.has(key)) updateRowProgress(this.list.elements.get(key), own);
    }
    this.selection.update();
  }

  redraw() {
    this.list?.scheduleRender();
  }

  /**
   * Update the file of a job event. If the list does not have the file, refresh the list, or offer to refresh it when
   * that could move rows that the user is working with.
   */
  onJobEvent(event) {
    if (this.jobsByFile?.applyEvent(event)) {
      this.redraw();
    } else if (this.loader.loaded && hasState(event, this.filters.state)) {
      const newestFirst = (this.filters.sort || DEFAULT_ORDER) === "latest";
      if (scrollY < TOP_OF_PAGE_PX && !this.selection.size && newestFirst) this.scheduleRefresh();
      else this.newItemsButton.hidden = false;
    }
  }

  /** Return whether the filters select this job of a listed file: the file's other jobs are listed too. */
  selectsJob(job) {
    return hasState(job, this.filters.state) && (!this.filters.remote || job.remote === this.filters.remote);
  }

  scheduleRefresh() {
    this.refreshTimer ??= setTimeout(() => {
      this.refreshTimer = null;
      if (this.element.isConnected && !this.selection.size) this.refresh();
    }, REFRESH_INTERVAL_MS);
  }

  /** Load the first page again, and keep the files of later pages behind it. */
  async refresh() {
    const page = await api.jobs(this.query, this.loader.signal).catch(() => null);
    if (!page) return;
    const previousFiles = this.files;
    this.jobsByFile = new JobsByFile();
    this.jobsByFile.add(page.jobs);
    this.jobsByFile.add(page.siblings);
    for (const file of previousFiles) {
      const jobs = file.jobs.filter(job => !this.jobsByFile.byJob.has(job.id));
      if (!this.jobsByFile.byKey.has(file.key)) this.jobsByFile.add(jobs);
    }
    this.loader.nextCursor ??= page.next;
    this.showFiles();
  }

  /** Return a job of the previous and of the next file in the list, or null for each. */
  neighbours(id) {
    const index = this.files.indexOf(this.jobsByFile.byJob.get(Number(id)));
    if (index < 0) return [null, null];
    return [this.files[index - 1]?.jobs[0] ?? null, this.files[index + 1]?.jobs[0] ?? null];
  }
}
