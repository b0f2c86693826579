/** The base class of the Files view and the Gallery: a list of files, loaded page by page, with filters in the URL. */

import { subscribe } from "../app-state.js";
import { currentHrefWith, replaceRoute } from "../router.js";
import { h, setText } from "../ui/dom.js";
import { createFolderFilter, createRemoteFilter, createSearchField, folderUri } from "../ui/filters.js";
import { PageLoader } from "../ui/page-loader.js";

const JOBS_PER_PAGE = 100;

export const setFilter = changes => replaceRoute(currentHrefWith(changes));

export class JobListView {
  /**
   * Args: `filterNames`, the URL parameters that select jobs; `fixedQuery`, further parameters of the API's job list.
   *
   * A subclass defines `createList()`, which returns the VirtualList; `load()`, which starts `loader` with `query`;
   * `addPage(page)`, which shows a page of jobs; and `onJobEvent(event)`. Its constructor sets `element`, then calls
   * `setParams(params)`.
   */
  constructor({ filterNames, fixedQuery = {} }) {
    this.filterNames = filterNames;
    this.fixedQuery = fixedQuery;
    this.countText = h("p", { class: "item-count", role: "status" });
    this.newItemsButton = h("button", { class: "new-items-button", hidden: true, onclick: () => this.load() });
    this.empty = h("div", { class: "empty-view", hidden: true });
    this.search = createSearchField("Search names", search => setFilter({ search }));
    this.folderFilter = createFolderFilter(folder => setFilter({ folder }));
    this.remoteFilter = createRemoteFilter(remote => setFilter({ remote }));
    this.list = this.createList();
    this.loader = new PageLoader(this.list, {
      onPage: page => this.addPage(page),
      onError: error => setText(this.countText, error.message),
    });
    this.unsubscribers = [
      subscribe("job", event => this.onJobEvent(event)),
      subscribe("connection", connection => connection === "open" && !this.loader.loaded && this.load()),
    ];
  }

  /** Create the head of the view: title, count and filters. */
  createHead(title, { tabs = null, order = null } = {}) {
    return h(
      "div",
      { class: "view-head" },
      h("h1", {}, title),
      this.countText,
      tabs,
      h("div", { class: "filters" }, this.search, this.folderFilter.element, this.remoteFilter.element, order),
    );
  }

  destroy() {
    this.list.destroy();
    this.folderFilter.destroy();
    this.remoteFilter.destroy();
    this.unsubscribers.forEach(unsubscribe => unsubscribe());
    this.loader.destroy();
  }

  /** Show the filters of the URL parameters, and load the list again if they have changed. */
  setParams(params) {
    const filters = Object.fromEntries(this.filterNames.map(name => [name, params.get(name) ?? ""]));
    if (JSON.stringify(filters) === JSON.stringify(this.filters)) return;
    this.filters = filters;
    const folder = folderUri(filters.folder);
    this.query = { ...filters, ...this.fixedQuery, group: "file", limit: JOBS_PER_PAGE, folder };
    this.showFilters(filters);
    this.load();
  }

  showFilters({ search, folder, remote }) {
    const input = this.search.querySelector("input");
    if (input.value.trim() !== search) input.value = search;
    this.folderFilter.select(folder);
    this.remoteFilter.select(remote);
  }
}
