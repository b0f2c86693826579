/** The state in words, the large button, and the figures. */

import { live, on } from "../app-state.js";
import { address } from "../router.js";
import { switchButton } from "../pause-button.js";
import { h, say } from "../ui/dom.js";
import { count, rate, size } from "../ui/format.js";
import { headline } from "../status-text.js";

export function hero() {
  const title = h("h1");
  const detail = h("p", { class: "hero-detail" });
  const button = switchButton("switch large");
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
    const words = headline(live);
    box.dataset.tone = words.tone;
    say(title, words.title);
    say(detail, words.detail);
    if (!live.progress) return;
    const { jobs, bytes } = live.progress;
    const values = {
      waiting: [count(jobs.queued + jobs.uploading + jobs.waiting), bytes.pending ? `${size(bytes.pending)} to send` : "nothing to send"],
      done: [count(jobs.done), "confirmed by the server"],
      failed: [count(jobs.failed), jobs.failed ? "see the reasons" : "no problems"],
      sent: [size(bytes.sent), bytes.per_second >= 1 ? rate(bytes.per_second) : "since syncd started"],
    };
    for (const [name, { value, note }] of figures) {
      say(value, values[name][0]);
      say(note, values[name][1]);
    }
  };
  const off = on("daemon progress connection remote folder", follow);
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
  waiting: ["Remaining", address("files", { state: "queued" })],
  done: ["Uploaded", address("gallery")],
  failed: ["Failed", address("files", { state: "failed" })],
  sent: ["Data sent", address("log", { event: "job.done" })],
};

function figure(name) {
  const value = h("strong", {}, "–");
  const note = h("small");
  const [label, to] = FIGURES[name];
  return { element: h("a", { class: `figure ${name}`, href: to }, h("span", {}, label), value, note), value, note };
}
