/** A job in the list of files. */

import { changed } from "../route.js";
import { h, icon, say } from "../ui/dom.js";
import { base, size, stateWords, when, whole, within } from "../ui/format.js";
import { thumb } from "../ui/thumb.js";
import { attempt } from "../ui/toast.js";

/** Make the row of a job; what is chosen and done there goes to `selection`. */
export function makeRow(job, selection) {
  const box = h("input", {
    type: "checkbox",
    "aria-label": `Choose ${base(job.path)}`,
    onclick: event => selection.tick(job, event),
  });
  const act = (sign, words, work) =>
    h(
      "button",
      {
        class: "quiet",
        title: words,
        "aria-label": `${words} ${base(job.path)}`,
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
      thumb(job),
      h(
        "a",
        { class: "row-name", href: changed({ job: job.id }) },
        h("strong", {}, within(job.path, job.folder)),
        h("small", {}, `${base(job.folder)} → ${job.remote}`),
      ),
      h(
        "span",
        { class: "row-state" },
        h("span", { class: "state" }),
        h("progress", { max: 1, value: 0, hidden: true, "aria-label": "Sent" }),
      ),
      h("span", { class: "row-detail" }),
      h("span", { class: "row-size" }, size(job.size)),
      h("time", { class: "row-time" }),
      h(
        "span",
        { class: "row-actions" },
        act("retry", "Retry", () => selection.retry([job.id])),
        act("cancel", "Cancel", () => selection.cancel([job.id])),
      ),
    ),
  );
}

/** Bring a row up to date. */
export function followRow(row, job, chosen) {
  const state = row.querySelector(".state");
  state.className = `state ${job.state}`;
  say(state, stateWords(job));
  row.querySelector("progress").hidden = job.state !== "uploading";
  const detail = row.querySelector(".row-detail");
  say(detail, job.detail ?? "");
  detail.title = job.detail ?? "";
  const time = row.querySelector("time");
  say(time, when(job.updated_at));
  time.title = whole(job.updated_at);
  row.querySelector('[data-act="Retry"]').hidden = !["failed", "skipped", "waiting"].includes(job.state);
  row.querySelector('[data-act="Cancel"]').hidden = !["queued", "uploading", "waiting", "failed"].includes(job.state);
  row.querySelector("input").checked = chosen;
  row.querySelector(".row").classList.toggle("chosen", chosen);
}
