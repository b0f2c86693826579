/** The panel of active uploads: each file with its thumbnail, and a progress bar for each remote. */

import { appState, subscribe } from "../app-state.js";
import { currentHrefWith } from "../router.js";
import { h, setText, syncChildren } from "../ui/dom.js";
import { baseName, formatDuration, formatRate, formatSize } from "../ui/format.js";
import { thumbnail } from "../ui/thumbnail.js";

const HIDE_DELAY_MS = 4000; // keeps the layout stable between two uploads
const RATE_WINDOW_MS = 8000;

export function createActiveUploads() {
  const list = h("ul", { class: "uploads" });
  const empty = h("p", { class: "empty-note" }, "Waiting for the next file…");
  const panel = h("section", { class: "panel uploads-panel", hidden: true }, h("h2", {}, "Uploading now"), list, empty);
  const items = new Map(); // path → UploadItem
  let hideTimer = null;
  const update = () => {
    const flightsByPath = Map.groupBy(appState.progress?.flights ?? [], flight => flight.path);
    syncChildren(list, items, flightsByPath, flights => new UploadItem(flights[0]));
    empty.hidden = flightsByPath.size > 0;
    if (flightsByPath.size) {
      clearTimeout(hideTimer);
      hideTimer = null;
      panel.hidden = false;
    } else if (!panel.hidden) hideTimer ??= setTimeout(() => (panel.hidden = true), HIDE_DELAY_MS);
  };
  const unsubscribe = subscribe("progress", update);
  update();
  return {
    element: panel,
    destroy() {
      unsubscribe();
      clearTimeout(hideTimer);
    },
  };
}

/** A file, with a progress bar for each remote that it is being uploaded to. */
class UploadItem {
  constructor(flight) {
    this.bars = new Map(); // job id → RemoteProgress
    this.list = h("span", { class: "upload-remotes" });
    this.element = h(
      "li",
      {},
      h(
        "a",
        { class: "upload", href: currentHrefWith({ job: flight.id }) },
        thumbnail(flight),
        h("span", { class: "upload-name" }, baseName(flight.path)),
        this.list,
      ),
    );
  }

  update(flights) {
    const flightsById = new Map(flights.map(flight => [flight.id, flight]));
    syncChildren(this.list, this.bars, flightsById, flight => new RemoteProgress(flight));
  }
}

class RemoteProgress {
  constructor(flight) {
    this.text = h("small");
    this.bar = h("progress", { max: 1, "aria-label": `${baseName(flight.path)} to ${flight.remote}` });
    this.samples = [];
    this.element = h(
      "span",
      { class: "upload-remote" },
      h("span", { class: "upload-remote-name" }, flight.remote),
      this.text,
      this.bar,
    );
  }

  update(flight) {
    if (flight.stage === "hashing") {
      this.bar.removeAttribute("value"); // a bar without a value shows activity instead of progress
      setText(this.text, `hashing ${formatSize(flight.size)}`);
      return;
    }
    this.bar.value = flight.size ? flight.sent / flight.size : 0;
    const rate = this.measureRate(flight.sent, performance.now());
    const parts = [`${formatSize(flight.sent)} of ${formatSize(flight.size)}`];
    const secondsLeft = (flight.size - flight.sent) / rate;
    if (rate >= 1) parts.push(formatRate(rate));
    if (rate >= 1 && secondsLeft >= 1) parts.push(`${formatDuration(secondsLeft)} left`);
    setText(this.text, parts.join(" · "));
  }

  /** Return the average rate in bytes per second over the last RATE_WINDOW_MS. */
  measureRate(sent, now) {
    const { samples } = this;
    if (samples.at(-1)?.sent !== sent) samples.push({ now, sent });
    while (samples.length > 2 && samples[0].now < now - RATE_WINDOW_MS) samples.shift();
    const [first, last] = [samples[0], samples.at(-1)];
    return last.now > first.now ? ((last.sent - first.sent) * 1000) / (Math.max(now, last.now) - first.now) : 0;
  }
}
