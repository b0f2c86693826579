/** Loads a list of jobs page by page. A new query cancels the previous one and discards its replies. */

import { api } from "../api.js";
import { setAttributes } from "./dom.js";

export class PageLoader {
  /**
   * Args: `list`, the VirtualList that is marked as busy until the first page has arrived; `onPage(page)`, called for
   * each page; `onError(error)`, called if a request fails.
   */
  constructor(list, { onPage, onError }) {
    Object.assign(this, { list, onPage, onError });
    this.loaded = false;
  }

  destroy() {
    this.abortController?.abort();
  }

  /** The signal that aborts requests of the current query. */
  get signal() {
    return this.abortController.signal;
  }

  /** Start a query and load its first page. */
  async start(query) {
    this.abortController?.abort();
    this.abortController = new AbortController();
    this.query = query;
    this.nextCursor = null;
    this.loaded = false;
    scrollTo(0, 0);
    setAttributes(this.list.element, { "aria-busy": "true" }); // it still shows the previous query's results
    await this.loadPage();
  }

  /** Load the next page, unless this was the last one or a request is under way. */
  async loadNext() {
    if (this.nextCursor && !this.loading) await this.loadPage();
  }

  async loadPage() {
    this.loading = true;
    const { signal } = this;
    try {
      const page = await api.jobs({ ...this.query, before: this.nextCursor }, signal);
      if (signal.aborted) return;
      this.nextCursor = page.next;
      this.loaded = true;
      this.setIdle();
      this.onPage(page);
    } catch (error) {
      if (signal.aborted) return;
      this.setIdle();
      this.onError(error);
    }
  }

  setIdle() {
    this.loading = false;
    setAttributes(this.list.element, { "aria-busy": null });
  }
}
