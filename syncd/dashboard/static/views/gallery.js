/** The gallery: pictures of what was uploaded, newest first. */

import { subscribe } from "../app-state.js";
import { currentHrefWith, replaceRoute } from "../router.js";
import { h, icon, setAttributes, setText } from "../ui/dom.js";
import { baseName, extensionLabel, formatCount, formatDay } from "../ui/format.js";
import { bySeverity, remoteStateText, stateIcon } from "../ui/remote-states.js";
import { createFolderFilter, createRemoteFilter, createSearchField } from "../ui/filters.js";
import { thumbnail } from "../ui/thumbnail.js";
import { PageLoader } from "../ui/page-loader.js";
import { VirtualList } from "../ui/virtual-list.js";

const PAGE = 100;
const LEAST = { phone: 104, desk: 168 };

export function galleryView(params) {
  return new Gallery(params);
}

class Gallery {
  constructor(params) {
    this.note = h("p", { class: "count", role: "status" });
    this.day = h("p", { class: "gallery-day", "aria-hidden": "true" });
    this.fresh = h("button", { class: "fresh", hidden: true, onclick: () => this.load() });
    this.empty = h("div", { class: "nothing", hidden: true });
    const choose = choices => replaceRoute(currentHrefWith(choices));
    this.search = createSearchField("Search names", text => choose({ search: text }));
    this.folder = createFolderFilter(path => choose({ folder: path }));
    this.remote = createRemoteFilter(name => choose({ remote: name }));
    this.list = new VirtualList({
      label: "Uploaded pictures",
      key: entry => entry.path,
      layout: width => {
        const columns = Math.max(2, Math.floor(width / (width < 700 ? LEAST.phone : LEAST.desk)));
        return { columns, height: Math.floor(width / columns) };
      },
      render: entry => this.tile(entry),
      update: (tile, entry) => this.follow(tile, entry),
      end: () => this.pages.more(),
    });
    this.pages = new PageLoader(this.list, { take: page => this.take(page), fail: error => setText(this.note, error.message) });
    this.list.element.addEventListener("keydown", event => this.walk(event));
    const onscroll = () => this.tellDay();
    addEventListener("scroll", onscroll, { passive: true });
    this.offs = [
      subscribe("job", job => this.happened(job)),
      subscribe("connection", connection => connection === "open" && !this.pages.loaded && this.load()),
      () => removeEventListener("scroll", onscroll),
    ];
    this.element = h(
      "div",
      { class: "gallery" },
      h(
        "div",
        { class: "view-head" },
        h("h1", {}, "Gallery"),
        this.note,
        h("div", { class: "filters" }, this.search, this.folder.element, this.remote.element),
      ),
      this.fresh,
      this.day,
      this.list.element,
      this.empty,
    );
    this.params(params);
  }

  leave() {
    this.list.leave();
    this.folder.leave();
    this.remote.leave();
    this.offs.forEach(off => off());
    this.pages.leave();
  }

  params(params) {
    const chosen = ["search", "folder", "remote"].map(name => params.get(name) ?? "");
    if (String(chosen) === String(this.chosen)) return;
    this.chosen = chosen;
    const [search, folder, remote] = chosen;
    this.query = { state: "done", group: "file", limit: PAGE, search, folder: this.folder.uri(folder), remote };
    if (this.search.querySelector("input").value !== search) this.search.querySelector("input").value = search;
    this.folder.value = folder;
    this.remote.value = remote;
    this.load();
  }

  async load() {
    this.entries = new Map();
    this.fresh.hidden = true;
    this.news = 0;
    await this.pages.begin(this.query);
  }

  take({ jobs, siblings }) {
    for (const job of [...jobs, ...siblings]) this.add(job);
    this.shown();
  }

  /** A file on two servers is one tile. */
  add(job) {
    if (!this.entries.has(job.path)) this.entries.set(job.path, { ...job, servers: new Map() });
    this.entries.get(job.path).servers.set(job.remote, job);
  }

  shown() {
    const items = [...this.entries.values()];
    setText(this.note, items.length ? `${formatCount(items.length)}${this.pages.next ? " and more" : ""}` : "");
    this.empty.hidden = items.length > 0;
    if (!items.length) {
      const filtered = this.chosen.some(Boolean);
      this.empty.replaceChildren(
        icon("gallery"),
        h("h2", {}, filtered ? "No matching pictures" : "No pictures yet"),
        h(
          "p",
          {},
          filtered ? "Try another name, folder or server." : "Drag some onto this page: they are uploaded and then shown here.",
        ),
      );
    }
    this.list.show(items);
    this.tellDay();
  }

  tile(entry) {
    return h(
      "div",
      { role: "listitem" },
      h(
        "a",
        { class: "tile", href: currentHrefWith({ job: entry.id }) },
        thumbnail(entry),
        h("span", { class: "tile-marker", hidden: true }),
        h("span", { class: "tile-name" }, baseName(entry.path)),
      ),
    );
  }

  /** Mark a tile whose file is not on all of its servers. */
  follow(tile, entry) {
    const missing = bySeverity([...entry.servers.values()].filter(job => job.state !== "done"));
    const words = missing.map(remoteStateText).join(", ");
    const label = [baseName(entry.path), extensionLabel(entry.path), ...(words ? [words] : [])].join(", ");
    const link = tile.querySelector(".tile");
    if (link.ariaLabel === label) return;
    setAttributes(link, { "aria-label": label });
    const marker = tile.querySelector(".tile-marker");
    marker.hidden = !missing.length;
    marker.className = `tile-marker state ${missing[0]?.state ?? ""}`;
    marker.title = words;
    marker.replaceChildren(...missing.slice(0, 1).map(job => stateIcon(job.state)));
  }

  /** The day of the first row in view. */
  tellDay() {
    const { list } = this;
    const [top] = list.view();
    const first = list.items[Math.max(0, Math.floor(top / (list.height || 1))) * (list.columns || 1)];
    setText(this.day, first ? formatDay(first.updated_at) : "");
  }

  happened(job) {
    if (!this.pages.loaded) return;
    const known = this.entries.get(job.path);
    known?.servers.set(job.remote, job);
    if (known || job.state !== "done") {
      this.list.schedule();
      return;
    }
    if (this.chosen.some(Boolean) || scrollY > 200) {
      this.news = (this.news ?? 0) + 1;
      this.fresh.hidden = false;
      setText(this.fresh, `Show ${formatCount(this.news)} new`);
      return;
    }
    const entries = this.entries;
    this.entries = new Map();
    this.add(job);
    for (const [path, entry] of entries) this.entries.set(path, entry);
    this.shown();
  }

  walk(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.list.columns, ArrowDown: this.list.columns };
    if (!(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.list.focus(this.list.indexOf(event.target) + steps[event.key]);
  }

  /** The pictures before and after a job, for walking through them in the opened picture. */
  around(id) {
    const items = this.list.items;
    const at = items.findIndex(entry => String(entry.id) === String(id));
    return at < 0 ? [null, null] : [items[at - 1] ?? null, items[at + 1] ?? null];
  }
}
