/** A row of the file list, with a state badge for each remote of the file. */

import { currentHrefWith } from "../router.js";
import { h, icon, setAttributes, setText } from "../ui/dom.js";
import { baseName, formatFullTimestamp, formatSize, formatTimestamp, relativePath } from "../ui/format.js";
import { remoteStates, updateRemoteStates } from "../ui/remote-states.js";
import { thumbnail } from "../ui/thumbnail.js";
import { runAction } from "../ui/toast.js";
import { cancellableJobs, detailText, lastChangedAt, retryableJobs } from "./jobs-by-file.js";

/** Create the row of a file. Its checkbox and buttons act on `selection`. */
export function createFileRow(file, selection) {
  const { key } = file;
  const checkbox = h("input", {
    type: "checkbox",
    "aria-label": `Select ${baseName(file.path)}`,
    onclick: event => selection.toggle(key, event),
  });
  const actionButton = (iconName, label, action) =>
    h(
      "button",
      {
        class: "subtle",
        title: label,
        "aria-label": `${label} ${baseName(file.path)}`,
        "data-action": iconName,
        onclick: event => runAction(event.currentTarget, action),
      },
      icon(iconName),
    );
  return h(
    "div",
    { role: "listitem" },
    h(
      "div",
      { class: "file-row" },
      h("span", { class: "file-row-checkbox" }, checkbox),
      thumbnail(file.jobs[0]),
      h(
        "a",
        { class: "file-row-name", href: currentHrefWith({ job: file.jobs[0].id }) },
        h("strong", {}, relativePath(file.path, file.folder)),
        h("small"),
      ),
      h(
        "span",
        { class: "file-row-state" },
        remoteStates(),
        h("progress", { max: 1, value: 0, hidden: true, "aria-label": "Uploaded" }),
      ),
      h("span", { class: "file-row-detail" }),
      h("span", { class: "file-row-size" }),
      h("time", { class: "file-row-time" }),
      h(
        "span",
        { class: "file-row-actions" },
        actionButton("retry", "Retry", () => selection.retry([key])),
        actionButton("cancel", "Cancel", () => selection.cancel([key])),
      ),
    ),
  );
}

/** Show the file's current state in its row. */
export function updateFileRow(row, file, selected) {
  const { jobs } = file;
  const find = selector => row.querySelector(selector);
  const remote = jobs.length === 1 ? ` → ${jobs[0].remote}` : "";
  setText(find(".file-row-name small"), `${baseName(file.folder)}${remote}`);
  updateRemoteStates(find(".remote-states"), jobs);
  find("progress").hidden = !jobs.some(job => job.state === "uploading");
  const detail = detailText(file);
  setText(find(".file-row-detail"), detail);
  setAttributes(find(".file-row-detail"), { title: detail });
  setText(find(".file-row-size"), formatSize(jobs[0].size));
  const changedAt = lastChangedAt(file);
  setText(find("time"), formatTimestamp(changedAt));
  find("time").title = formatFullTimestamp(changedAt);
  find('[data-action="retry"]').hidden = !retryableJobs(file).length;
  find('[data-action="cancel"]').hidden = !cancellableJobs(file).length;
  find("input").checked = selected;
  find(".file-row").classList.toggle("selected", selected);
}

/** Show the progress of a file's running uploads in its row. */
export function updateRowProgress(row, flights) {
  const sum = field => flights.reduce((total, flight) => total + flight[field], 0);
  row.querySelector("progress").value = sum("size") ? sum("sent") / sum("size") : 0;
}
