/** The log, live: narrowed down by level, event and text; paused, downloaded; a line leads to its file. */

import { api } from "../api.js";
import { appState, subscribe } from "../app-state.js";
import { currentHrefWith, replaceRoute } from "../router.js";
import { h, icon, setText } from "../ui/dom.js";
import { formatFullTimestamp, formatTime, pluralize } from "../ui/format.js";
import { VirtualList } from "../ui/virtual-list.js";

const LEVELS = ["debug", "info", "warning", "error"];
const MOST = 5000;
const BACKLOG = 2000;
const HEAD = new Set(["timestamp", "level", "event"]);

export const logView = params => new Log(params);

class Log {
  constructor(params) {
    this.events = [];
    this.paused = false;
    this.number = 0;
    const choose = choices => replaceRoute(currentHrefWith(choices));
    this.level = h(
      "select",
      { "aria-label": "Minimum level", onchange: () => choose({ level: this.level.value }) },
      LEVELS.map(level => h("option", { value: level }, level === "debug" ? "All levels" : `${level} and above`)),
    );
    this.event = h("input", {
      type: "search",
      placeholder: "Event, e.g. job.failed",
      "aria-label": "Event starts with",
      oninput: () => choose({ event: this.event.value.trim() }),
    });
    this.text = h("input", {
      type: "search",
      placeholder: "Search text",
      "aria-label": "Text in the line",
      oninput: () => choose({ text: this.text.value }),
    });
    this.pause = h(
      "button",
      { class: "small", "aria-pressed": "false", onclick: () => this.setPaused(!this.paused) },
      icon("pause"),
      h("span", {}, "Pause"),
    );
    this.note = h("p", { class: "count", role: "status" });
    this.box = h("div", { class: "log-box", tabindex: "0", role: "region", "aria-label": "Log lines" });
    this.latest = h(
      "button",
      { class: "fresh", hidden: true, onclick: () => this.toEnd() },
      "Show newer lines",
    );
    this.list = new VirtualList({
      scroller: this.box,
      label: "Log",
      key: event => event.number,
      layout: width => ({ columns: 1, height: width < 640 ? 46 : 28 }),
      render: event => this.line(event),
      update: () => {},
    });
    this.box.append(this.list.element);
    this.box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.offs = [
      subscribe("log", event => this.add([event])),
      subscribe("lost", ({ count }) => this.add([lost(count)])),
      subscribe("connection", connection => connection === "open" && this.load()),
    ];
    this.element = h(
      "div",
      { class: "log" },
      h(
        "div",
        { class: "view-head" },
        h("h1", {}, "Log"),
        this.note,
        h(
          "div",
          { class: "filters" },
          this.level,
          this.event,
          this.text,
          this.pause,
          h("button", { class: "small", onclick: () => this.download() }, icon("download"), "Download"),
        ),
      ),
      this.box,
      this.latest,
    );
    this.params(params);
    if (appState.connection === "open") this.load();
  }

  entered() {
    this.toEnd();
  }

  leave() {
    this.list.leave();
    this.offs.forEach(off => off());
  }

  params(params) {
    this.filter = {
      level: params.get("level") ?? "debug",
      event: params.get("event") ?? "",
      text: params.get("text") ?? "",
    };
    this.level.value = this.filter.level;
    if (this.event.value.trim() !== this.filter.event) this.event.value = this.filter.event;
    if (this.text.value !== this.filter.text) this.text.value = this.filter.text;
    this.refilter();
  }

  async load() {
    const { events } = await api.log({ limit: BACKLOG }).catch(() => ({ events: [] }));
    this.events = [];
    this.add(events);
  }

  add(events) {
    for (const event of events) this.events.push({ number: (this.number += 1), data: event, words: words(event) });
    if (this.events.length > MOST) this.events.splice(0, this.events.length - MOST);
    if (!this.paused) this.refilter();
    else setText(this.note, `Paused. ${pluralize(this.events.length - this.held, "new line")}.`);
  }

  matches({ data, words: line }) {
    const { level, event, text } = this.filter;
    return (
      LEVELS.indexOf(data.level === "critical" ? "error" : data.level) >= LEVELS.indexOf(level) &&
      data.event.startsWith(event) &&
      (!text || `${data.event} ${line}`.toLowerCase().includes(text.toLowerCase()))
    );
  }

  refilter() {
    const atEnd = this.atEnd();
    const items = this.events.filter(event => this.matches(event));
    this.list.show(items);
    setText(
      this.note,
      items.length === this.events.length
        ? pluralize(items.length, "line")
        : `${pluralize(items.length, "line")} of ${this.events.length.toLocaleString("en-GB")}`,
    );
    if (atEnd) requestAnimationFrame(() => this.toEnd());
    else this.latest.hidden = false;
  }

  atEnd() {
    return this.following !== false;
  }

  toEnd() {
    this.following = true;
    this.list.refresh();
    this.box.scrollTop = this.box.scrollHeight;
    this.latest.hidden = true;
  }

  scrolled() {
    this.following = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 40;
    if (this.following) this.latest.hidden = true;
  }

  setPaused(paused) {
    this.paused = paused;
    this.held = this.events.length;
    this.pause.setAttribute("aria-pressed", String(paused));
    setText(this.pause.querySelector("span"), paused ? "Resume" : "Pause");
    if (!paused) this.refilter();
  }

  line({ data, words: line }) {
    const content = [
      h("time", { datetime: data.timestamp, title: formatFullTimestamp(data.timestamp) }, formatTime(data.timestamp)),
      h("span", { class: "log-level" }, data.level),
      h("span", { class: "log-event" }, data.event),
      h("span", { class: "log-words", title: line }, line),
    ];
    const inner = data.job
      ? h("a", { class: `log-line ${data.level}`, href: currentHrefWith({ job: data.job }) }, content)
      : h("div", { class: `log-line ${data.level}` }, content);
    return h("div", { role: "listitem" }, inner);
  }

  download() {
    const lines = this.list.items.map(({ data }) => JSON.stringify(data)).join("\n");
    const url = URL.createObjectURL(new Blob([lines, "\n"], { type: "application/x-ndjson" }));
    const link = h("a", {
      href: url,
      download: `syncd-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.jsonl`,
    });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
}

const lost = count => ({
  timestamp: new Date().toISOString(),
  level: "warning",
  event: "lost",
  lines: count,
  reason: "this page could not keep up; the log file has every line",
});

/** The fields of an event in one line. */
function words(event) {
  return Object.entries(event)
    .filter(([name, value]) => !HEAD.has(name) && value !== null)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join("  ");
}
