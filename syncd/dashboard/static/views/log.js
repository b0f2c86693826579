/** The Log view: live log lines with filters. Lines about a job link to its file. */

import { api } from "../api.js";
import { appState, subscribe } from "../app-state.js";
import { currentHrefWith, replaceRoute } from "../router.js";
import { escapeDirections, h, icon, setText } from "../ui/dom.js";
import { formatCount, formatFullTimestamp, formatTime, pluralize } from "../ui/format.js";
import { VirtualList } from "../ui/virtual-list.js";

const LEVELS = ["debug", "info", "warning", "error"];
const MAX_LINES = 5000;
const MAX_HISTORY_LINES = 2000; // loaded when the view opens
const NARROW_WIDTH_PX = 640; // below it, a line wraps once
const LINE_HEIGHT_PX = { narrow: 46, wide: 28 };
const END_TOLERANCE_PX = 40;
const SEPARATE_FIELDS = new Set(["timestamp", "level", "event"]); // shown in separate columns

export const logView = params => new LogView(params);

class LogView {
  constructor(params) {
    this.lines = []; // {number, event, fields}
    this.lineCount = 0;
    this.paused = false;
    this.following = true; // keep the latest line in view
    this.createControls();
    this.box = h("div", { class: "log-box", tabindex: "0", role: "region", "aria-label": "Log lines" });
    this.list = new VirtualList({
      scroller: this.box,
      label: "Log",
      keyOf: line => line.number,
      layout: width => ({ columns: 1, height: LINE_HEIGHT_PX[width < NARROW_WIDTH_PX ? "narrow" : "wide"] }),
      createItem: createLine,
      updateItem: () => {},
    });
    this.box.append(this.list.element);
    this.box.addEventListener("scroll", () => this.onScroll(), { passive: true });
    this.unsubscribers = [
      subscribe("log", event => this.addEvents([event])),
      subscribe("lost", ({ count }) => this.addEvents([lostEvent(count)])),
      subscribe("connection", connection => connection === "open" && this.load()),
    ];
    this.element = h(
      "div",
      { class: "log" },
      h(
        "div",
        { class: "view-head" },
        h("h1", {}, "Log"),
        this.countText,
        h(
          "div",
          { class: "filters" },
          this.level,
          this.event,
          this.text,
          this.pauseButton,
          h("button", { class: "small", onclick: () => this.download() }, icon("download"), "Download"),
        ),
      ),
      this.box,
      this.latestButton,
    );
    this.setParams(params);
    if (appState.connection === "open") this.load();
  }

  createControls() {
    const setFilter = changes => replaceRoute(currentHrefWith(changes));
    this.level = h(
      "select",
      { "aria-label": "Minimum level", onchange: () => setFilter({ level: this.level.value }) },
      LEVELS.map(level => h("option", { value: level }, level === "debug" ? "All levels" : `${level} and above`)),
    );
    this.event = h("input", {
      type: "search",
      placeholder: "Event, e.g. job.failed",
      "aria-label": "Event name starts with",
      oninput: () => setFilter({ event: this.event.value.trim() }),
    });
    this.text = h("input", {
      type: "search",
      placeholder: "Search text",
      "aria-label": "Search text",
      oninput: () => setFilter({ text: this.text.value }),
    });
    this.pauseButton = h(
      "button",
      { class: "small", "aria-pressed": "false", onclick: () => this.setPaused(!this.paused) },
      icon("pause"),
      h("span", {}, "Pause log"),
    );
    this.countText = h("p", { class: "item-count", role: "status" });
    this.latestButton = h(
      "button",
      { class: "new-items-button", hidden: true, onclick: () => this.scrollToEnd() },
      "Jump to latest",
    );
  }

  onAttached() {
    this.scrollToEnd();
  }

  destroy() {
    this.list.destroy();
    this.unsubscribers.forEach(unsubscribe => unsubscribe());
  }

