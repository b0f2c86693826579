/** Badges with the state of a file on each of its remotes. Screen readers get the state as text. */

import { h, icon } from "./dom.js";
import { stateText } from "./format.js";

/** The icon of each state, most severe state first. */
const STATE_ICONS = {
  failed: "warning",
  waiting: "clock",
  uploading: "upload",
  queued: "queued",
  skipped: "skipped",
  done: "check",
};
const STATES_BY_SEVERITY = Object.keys(STATE_ICONS);
const MAX_BADGES = 4;

/** Create an empty element for updateRemoteStates(). */
export const remoteStates = () => h("span", { class: "remote-states" });

/** Show the states of a file's jobs. The DOM is only changed if a state has changed. */
export function updateRemoteStates(element, jobs) {
  const signature = jobs.map(job => `${job.remote} ${job.state} ${job.outcome}`).join("\n");
  if (element.signature === signature) return;
  element.signature = signature;
  if (jobs.length === 1) {
    element.replaceChildren(badge(jobs[0], stateText(jobs[0]), ""));
    return;
  }
  const ordered = jobs.length > MAX_BADGES ? bySeverity(jobs) : jobs;
  const shown = ordered.length > MAX_BADGES ? ordered.slice(0, MAX_BADGES - 1) : ordered;
  const hidden = ordered.slice(shown.length);
  element.replaceChildren(
    ...shown.map(job => badge(job, job.remote, `: ${stateText(job)}. `)),
    hidden.length ? moreBadge(hidden) : "",
  );
}

const badge = (job, text, screenReaderText) =>
  h(
    "span",
    { class: `state-badge remote-state ${job.state}`, title: remoteStateText(job) },
    stateIcon(job.state),
    h("span", { class: "remote-state-text" }, text),
    screenReaderText && h("span", { class: "visually-hidden" }, screenReaderText),
  );

const moreBadge = jobs => {
  const states = jobs.map(remoteStateText).join(", ");
  return h(
    "span",
    { class: `state-badge remote-state ${jobs[0].state}`, title: states },
    `+${jobs.length}`,
    h("span", { class: "visually-hidden" }, ` more: ${states}`),
  );
};

/** Create the icon of a job state. */
export const stateIcon = state => icon(STATE_ICONS[state]);

/** Return a job's remote and state: "archive: failed". */
export const remoteStateText = job => `${job.remote}: ${stateText(job)}`;

/** Sort jobs by severity of their state, failed ones first. */
export const bySeverity = jobs =>
  [...jobs].sort((a, b) => STATES_BY_SEVERITY.indexOf(a.state) - STATES_BY_SEVERITY.indexOf(b.state));
