/** The state of a file on each of its servers: an icon and the server's name, and the state in words for who needs it. */

import { h, icon } from "./dom.js";
import { stateText } from "./format.js";

const SIGNS = {
  failed: "warning",
  waiting: "clock",
  uploading: "upload",
  queued: "queued",
  skipped: "skipped",
  done: "check",
};
const WORST_FIRST = Object.keys(SIGNS);
const MOST = 4;

/** An element for the markers of a file. */
export const remoteStates = () => h("span", { class: "markers" });

/** Show how the jobs of a file are; nothing is touched if they are as before. */
export function updateRemoteStates(element, jobs) {
  const now = jobs.map(job => `${job.remote} ${job.state} ${job.outcome}`).join("\n");
  if (element.shown === now) return;
  element.shown = now;
  if (jobs.length === 1) {
    element.replaceChildren(marker(jobs[0], stateText(jobs[0]), ""));
    return;
  }
  const ordered = jobs.length > MOST ? bySeverity(jobs) : jobs;
  const shown = ordered.length > MOST ? ordered.slice(0, MOST - 1) : ordered;
  const rest = ordered.slice(shown.length);
  element.replaceChildren(
    ...shown.map(job => marker(job, job.remote, `: ${stateText(job)}. `)),
    rest.length ? more(rest) : "",
  );
}

const marker = (job, text, hidden) =>
  h(
    "span",
    { class: `state marker ${job.state}`, title: remoteStateText(job) },
    icon(SIGNS[job.state]),
    h("span", { class: "marker-name" }, text),
    hidden && h("span", { class: "for-readers" }, hidden),
  );

const more = jobs =>
  h(
    "span",
    { class: `state marker ${jobs[0].state}`, title: jobs.map(remoteStateText).join(", ") },
    `+${jobs.length}`,
    h("span", { class: "for-readers" }, ` more: ${jobs.map(remoteStateText).join(", ")}`),
  );

/** The icon of a state. */
export const stateIcon = state => icon(SIGNS[state]);

/** A server and what became of the file there: "archive: failed". */
export const remoteStateText = job => `${job.remote}: ${stateText(job)}`;

/** Jobs with those in trouble first. */
export const bySeverity = jobs =>
  [...jobs].sort((a, b) => WORST_FIRST.indexOf(a.state) - WORST_FIRST.indexOf(b.state));
