/** The chart of throughput: from the daemon's own record, moved on by what the stream tells. */

import { api } from "../api.js";
import { appState, subscribe } from "../app-state.js";
import { Chart } from "../ui/chart.js";
import { h } from "../ui/dom.js";

const SPANS = { "5 min": 60, "1 h": 720, "6 h": 4320 };

export function createUploadSpeed() {
  const chart = new Chart();
  let chosen = "5 min";
  let record = { step_seconds: 5, bytes: [] };
  let sent = null;
  const draw = () => {
    const wanted = SPANS[chosen];
    const known = record.bytes.slice(-wanted);
    // The step under way has only begun: the rate of this moment stands for it.
    if (known.length) known[known.length - 1] = (appState.progress?.bytes.per_second ?? 0) * record.step_seconds;
    chart.draw([...new Array(wanted - known.length).fill(0), ...known], record.step_seconds);
  };
  const load = async () => {
    if (appState.connection !== "open") return;
    record = await api.throughput().catch(() => record);
    sent = null;
    draw();
  };
  const offProgress = subscribe("progress", ({ bytes }) => {
    if (sent !== null && record.bytes.length) record.bytes[record.bytes.length - 1] += Math.max(0, bytes.sent - sent);
    sent = bytes.sent;
  });
  const step = setInterval(() => {
    if (document.hidden) return;
    record.bytes.push(0);
    draw();
  }, record.step_seconds * 1000);
  const redraw = setInterval(() => document.hidden || draw(), 1000);
  const visible = () => document.hidden || load();
  document.addEventListener("visibilitychange", visible);
  const offConnection = subscribe("connection", load);
  const choices = h(
    "div",
    { class: "choices", role: "group", "aria-label": "Period" },
    Object.keys(SPANS).map(name =>
      h(
        "button",
        { "aria-pressed": String(name === chosen), onclick: event => choose(name, event.currentTarget) },
        name,
      ),
    ),
  );
  const choose = (name, button) => {
    chosen = name;
    for (const other of choices.children) other.setAttribute("aria-pressed", String(other === button));
    draw();
  };
  draw();
  load();
  return {
    element: h(
      "section",
      { class: "panel chart-panel" },
      h("div", { class: "panel-head" }, h("h2", {}, "Upload speed"), choices),
      chart.element,
    ),
    leave() {
      clearInterval(step);
      clearInterval(redraw);
      document.removeEventListener("visibilitychange", visible);
      offProgress();
      offConnection();
    },
  };
}
