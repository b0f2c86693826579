/** PageLoader of jobs, one after the other, for one question at a time: what comes for an earlier one is thrown away. */

import { api } from "../api.js";
import { setAttributes } from "./dom.js";

export class PageLoader {
  /** `list` is shown as busy until the first page is there. `take(page)` gets each page, `fail(error)` what went wrong. */
  constructor(list, { take, fail }) {
    Object.assign(this, { list, take, fail });
    this.loaded = false;
  }

  leave() {
    this.stop?.abort();
  }

  /** Ask a question anew, from its first page on. */
  async begin(query) {
    this.stop?.abort();
    this.stop = new AbortController();
    this.query = query;
    this.next = null;
    this.loaded = false;
    scrollTo(0, 0);
    setAttributes(this.list.element, { "aria-busy": "true" }); // what stands there answers an earlier question
    await this.ask();
  }

  /** Ask for the next page, if there is one and nobody has. */
  async more() {
    if (this.next && !this.asking) await this.ask();
  }

  async ask() {
    this.asking = true;
    const { signal } = this.stop;
    try {
      const page = await api.jobs({ ...this.query, before: this.next }, signal);
      if (signal.aborted) return;
      this.next = page.next;
      this.loaded = true;
      this.ended();
      this.take(page);
      if (page.partial) this.more(); // a search that takes long goes on
    } catch (error) {
      if (signal.aborted) return;
      this.ended();
      this.fail(error);
    }
  }

  ended() {
    this.asking = false;
    setAttributes(this.list.element, { "aria-busy": null });
  }
}
