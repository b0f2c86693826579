/** A file in the list of files, with a marker for each server that it goes to. */

import { currentHrefWith } from "../router.js";
import { h, icon, setText } from "../ui/dom.js";
import { baseName, formatFullTimestamp, formatSize, formatTimestamp, relativePath } from "../ui/format.js";
import { remoteStates, updateRemoteStates } from "../ui/remote-states.js";
import { thumbnail } from "../ui/thumbnail.js";
import { runAction } from "../ui/toast.js";
import { cancellableJobs, detailText, lastChangedAt, retryableJobs } from "./jobs-by-file.js";

/** Make the row of a file; what is selected and done there goes to `selection`. */
export function createFileRow(file, selection) {
  const { key } = file;
  const box = h("input", {
    type: "checkbox",
    "aria-label": `Select ${baseName(file.path)}`,
    onclick: event => selection.tick(key, event),
  });
  const act = (sign, words, work) =>
    h(
      "button",
      {
        class: "quiet",
        title: words,
        "aria-label": `${words} ${baseName(file.path)}`,
        "data-act": words,
        onclick: event => runAction(event.currentTarget, work),
      },
      icon(sign),
    );
  return h(
    "div",
    { role: "listitem" },
    h(
      "div",
      { class: "row" },
      h("span", { class: "row-box" }, box),
      thumbnail(file.jobs[0]),
      h(
        "a",
        { class: "row-name", href: currentHrefWith({ job: file.jobs[0].id }) },
        h("strong", {}, relativePath(file.path, file.folder)),
        h("small"),
      ),
      h(
        "span",
        { class: "row-state" },
        remoteStates(),
        h("progress", { max: 1, value: 0, hidden: true, "aria-label": "Uploaded" }),
      ),
      h("span", { class: "row-detail" }),
      h("span", { class: "row-size" }),
      h("time", { class: "row-time" }),
      h(
        "span",
        { class: "row-actions" },
        act("retry", "Retry", () => selection.retry([key])),
        act("cancel", "Cancel", () => selection.cancel([key])),
      ),
    ),
  );
}

/** Bring a row up to date. */
export function updateFileRow(row, file, selected) {
  const { jobs } = file;
  const to = jobs.length === 1 ? ` → ${jobs[0].remote}` : "";
  setText(row.querySelector(".row-name small"), `${baseName(file.folder)}${to}`);
  updateRemoteStates(row.querySelector(".markers"), jobs);
  row.querySelector("progress").hidden = !jobs.some(job => job.state === "uploading");
  const detail = row.querySelector(".row-detail");
  setText(detail, detailText(file));
  detail.title = detailText(file);
  setText(row.querySelector(".row-size"), formatSize(jobs[0].size));
  const time = row.querySelector("time");
  const at = lastChangedAt(file);
  setText(time, formatTimestamp(at));
  time.title = formatFullTimestamp(at);
  row.querySelector('[data-act="Retry"]').hidden = !retryableJobs(file).length;
  row.querySelector('[data-act="Cancel"]').hidden = !cancellableJobs(file).length;
  row.querySelector("input").checked = selected;
  row.querySelector(".row").classList.toggle("chosen", selected);
}

/** Bring the bar of a row up to date with what is being uploaded of its file. */
export function updateRowProgress(row, flights) {
  const bar = row.querySelector("progress");
  const total = flights.reduce((sum, flight) => sum + flight.size, 0);
  bar.value = total ? flights.reduce((sum, flight) => sum + flight.sent, 0) / total : 0;
}
