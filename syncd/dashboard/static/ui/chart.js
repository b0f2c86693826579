/** The chart of throughput: bytes a second over the last minutes or hours. */

import { h, setText, svg } from "./dom.js";
import { formatDuration, formatRate, formatSize, formatTime } from "./format.js";

const WIDTH = 1000; // of the drawing's own units; it is stretched to its place
const HEIGHT = 200;
const POINTS = 240;

export class Chart {
  constructor() {
    this.area = svg("path", { class: "chart-area" });
    this.line = svg("path", { class: "chart-line" });
    this.cursor = svg("line", { class: "chart-cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
    this.drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    this.drawing.append(
      svg("line", { class: "chart-grid", x1: 0, x2: WIDTH, y1: HEIGHT / 2, y2: HEIGHT / 2 }),
      this.area,
      this.line,
      this.cursor,
    );
    this.top = h("span", { class: "chart-top" });
    this.middle = h("span", { class: "chart-middle" });
    this.reading = h("p", { class: "chart-reading", "aria-hidden": "true" });
    this.ticks = h("div", { class: "chart-ticks", "aria-hidden": "true" });
    this.element = h(
      "div",
      { class: "chart" },
      h("div", { class: "chart-plot" }, this.drawing, this.top, this.middle),
      this.ticks,
      this.reading,
    );
    this.drawing.addEventListener("pointermove", event => this.point(event));
    this.drawing.addEventListener("pointerleave", () => this.point(null));
  }

  /** Draw `bytes` sent in steps of `step` seconds, oldest first, up to now. */
  draw(bytes, step) {
    const group = Math.max(1, Math.ceil(bytes.length / POINTS));
    this.step = step * group;
    this.rates = [];
    for (let end = bytes.length; end > 0; end -= group) {
      const part = bytes.slice(Math.max(0, end - group), end);
      this.rates.unshift(part.reduce((sum, value) => sum + value, 0) / (part.length * step));
    }
    const peak = nice(Math.max(1024, ...this.rates));
    const x = index => ((index / Math.max(1, this.rates.length - 1)) * WIDTH).toFixed(1);
    const y = value => (HEIGHT - (value / peak) * (HEIGHT - 6)).toFixed(1);
    const points = this.rates.map((value, index) => `${x(index)} ${y(value)}`).join("L");
    this.line.setAttribute("d", points ? `M${points}` : "");
    this.area.setAttribute("d", points ? `M0 ${HEIGHT}L${points}L${WIDTH} ${HEIGHT}Z` : "");
    setText(this.top, formatRate(peak));
    setText(this.middle, formatRate(peak / 2));
    this.label(bytes, step);
  }

  label(bytes, step) {
    const span = bytes.length * step;
    const sum = bytes.reduce((total, value) => total + value, 0);
    this.drawing.setAttribute(
      "aria-label",
      `Upload speed over the last ${formatDuration(span)}: ${formatSize(sum)} sent, at most ${formatRate(Math.max(0, ...this.rates))}.`,
    );
    this.ticks.replaceChildren(
      ...[1, 0.75, 0.5, 0.25, 0].map(part => h("span", {}, part ? `−${formatDuration(span * part)}` : "now")),
    );
    this.summary = `${formatSize(sum)} in ${formatDuration(span)}`;
    if (!this.pointed) setText(this.reading, this.summary);
  }

  point(event) {
    this.pointed = event !== null && this.rates?.length > 0;
    this.cursor.setAttribute("visibility", this.pointed ? "visible" : "hidden");
    if (!this.pointed) {
      setText(this.reading, this.summary ?? "");
      return;
    }
    const box = this.drawing.getBoundingClientRect();
    const part = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const index = Math.round(part * (this.rates.length - 1));
    this.cursor.setAttribute("x1", part * WIDTH);
    this.cursor.setAttribute("x2", part * WIDTH);
    const at = Date.now() - (this.rates.length - 1 - index) * this.step * 1000;
    setText(this.reading, `${formatTime(at)}: ${formatRate(this.rates[index])}`);
  }
}

/** The next larger 1, 2 or 5 times a power of two's thousand: 1.3 MiB → 2 MiB. */
function nice(value) {
  let unit = 1024;
  while (value > unit * 1000) unit *= 1024;
  for (const step of [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]) if (value <= step * unit) return step * unit;
  return value;
}
