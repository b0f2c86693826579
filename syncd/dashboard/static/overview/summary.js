/** The state in words, the large button, and the figures. */

import { appState, subscribe } from "../app-state.js";
import { routeHref } from "../router.js";
import { pauseButton } from "../pause-button.js";
import { h, setText } from "../ui/dom.js";
import { formatCount, formatRate, formatSize } from "../ui/format.js";
import { overallStatus } from "../status-text.js";

export function createSummary() {
  const title = h("h1");
  const detail = h("p", { class: "hero-detail" });
  const button = pauseButton("switch large");
  const figures = ["waiting", "done", "failed", "sent"].map(name => [name, figure(name)]);
  const box = h(
    "section",
    { class: "hero", "aria-label": "State" },
    h("div", { class: "hero-words", role: "status" }, title, detail),
    button,
    h(
      "div",
      { class: "figures" },
      figures.map(([, { element }]) => element),
    ),
  );
  const follow = () => {
    const words = overallStatus(appState);
    box.dataset.tone = words.tone;
    setText(title, words.title);
    setText(detail, words.detail);
    if (!appState.progress) return;
    const { jobs, bytes } = appState.progress;
    const values = {
      waiting: [formatCount(jobs.queued + jobs.uploading + jobs.waiting), bytes.pending ? `${formatSize(bytes.pending)} to send` : "nothing to send"],
      done: [formatCount(jobs.done), "confirmed by the server"],
      failed: [formatCount(jobs.failed), jobs.failed ? "see the reasons" : "no problems"],
      sent: [formatSize(bytes.sent), bytes.per_second >= 1 ? formatRate(bytes.per_second) : "since syncd started"],
    };
    for (const [name, { value, note }] of figures) {
      setText(value, values[name][0]);
      setText(note, values[name][1]);
    }
  };
  const off = subscribe("daemon progress connection remote folder", follow);
  follow();
  return {
    element: box,
    leave() {
      off();
      button.leave();
    },
  };
}

const FIGURES = {
  waiting: ["Remaining", routeHref("files", { state: "queued" })],
  done: ["Uploaded", routeHref("gallery")],
  failed: ["Failed", routeHref("files", { state: "failed" })],
  sent: ["Data sent", routeHref("log", { event: "job.done" })],
};

function figure(name) {
  const value = h("strong", {}, "–");
  const note = h("small");
  const [label, to] = FIGURES[name];
  return { element: h("a", { class: `figure ${name}`, href: to }, h("span", {}, label), value, note), value, note };
}