  setParams(params) {
    this.filter = {
      level: params.get("level") ?? "debug",
      event: params.get("event") ?? "",
      text: params.get("text") ?? "",
    };
    this.level.value = this.filter.level;
    if (this.event.value.trim() !== this.filter.event) this.event.value = this.filter.event;
    if (this.text.value !== this.filter.text) this.text.value = this.filter.text;
    this.showLines();
  }

  async load() {
    const { events } = await api.log({ limit: MAX_HISTORY_LINES }).catch(() => ({ events: [] }));
    this.lines = [];
    this.addEvents(events);
  }

  addEvents(events) {
    for (const event of events) {
      this.lineCount += 1;
      this.lines.push({ number: this.lineCount, event, fields: formatFields(event) });
    }
    if (this.lines.length > MAX_LINES) this.lines.splice(0, this.lines.length - MAX_LINES);
    if (!this.paused) this.showLines();
    else setText(this.countText, `Paused. ${pluralize(this.lineCount - this.lineCountAtPause, "new line")}.`);
  }

  matches({ event, fields }) {
    const { level, event: prefix, text } = this.filter;
    return (
      LEVELS.indexOf(event.level === "critical" ? "error" : event.level) >= LEVELS.indexOf(level) &&
      event.event.startsWith(prefix) &&
      (!text || `${event.event} ${fields}`.toLowerCase().includes(text.toLowerCase()))
    );
  }

  showLines() {
    const matching = this.lines.filter(line => this.matches(line));
    this.list.setItems(matching);
    const filtered = matching.length < this.lines.length;
    const total = filtered ? ` of ${formatCount(this.lines.length)}` : "";
    setText(this.countText, `${pluralize(matching.length, "line")}${total}`);
    if (this.following) requestAnimationFrame(() => this.scrollToEnd());
    else this.latestButton.hidden = false;
  }

  scrollToEnd() {
    this.following = true;
    this.list.render();
    this.box.scrollTop = this.box.scrollHeight;
    this.latestButton.hidden = true;
  }

  onScroll() {
    this.following = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < END_TOLERANCE_PX;
    if (this.following) this.latestButton.hidden = true;
  }

  setPaused(paused) {
    this.paused = paused;
    this.lineCountAtPause = this.lineCount;
    this.pauseButton.setAttribute("aria-pressed", String(paused));
    setText(this.pauseButton.querySelector("span"), paused ? "Resume log" : "Pause log");
    if (!paused) this.showLines();
  }

  /** Save the lines that match the filters as a file of JSON lines. */
  download() {
    const lines = this.list.items.map(({ event }) => escapeDirections(JSON.stringify(event))).join("\n");
    const url = URL.createObjectURL(new Blob([lines, "\n"], { type: "application/x-ndjson" }));
    const timestamp = new Date().toISOString().slice(0, 19).replaceAll(":", "");
    h("a", { href: url, download: `syncd-${timestamp}.jsonl` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
}

function createLine({ event, fields }) {
  const cells = [
    h("time", { datetime: event.timestamp, title: formatFullTimestamp(event.timestamp) }, formatTime(event.timestamp)),
    h("span", { class: "log-level" }, event.level),
    h("span", { class: "log-event" }, event.event),
    h("span", { class: "log-fields", title: fields }, fields),
  ];
  const line = event.job
    ? h("a", { class: `log-line ${event.level}`, href: currentHrefWith({ job: event.job }) }, cells)
    : h("div", { class: `log-line ${event.level}` }, cells);
  return h("div", { role: "listitem" }, line);
}

/** Return a log event that reports lines which the daemon did not send, because the page was too slow. */
const lostEvent = count => ({
  timestamp: new Date().toISOString(),
  level: "warning",
  event: "lost",
  lines: count,
  reason: "the page could not keep up; the log file has all lines",
});

/** Format the fields of an event as "name=value  name=value". */
function formatFields(event) {
  return Object.entries(event)
    .filter(([name, value]) => !SEPARATE_FIELDS.has(name) && value !== null)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join("  ");
}
