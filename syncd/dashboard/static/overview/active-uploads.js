/** What is being uploaded: each file with its picture, and for each server a bar, the rate and the time left. */

import { appState, subscribe } from "../app-state.js";
import { currentHrefWith } from "../router.js";
import { h, setText } from "../ui/dom.js";
import { baseName, formatDuration, formatRate, formatSize } from "../ui/format.js";
import { thumbnail } from "../ui/thumbnail.js";

const LINGER = 4000; // ms that the panel stays after the last upload: between two files the page is to keep still

export function createActiveUploads() {
  const list = h("ul", { class: "flights" });
  const empty = h("p", { class: "empty" }, "Waiting for the next file…");
  const panel = h("section", { class: "panel flights-panel", hidden: true }, h("h2", {}, "Uploading now"), list, empty);
  const shown = new Map();
  let hiding = null;
  const follow = () => {
    const running = Map.groupBy(appState.progress?.flights ?? [], flight => flight.path);
    for (const [path, row] of shown) {
      if (!running.has(path)) {
        row.element.remove();
        shown.delete(path);
      }
    }
    for (const [path, own] of running) {
      if (!shown.has(path)) {
        shown.set(path, new FileRow(own[0]));
        list.append(shown.get(path).element);
      }
      shown.get(path).follow(own, performance.now());
    }
    empty.hidden = running.size > 0;
    if (running.size) {
      clearTimeout(hiding);
      hiding = null;
      panel.hidden = false;
    } else if (!panel.hidden) hiding ??= setTimeout(() => (panel.hidden = true), LINGER);
  };
  const off = subscribe("progress", follow);
  follow();
  return {
    element: panel,
    leave() {
      off();
      clearTimeout(hiding);
    },
  };
}

/** A file, with a bar for each server that it is being uploaded to. */
class FileRow {
  constructor(flight) {
    this.bars = new Map();
    this.list = h("span", { class: "flight-bars" });
    this.element = h(
      "li",
      {},
      h(
        "a",
        { class: "flight", href: currentHrefWith({ job: flight.id }) },
        thumbnail(flight),
        h("span", { class: "flight-name" }, baseName(flight.path)),
        this.list,
      ),
    );
  }

  follow(own, now) {
    for (const [id, bar] of this.bars) {
      if (!own.some(flight => flight.id === id)) {
        bar.element.remove();
        this.bars.delete(id);
      }
    }
    for (const flight of own) {
      if (!this.bars.has(flight.id)) {
        this.bars.set(flight.id, new ServerBar(flight));
        this.list.append(this.bars.get(flight.id).element);
      }
      this.bars.get(flight.id).follow(flight, now);
    }
  }
}

class ServerBar {
  constructor(flight) {
    this.words = h("small");
    this.bar = h("progress", { max: 1, "aria-label": `${baseName(flight.path)} to ${flight.remote}` });
    this.seen = [];
    this.element = h(
      "span",
      { class: "flight-bar" },
      h("span", { class: "flight-remote" }, flight.remote),
      this.words,
      this.bar,
    );
  }

  follow(flight, now) {
    this.bar.value = flight.size ? flight.sent / flight.size : 0;
    if (flight.stage === "hashing") {
      this.bar.removeAttribute("value");
      setText(this.words, `reading ${formatSize(flight.size)}`);
      return;
    }
    if (this.seen.at(-1)?.sent !== flight.sent) this.seen.push({ now, sent: flight.sent });
    while (this.seen.length > 2 && this.seen[0].now < now - 8000) this.seen.shift();
    const [first, last] = [this.seen[0], this.seen.at(-1)];
    const speed = last.now > first.now ? ((last.sent - first.sent) * 1000) / (Math.max(now, last.now) - first.now) : 0;
    const words = [`${formatSize(flight.sent)} of ${formatSize(flight.size)}`];
    if (speed >= 1) words.push(formatRate(speed), `${formatDuration((flight.size - flight.sent) / speed)} left`);
    setText(this.words, words.join(" · "));
  }
}
