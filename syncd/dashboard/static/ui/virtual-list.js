/**
 * A long list or grid of which only the part in view is in the document: thousands of entries cost as much as fifty.
 *
 * Entries have one height, and stand in as many columns as fit. The scroller is the window or an element.
 */

import { h } from "./dom.js";

const MARGIN = 600; // pixels beyond the view that are kept ready

export class VirtualList {
  /**
   * `render(item, index)` makes an entry's element, `update(element, item, index)` brings one up to date, `key(item)`
   * tells entries apart. `layout(width)` returns {columns, height}: how many stand in a row, and how high a row is in
   * pixels. `end()` is called when the last entries come into view.
   */
  constructor({ render, update, key, layout, end = () => {}, scroller = window, role = "list", label }) {
    Object.assign(this, { render, update, key, layout, end, scroller });
    this.items = [];
    this.shown = new Map();
    this.element = h("div", { class: "virtual", role, "aria-label": label });
    this.refresh = this.refresh.bind(this);
    this.watch = new ResizeObserver(() => this.schedule());
    this.watch.observe(this.element);
    this.onscroll = () => this.schedule();
    scroller.addEventListener("scroll", this.onscroll, { passive: true });
    addEventListener("resize", this.onscroll);
  }

  leave() {
    this.watch.disconnect();
    this.scroller.removeEventListener("scroll", this.onscroll);
    removeEventListener("resize", this.onscroll);
    cancelAnimationFrame(this.frame);
  }

  /** Show these items from now on. */
  show(items) {
    this.items = items;
    this.schedule();
  }

  schedule() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(this.refresh);
  }

  /** The part of the list that is in view, in pixels from its top. */
  view() {
    if (this.scroller === window) {
      const top = -this.element.getBoundingClientRect().top;
      return [top, top + innerHeight];
    }
    const top = this.scroller.scrollTop - this.element.offsetTop;
    return [top, top + this.scroller.clientHeight];
  }

  refresh() {
    const width = this.element.clientWidth;
    if (!width) return;
    const { columns, height } = this.layout(width);
    const rows = Math.ceil(this.items.length / columns);
    this.element.style.height = `${rows * height}px`;
    const [top, bottom] = this.view();
    const first = Math.max(0, Math.floor((top - MARGIN) / height)) * columns;
    const last = Math.min(this.items.length, Math.max(0, Math.ceil((bottom + MARGIN) / height)) * columns);
    this.place(first, last, columns, height, width / columns);
    Object.assign(this, { columns, height, first, last });
    if (last === this.items.length) this.end();
  }

  place(first, last, columns, height, width) {
    const wanted = new Map();
    for (let index = first; index < last; index += 1) wanted.set(this.key(this.items[index]), index);
    const focused = document.activeElement?.closest?.("[data-key]")?.dataset.key;
    for (const [key, element] of this.shown) {
      if (!wanted.has(key) && String(key) !== focused) {
        element.remove();
        this.shown.delete(key);
      }
    }
    let before = null;
    for (const [key, index] of wanted) {
      let element = this.shown.get(key);
      if (!element) {
        element = this.render(this.items[index], index);
        element.dataset.key = key;
        element.classList.add("virtual-item");
        this.shown.set(key, element);
      }
      this.update(element, this.items[index], index);
      // In the document in the order of the list, so that Tab and a screen reader follow it; moved only if need be.
      const expected = before ? before.nextElementSibling : this.element.firstElementChild;
      if (element !== expected && !(element.parentNode && element.contains(document.activeElement))) {
        this.element.insertBefore(element, expected);
      }
      before = element;
      element.style.width = `${width}px`;
      element.style.height = `${height}px`;
      element.style.transform = `translate(${(index % columns) * width}px, ${Math.floor(index / columns) * height}px)`;
    }
  }

  /** Bring an entry into view and focus it. */
  focus(index) {
    if (index < 0 || index >= this.items.length) return;
    const at = Math.floor(index / this.columns) * this.height;
    const [top, bottom] = this.view();
    const by = at < top + 80 ? at - top - 80 : at + this.height > bottom - 80 ? at + this.height - bottom + 80 : 0;
    if (by) this.scroller.scrollBy(0, by);
    this.refresh();
    const element = this.shown.get(this.key(this.items[index]));
    (element?.matches("button, a") ? element : element?.querySelector("button, a"))?.focus({ preventScroll: true });
  }

  /** Which entry an element belongs to, or -1. */
  indexOf(element) {
    const key = element?.closest?.("[data-key]")?.dataset.key;
    return key === undefined ? -1 : this.items.findIndex(item => String(this.key(item)) === key);
  }
}
