/**
 * A list or grid that keeps only the visible items in the document, so that thousands of items stay fast.
 *
 * All items have the same height, and rows have as many columns as fit. The window or an element scrolls the list.
 */

import { h } from "./dom.js";

const OVERSCAN_PX = 600; // render this much beyond the visible part
const FOCUS_MARGIN_PX = 80;

export class VirtualList {
  /**
   * Args: `createItem(item)` returns an item's element; `updateItem(element, item)` updates it; `keyOf(item)` returns
   * its identity; `layout(width)` returns {columns, height}, with the row height in pixels; `onEnd()` is called when
   * the last item comes into view; `scroller` is the scrolling element or window.
   */
  constructor({ createItem, updateItem, keyOf, layout, onEnd = () => {}, scroller = window, label }) {
    Object.assign(this, { createItem, updateItem, keyOf, layout, onEnd, scroller });
    this.items = [];
    this.elements = new Map(); // by key
    this.element = h("div", { class: "virtual-list", role: "list", "aria-label": label });
    this.render = this.render.bind(this);
    this.scheduleRender = this.scheduleRender.bind(this);
    this.resizeObserver = new ResizeObserver(this.scheduleRender);
    this.resizeObserver.observe(this.element);
    scroller.addEventListener("scroll", this.scheduleRender, { passive: true });
    addEventListener("resize", this.scheduleRender);
  }

  destroy() {
    this.resizeObserver.disconnect();
    this.scroller.removeEventListener("scroll", this.scheduleRender);
    removeEventListener("resize", this.scheduleRender);
    cancelAnimationFrame(this.frame);
  }

  setItems(items) {
    this.items = items;
    this.scheduleRender();
  }

  scheduleRender() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(this.render);
  }

  /** Return the visible part of the list as [top, bottom], in pixels from its start. */
  visibleRange() {
    if (this.scroller === window) {
      const top = -this.element.getBoundingClientRect().top;
      return [top, top + innerHeight];
    }
    const top = this.scroller.scrollTop - this.element.offsetTop;
    return [top, top + this.scroller.clientHeight];
  }

  render() {
    const width = this.element.clientWidth;
    if (!width) return;
    const { columns, height } = this.layout(width);
    const rows = Math.ceil(this.items.length / columns);
    this.element.style.height = `${rows * height}px`;
    const [top, bottom] = this.visibleRange();
    const first = Math.max(0, Math.floor((top - OVERSCAN_PX) / height)) * columns;
    const last = Math.min(this.items.length, Math.max(0, Math.ceil((bottom + OVERSCAN_PX) / height)) * columns);
    Object.assign(this, { columns, height });
    this.renderItems(first, last, width / columns);
    if (last === this.items.length) this.onEnd();
  }

  /** Render the items from index `first` up to, but not including, `last`. */
  renderItems(first, last, width) {
    const indexes = new Map();
    for (let index = first; index < last; index += 1) indexes.set(this.keyOf(this.items[index]), index);
    this.removeAllExcept(indexes);
    let previous = null;
    for (const [key, index] of indexes) {
      const element = this.elements.get(key) ?? this.addElement(key, this.items[index]);
      this.updateItem(element, this.items[index]);
      // Document order must match list order for Tab and screen readers. Moving the focused element would blur it.
      const expected = previous ? previous.nextElementSibling : this.element.firstElementChild;
      if (element !== expected && !(element.parentNode && element.contains(document.activeElement))) {
        this.element.insertBefore(element, expected);
      }
      previous = element;
      const [column, row] = [index % this.columns, Math.floor(index / this.columns)];
      element.style.width = `${width}px`;
      element.style.height = `${this.height}px`;
      element.style.transform = `translate(${column * width}px, ${row * this.height}px)`;
    }
  }

  /** Remove the elements of other keys, except the focused one. */
  removeAllExcept(keys) {
    const focused = document.activeElement?.closest?.("[data-key]")?.dataset.key;
    for (const [key, element] of this.elements) {
      if (!keys.has(key) && String(key) !== focused) {
        element.remove();
        this.elements.delete(key);
      }
    }
  }

  addElement(key, item) {
    const element = this.createItem(item);
    element.dataset.key = key;
    element.classList.add("virtual-item");
    this.elements.set(key, element);
    return element;
  }

  /** Scroll an item into view and focus it. */
  focusItem(index) {
    if (index < 0 || index >= this.items.length) return;
    const itemTop = Math.floor(index / this.columns) * this.height;
    const itemBottom = itemTop + this.height;
    const [top, bottom] = this.visibleRange();
    const above = itemTop - FOCUS_MARGIN_PX - top;
    const below = itemBottom + FOCUS_MARGIN_PX - bottom;
    if (above < 0) this.scroller.scrollBy(0, above);
    else if (below > 0) this.scroller.scrollBy(0, below);
    this.render();
    const element = this.elements.get(this.keyOf(this.items[index]));
    (element?.matches("button, a") ? element : element?.querySelector("button, a"))?.focus({ preventScroll: true });
  }

  /** Return the index of the item that contains `element`, or -1. */
  indexOf(element) {
    const key = element?.closest?.("[data-key]")?.dataset.key;
    return key === undefined ? -1 : this.items.findIndex(item => String(this.keyOf(item)) === key);
  }
}
