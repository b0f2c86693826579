/** A chart of upload speed over time. */

import { h, setText, svg } from "./dom.js";
import { formatDuration, formatRate, formatSize, formatTime } from "./format.js";

// Size of the SVG coordinate system. CSS stretches it to the available space.
const WIDTH = 1000;
const HEIGHT = 200;
const TOP_MARGIN = 6;
const MAX_POINTS = 240;
const MIN_AXIS_RATE = 1024; // bytes per second
const TICKS = [1, 0.75, 0.5, 0.25, 0]; // parts of the period before now

export class Chart {
  constructor() {
    this.area = svg("path", { class: "chart-area" });
    this.line = svg("path", { class: "chart-line" });
    this.cursor = svg("line", { class: "chart-cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
    this.drawing = svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
      svg("line", { class: "chart-grid", x1: 0, x2: WIDTH, y1: HEIGHT / 2, y2: HEIGHT / 2 }),
      this.area,
      this.line,
      this.cursor,
    );
    this.maxLabel = h("span", { class: "chart-max-label" });
    this.middleLabel = h("span", { class: "chart-middle-label" });
    this.caption = h("p", { class: "chart-caption", "aria-hidden": "true" });
    this.ticks = h("div", { class: "chart-ticks", "aria-hidden": "true" });
    this.element = h(
      "div",
      { class: "chart" },
      h("div", { class: "chart-plot" }, this.drawing, this.maxLabel, this.middleLabel),
      this.ticks,
      this.caption,
    );
    this.drawing.addEventListener("pointermove", event => this.showValueAt(event));
    this.drawing.addEventListener("pointerleave", () => this.hideValue());
  }

  /**
   * Draw the bytes sent in each interval of `intervalSeconds`, oldest first. The last interval ends now.
   *
   * `totalBytes` were sent in all of them; their sum differs if the last one is an estimate.
   */
  draw(bytes, intervalSeconds, totalBytes) {
    const groupSize = Math.max(1, Math.ceil(bytes.length / MAX_POINTS));
    this.pointSeconds = intervalSeconds * groupSize;
    this.rates = [];
    for (let end = bytes.length; end > 0; end -= groupSize) {
      const group = bytes.slice(Math.max(0, end - groupSize), end);
      this.rates.unshift(sum(group) / (group.length * intervalSeconds));
    }
    const axisMax = roundUpRate(Math.max(MIN_AXIS_RATE, ...this.rates));
    const x = index => ((index / Math.max(1, this.rates.length - 1)) * WIDTH).toFixed(1);
    const y = rate => (HEIGHT - (rate / axisMax) * (HEIGHT - TOP_MARGIN)).toFixed(1);
    const points = this.rates.map((rate, index) => `${x(index)} ${y(rate)}`).join("L");
    this.line.setAttribute("d", points ? `M${points}` : "");
    this.area.setAttribute("d", points ? `M0 ${HEIGHT}L${points}L${WIDTH} ${HEIGHT}Z` : "");
    setText(this.maxLabel, formatRate(axisMax));
    setText(this.middleLabel, formatRate(axisMax / 2));
    this.updateLabels(totalBytes, bytes.length * intervalSeconds);
  }

  updateLabels(totalBytes, periodSeconds) {
    const period = formatDuration(periodSeconds);
    const peak = formatRate(Math.max(0, ...this.rates));
    this.drawing.setAttribute(
      "aria-label",
      `Upload speed over the last ${period}: ${formatSize(totalBytes)} sent, peak ${peak}.`,
    );
    this.ticks.replaceChildren(
      ...TICKS.map(part => h("span", {}, part ? `−${formatDuration(periodSeconds * part)}` : "now")),
    );
    this.summary = `${formatSize(totalBytes)} in the last ${period}`;
    if (!this.pointerInside) setText(this.caption, this.summary);
  }

  showValueAt(event) {
    if (!this.rates?.length) return;
    this.pointerInside = true;
    const box = this.drawing.getBoundingClientRect();
    const part = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const index = Math.round(part * (this.rates.length - 1));
    this.cursor.setAttribute("visibility", "visible");
    this.cursor.setAttribute("x1", part * WIDTH);
    this.cursor.setAttribute("x2", part * WIDTH);
    const time = Date.now() - (this.rates.length - 1 - index) * this.pointSeconds * 1000;
    setText(this.caption, `${formatTime(time)}: ${formatRate(this.rates[index])}`);
  }

  hideValue() {
    this.pointerInside = false;
    this.cursor.setAttribute("visibility", "hidden");
    setText(this.caption, this.summary ?? "");
  }
}

export const sum = numbers => numbers.reduce((total, number) => total + number, 0);

/** Round a rate up to a round number of its binary unit: 1.3 MiB/s → 2 MiB/s. */
function roundUpRate(rate) {
  let unit = 1024;
  while (rate > unit * 1000) unit *= 1024;
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find(number => rate <= number * unit);
  return step * unit;
}
