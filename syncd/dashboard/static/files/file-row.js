/** A file in the list of files, with a marker for each server that it goes to. */

import { changed } from "../router.js";
import { h, icon, say } from "../ui/dom.js";
import { base, size, when, whole, within } from "../ui/format.js";
import { followMarkers, markers } from "../ui/remote-states.js";
import { thumb } from "../ui/thumbnail.js";
import { attempt } from "../ui/toast.js";
import { changedAt, reasons, toCancel, toRetry } from "./jobs-by-file.js";

/** Make the row of a file; what is selected and done there goes to `selection`. */
export function makeRow(file, selection) {
  const { key } = file;
  const box = h("input", {
    type: "checkbox",
    "aria-label": `Select ${base(file.path)}`,
    onclick: event => selection.tick(key, event),
  });
  const act = (sign, words, work) =>
    h(
      "button",
      {
        class: "quiet",
        title: words,
        "aria-label": `${words} ${base(file.path)}`,
        "data-act": words,
        onclick: event => attempt(event.currentTarget, work),
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
      thumb(file.jobs[0]),
      h(
        "a",
        { class: "row-name", href: changed({ job: file.jobs[0].id }) },
        h("strong", {}, within(file.path, file.folder)),
        h("small"),
      ),
      h(
        "span",
        { class: "row-state" },
        markers(),
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
export function followRow(row, file, selected) {
  const { jobs } = file;
  const to = jobs.length === 1 ? ` → ${jobs[0].remote}` : "";
  say(row.querySelector(".row-name small"), `${base(file.folder)}${to}`);
  followMarkers(row.querySelector(".markers"), jobs);
  row.querySelector("progress").hidden = !jobs.some(job => job.state === "uploading");
  const detail = row.querySelector(".row-detail");
  say(detail, reasons(file));
  detail.title = reasons(file);
  say(row.querySelector(".row-size"), size(jobs[0].size));
  const time = row.querySelector("time");
  const at = changedAt(file);
  say(time, when(at));
  time.title = whole(at);
  row.querySelector('[data-act="Retry"]').hidden = !toRetry(file).length;
  row.querySelector('[data-act="Cancel"]').hidden = !toCancel(file).length;
  row.querySelector("input").checked = selected;
  row.querySelector(".row").classList.toggle("chosen", selected);
}

/** Bring the bar of a row up to date with what is being uploaded of its file. */
export function followProgress(row, flights) {
  const bar = row.querySelector("progress");
  const total = flights.reduce((sum, flight) => sum + flight.size, 0);
  bar.value = total ? flights.reduce((sum, flight) => sum + flight.sent, 0) / total : 0;
}
