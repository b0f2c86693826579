/** The section of the file dialog for one remote: the state of the upload, its history, and actions. */

import { api } from "./api.js";
import { causeText, jobHint } from "./status-text.js";
import { isCancellable, isRetryable } from "./files/jobs-by-file.js";
import { breakablePath, h, icon, setText } from "./ui/dom.js";
import { baseName, formatDay, formatFullTimestamp, formatTime, formatTimestamp, stateText } from "./ui/format.js";
import { runAction, showToast } from "./ui/toast.js";

const VERDICT_TEXTS = {
  intact: "The server's copy is intact: same size, same content",
  missing: "The server has no copy of this file",
  different: "The server's copy has different content",
  unreachable: "The server cannot be reached",
  unknown: "This file has not been uploaded yet",
};
const REPAIRABLE_VERDICTS = ["missing", "different"];

/**
 * Create the section of a job. `onChange()` is called after an action may have changed the job; it shows all jobs anew.
 *
 * `replaced` is the present section, if any. It is returned if the job has not changed; otherwise a comparison that it
 * runs ends in the new section.
 */
export function remoteSection(job, onChange, replaced) {
  if (replaced?.dataset.updatedAt === String(job.updated_at)) return replaced;
  const result =
    replaced?.querySelector(".verify-result[data-running]") ??
    h("p", { class: "verify-result", role: "status", hidden: true });
  const hint = jobHint(job);
  return h(
    "section",
    { class: "remote-section", "data-job": job.id, "data-updated-at": job.updated_at },
    h(
      "div",
      { class: "panel-head" },
      h("h2", {}, icon("remote"), job.remote),
      h("span", { class: `state-badge ${job.state}` }, stateText(job)),
    ),
    job.detail && h("p", { class: "reason" }, breakablePath(job.detail)),
    hint && h("p", { class: "hint" }, hint),
    h(
      "dl",
      { class: "properties" },
      job.ref && property("Server ID", h("code", {}, job.ref)),
      job.attempts > 0 && property("Failed attempts", String(job.attempts)),
      property("Last change", timeElement(job.updated_at, formatTimestamp(job.updated_at))),
    ),
    h("div", { class: "actions" }, actionButtons(job, result, onChange)),
    result,
    h(
      "details",
      { open: job.state !== "done" },
      h("summary", {}, "History"),
      h("ol", { class: "history" }, job.history.map(historyEntry)),
    ),
  );
}

/** Show how much of a running upload has been sent, if `container` has the section of its job. */
export function updateUploadPercentage(container, flight) {
  const badge = container.querySelector(`[data-job="${flight.id}"] .state-badge`);
  if (badge && flight.size) setText(badge, `uploading, ${Math.floor((flight.sent / flight.size) * 100)} %`);
}

/** Create an entry of a <dl>. */
export const property = (name, value) => [h("dt", {}, name), h("dd", {}, value)];

const timeElement = (timestamp, text) =>
  h("time", { datetime: timestamp, title: formatFullTimestamp(timestamp) }, text);

const historyEntry = entry =>
  h(
    "li",
    {},
    timeElement(entry.at, `${formatDay(entry.at)} ${formatTime(entry.at)}`),
    h("span", { class: `state-badge ${entry.state}` }, entry.state),
    h("span", {}, causeText(entry.cause)),
    entry.detail && h("small", {}, entry.detail),
  );

function actionButtons(job, result, onChange) {
  const button = (iconName, label, action) =>
    h(
      "button",
      {
        class: "small",
        onclick: event => runAction(event.currentTarget, action),
        "aria-label": `${label}: ${job.remote}`,
      },
      icon(iconName),
      label,
    );
  const buttons = [];
  if (job.state === "done") buttons.push(button("verify", "Verify", () => verify(job, result, onChange)));
  if (isRetryable(job)) buttons.push(button("retry", "Retry", () => retry(job, onChange)));
  if (isCancellable(job)) buttons.push(button("cancel", "Cancel", () => cancel(job, onChange)));
  return buttons;
}

/** Compare the server's copy with the uploaded content, and offer to upload it again if it is missing or different. */
async function verify(job, result, onChange) {
  setText(result, "Downloading the server's copy…");
  result.hidden = false;
  result.dataset.running = "";
  delete result.dataset.tone;
  let verdict, detail;
  try {
    ({
      results: [{ verdict, detail }],
    } = await api.verify([String(job.id)], false));
    await onChange(); // a later change of the job makes the result obsolete, an earlier one does not
  } catch (error) {
    result.hidden = true;
    throw error;
  } finally {
    delete result.dataset.running;
  }
  result.dataset.tone = verdict === "intact" ? "success" : "error";
  setText(result, detail ? `${VERDICT_TEXTS[verdict]}: ${detail}` : `${VERDICT_TEXTS[verdict]}.`);
  if (REPAIRABLE_VERDICTS.includes(verdict)) {
    const onclick = event => runAction(event.currentTarget, () => repair(job, onChange));
    result.append(" ", h("button", { class: "small", onclick }, "Upload again"));
  }
}

async function repair(job, onChange) {
  const { queued } = await api.verify([String(job.id)], true);
  if (queued) showToast("Queued for upload.");
  else showToast("Cannot upload again: the file is no longer in its folder.", "error");
  await onChange();
}

async function retry(job, onChange) {
  await api.retry([String(job.id)]);
  showToast(`${baseName(job.path)} is queued again for ${job.remote}.`);
  await onChange();
}

async function cancel(job, onChange) {
  await api.cancel([String(job.id)]);
  showToast(`Upload of ${baseName(job.path)} to ${job.remote} cancelled. Press Retry to queue it again.`);
  await onChange();
}
