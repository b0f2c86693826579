/** The gallery: pictures of what was uploaded, newest first. */

import { live, on } from "../live.js";
import { changed, replace } from "../route.js";
import { h, icon, say } from "../ui/dom.js";
import { base, count, day, kind } from "../ui/format.js";
import { folderChoice, remoteChoice, searchField } from "../ui/choices.js";
import { thumb } from "../ui/thumb.js";
import { Pages } from "../ui/pages.js";
import { VirtualList } from "../ui/virtual.js";

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
    const choose = choices => replace(changed(choices));
    this.search = searchField("Search names", text => choose({ search: text }));
    this.folder = folderChoice(path => choose({ folder: path }));
    this.remote = remoteChoice(name => choose({ remote: name }));
    this.list = new VirtualList({
      label: "Uploaded pictures",
      key: entry => entry.path,
      layout: width => {
        const columns = Math.max(2, Math.floor(width / (width < 700 ? LEAST.phone : LEAST.desk)));
        return { columns, height: Math.floor(width / columns) };
      },
      render: entry => this.tile(entry),
      update: () => {},
      end: () => this.pages.more(),
    });
    this.pages = new Pages(this.list, { take: jobs => this.take(jobs), fail: error => say(this.note, error.message) });
    this.list.element.addEventListener("keydown", event => this.walk(event));
    const onscroll = () => this.tellDay();
    addEventListener("scroll", onscroll, { passive: true });
    this.offs = [
      on("job", job => this.happened(job)),
      on("connection", connection => connection === "open" && !this.pages.loaded && this.load()),
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
    this.query = { state: "done", limit: PAGE, search, folder: this.folder.uri(folder), remote };
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

  take(jobs) {
    for (const job of jobs) this.add(job);
    this.shown();
  }

  /** A file on two servers is one tile. */
  add(job) {
    const entry = this.entries.get(job.path);
    if (!entry) this.entries.set(job.path, { ...job, remotes: [job.remote] });
    else if (!entry.remotes.includes(job.remote)) entry.remotes.push(job.remote);
  }

  shown() {
    const items = [...this.entries.values()];
    say(this.note, items.length ? `${count(items.length)}${this.pages.next ? " and more" : ""}` : "");
    this.empty.hidden = items.length > 0;
    if (!items.length) {
      const filtered = this.chosen.some(Boolean);
      this.empty.replaceChildren(
        icon("gallery"),
        h("h2", {}, filtered ? "Nothing matches" : "No pictures yet"),
        h(
          "p",
          {},
          filtered ? "Try another name, folder or server." : "Drop some onto this page: they go up, and appear here.",
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
        { class: "tile", href: changed({ job: entry.id }), "aria-label": `${base(entry.path)}, ${kind(entry.path)}` },
        thumb(entry),
        h("span", { class: "tile-name" }, base(entry.path)),
      ),
    );
  }

  /** The day of the first row in view. */
  tellDay() {
    const { list } = this;
    const [top] = list.view();
    const first = list.items[Math.max(0, Math.floor(top / (list.height || 1))) * (list.columns || 1)];
    say(this.day, first ? day(first.updated_at) : "");
  }

  happened(job) {
    if (job.state !== "done" || !this.pages.loaded || this.entries.get(job.path)?.remotes.includes(job.remote)) return;
    if (this.chosen.some(Boolean) || scrollY > 200) {
      this.news = (this.news ?? 0) + 1;
      this.fresh.hidden = false;
      say(this.fresh, `${count(this.news)} new – show`);
      return;
    }
    const entries = [...this.entries.values()];
    this.entries = new Map();
    this.add(job);
    for (const entry of entries) if (entry.path !== job.path) this.entries.set(entry.path, entry);
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
