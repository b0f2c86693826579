/** The Gallery: thumbnails of uploaded files, newest first. */

import { currentHrefWith } from "../router.js";
import { h, icon, setAttributes, setText } from "../ui/dom.js";
import { baseName, extensionLabel, formatCount, formatDay, pluralize } from "../ui/format.js";
import { bySeverity, remoteStateText, stateIcon } from "../ui/remote-states.js";
import { thumbnail } from "../ui/thumbnail.js";
import { VirtualList } from "../ui/virtual-list.js";
import { JobListView } from "./job-list-view.js";

const NARROW_WIDTH_PX = 700;
const MIN_TILE_WIDTH_PX = { narrow: 104, wide: 168 };
const MIN_COLUMNS = 2;
const TOP_OF_PAGE_PX = 200; // scrolled less than this, new images are inserted immediately
const FILTERS = ["search", "folder", "remote"];

export const galleryView = params => new GalleryView(params);

class GalleryView extends JobListView {
  constructor(params) {
    super({ filterNames: FILTERS, fixedQuery: { state: "done" } });
    this.dayLabel = h("p", { class: "gallery-day", "aria-hidden": "true" });
    const onScroll = () => this.updateDayLabel();
    addEventListener("scroll", onScroll, { passive: true });
    this.unsubscribers.push(() => removeEventListener("scroll", onScroll));
    this.element = h(
      "div",
      { class: "gallery" },
      this.createHead("Gallery"),
      this.newItemsButton,
      this.dayLabel,
      this.list.element,
      this.empty,
    );
    this.setParams(params);
  }

  createList() {
    const list = new VirtualList({
      label: "Uploaded images",
      keyOf: entry => entry.path,
      layout: width => {
        const minWidth = MIN_TILE_WIDTH_PX[width < NARROW_WIDTH_PX ? "narrow" : "wide"];
        const columns = Math.max(MIN_COLUMNS, Math.floor(width / minWidth));
        return { columns, height: Math.floor(width / columns) };
      },
      createItem: createTile,
      updateItem: updateTile,
      onEnd: () => this.loader.loadNext(),
    });
    list.element.addEventListener("keydown", event => this.onKeyDown(event));
    return list;
  }

  get filtered() {
    return Object.values(this.filters).some(Boolean);
  }

  async load() {
    this.entries = new Map();
    this.newItemsButton.hidden = true;
    this.newItems = 0;
    await this.loader.start(this.query);
  }

  /** Add a page of jobs. Its siblings are the other jobs of the same files. */
  addPage({ jobs, siblings }) {
    for (const job of [...jobs, ...siblings]) this.addJob(job);
    this.showEntries();
  }

  /** Add a job. All jobs of a file share one entry. */
  addJob(job) {
    if (!this.entries.has(job.path)) this.entries.set(job.path, { ...job, jobsByRemote: new Map() });
    this.entries.get(job.path).jobsByRemote.set(job.remote, job);
  }

  showEntries() {
    const entries = [...this.entries.values()];
    const more = this.loader.nextCursor ? " and more" : "";
    setText(this.countText, entries.length ? `${pluralize(entries.length, "file")}${more}` : "");
    this.empty.hidden = entries.length > 0;
    if (!entries.length) this.showEmptyText();
    this.list.setItems(entries);
    this.updateDayLabel();
  }

  showEmptyText() {
    const [title, text] = this.filtered
      ? ["No matching images", "Try another name, folder or remote."]
      : ["No images yet", "Drag images onto this page to upload them."];
    this.empty.replaceChildren(icon("gallery"), h("h2", {}, title), h("p", {}, text));
  }

  /** Show the day of the first visible row. */
  updateDayLabel() {
    const { list } = this;
    const [top] = list.visibleRange();
    const row = Math.max(0, Math.floor(top / (list.height || 1)));
    const first = list.items[row * (list.columns || 1)];
    setText(this.dayLabel, first ? formatDay(first.updated_at) : "");
  }

  onJobEvent(job) {
    if (!this.loader.loaded) return;
    const known = this.entries.get(job.path);
    known?.jobsByRemote.set(job.remote, job);
    if (known || job.state !== "done") {
      this.list.scheduleRender();
    } else if (this.filtered || scrollY > TOP_OF_PAGE_PX) {
      this.newItems += 1;
      this.newItemsButton.hidden = false;
      setText(this.newItemsButton, `Show ${formatCount(this.newItems)} new`);
    } else {
      this.prependJob(job);
    }
  }

  prependJob(job) {
    const entries = this.entries;
    this.entries = new Map();
    this.addJob(job);
    for (const [path, entry] of entries) this.entries.set(path, entry);
    this.showEntries();
  }

  /** Move the focus between tiles with the arrow keys. */
  onKeyDown(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.list.columns, ArrowDown: this.list.columns };
    if (!(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.list.focusItem(this.list.indexOf(event.target) + steps[event.key]);
  }

  /** Return the previous and the next job in the gallery, or null for each. */
  neighbours(id) {
    const { items } = this.list;
    const index = items.findIndex(entry => String(entry.id) === String(id));
    return index < 0 ? [null, null] : [items[index - 1] ?? null, items[index + 1] ?? null];
  }
}

const createTile = entry =>
  h(
    "div",
    { role: "listitem" },
    h(
      "a",
      { class: "tile", href: currentHrefWith({ job: entry.id }) },
      thumbnail(entry),
      h("span", { class: "tile-state", hidden: true }),
      h("span", { class: "tile-name" }, baseName(entry.path)),
    ),
  );

/** Mark a tile whose file is not uploaded to all of its remotes. */
function updateTile(tile, entry) {
  const unfinished = bySeverity([...entry.jobsByRemote.values()].filter(job => job.state !== "done"));
  const states = unfinished.map(remoteStateText).join(", ");
  const label = [baseName(entry.path), extensionLabel(entry.path), ...(states ? [states] : [])].join(", ");
  const link = tile.querySelector(".tile");
  if (link.ariaLabel === label) return;
  setAttributes(link, { "aria-label": label });
  const state = tile.querySelector(".tile-state");
  state.hidden = !unfinished.length;
  state.className = `tile-state state-badge ${unfinished[0]?.state ?? ""}`;
  state.title = states;
  state.replaceChildren(...unfinished.slice(0, 1).map(job => stateIcon(job.state)));
}
