/** The panel with the chart of upload speed. It loads the daemon's history and continues it from progress events. */

import { api } from "../api.js";
import { appState, subscribe } from "../app-state.js";
import { Chart, sum } from "../ui/chart.js";
import { h } from "../ui/dom.js";

const INTERVAL_S = 5; // of the daemon's history
const INTERVALS_BY_PERIOD = { "5 min": 60, "1 h": 720, "6 h": 4320 };
const REDRAW_INTERVAL_MS = 1000;

export function createUploadSpeed() {
  const chart = new Chart();
  let period = "5 min";
  let history = { step_seconds: INTERVAL_S, bytes: [] };
  let lastSent = null;
  const draw = () => {
    const intervals = INTERVALS_BY_PERIOD[period];
    const recent = history.bytes.slice(-intervals);
    const total = sum(recent);
    // The current interval is incomplete, so draw it with the current rate.
    const rate = appState.progress?.bytes.per_second ?? 0;
    if (recent.length) recent[recent.length - 1] = rate * history.step_seconds;
    chart.draw([...new Array(intervals - recent.length).fill(0), ...recent], history.step_seconds, total);
  };
  const load = async () => {
    if (appState.connection !== "open") return;
    history = await api.throughput().catch(() => history);
    lastSent = null;
    draw();
  };
  const addSent = ({ bytes: { sent } }) => {
    const last = history.bytes.length - 1;
    if (lastSent !== null && last >= 0) history.bytes[last] += Math.max(0, sent - lastSent);
    lastSent = sent;
  };
  const startInterval = () => {
    if (document.hidden) return;
    history.bytes.push(0);
    draw();
  };
  const onVisibilityChange = () => document.hidden || load();
  const unsubscribers = [subscribe("progress", addSent), subscribe("connection", load)];
  const timers = [
    setInterval(startInterval, INTERVAL_S * 1000),
    setInterval(() => document.hidden || draw(), REDRAW_INTERVAL_MS),
  ];
  document.addEventListener("visibilitychange", onVisibilityChange);
  const selectPeriod = (name, button) => {
    period = name;
    for (const other of buttons.children) other.setAttribute("aria-pressed", String(other === button));
    draw();
  };
  const buttons = h(
    "div",
    { class: "button-group", role: "group", "aria-label": "Period" },
    Object.keys(INTERVALS_BY_PERIOD).map(name =>
      h(
        "button",
        { "aria-pressed": String(name === period), onclick: event => selectPeriod(name, event.currentTarget) },
        name,
      ),
    ),
  );
  draw();
  load();
  return {
    element: h(
      "section",
      { class: "panel chart-panel" },
      h("div", { class: "panel-head" }, h("h2", {}, "Upload speed"), buttons),
      chart.element,
    ),
    destroy() {
      timers.forEach(clearInterval);
      unsubscribers.forEach(unsubscribe => unsubscribe());
      document.removeEventListener("visibilitychange", onVisibilityChange);
    },
  };
}
