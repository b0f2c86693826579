/** The Overview: the status with what needs attention, folders and remotes, figures, and uploads. */

import { appState, subscribe } from "../app-state.js";
import { createAttention } from "../overview/attention.js";
import { createActiveUploads } from "../overview/active-uploads.js";
import { createFoldersAndRemotes } from "../overview/folders-and-remotes.js";
import { createRecentUploads } from "../overview/recent-uploads.js";
import { createUploadSpeed } from "../overview/upload-speed.js";
import { pauseButton } from "../pause-button.js";
import { routeHref } from "../router.js";
import { exceptions, overallStatus, pendingCount, uploadStatus } from "../status-text.js";
import { h, setPathText, setText } from "../ui/dom.js";
import { formatCount, formatRate, formatSize } from "../ui/format.js";

export function overviewView() {
  const [summary, status] = [createSummary(), createFoldersAndRemotes()];
  const uploads = [createFigures(), createActiveUploads(), createUploadSpeed(), createRecentUploads()];
  const column = h(
    "div",
    { class: "overview-uploads" },
    uploads.map(panel => panel.element),
  );
  return {
    element: h("div", { class: "overview" }, summary.element, status.element, column),
    destroy: () => [summary, status, ...uploads].forEach(panel => panel.destroy()),
  };
}

/** The figures of the summary. `value` and `note` take the counts and bytes of the API's `progress` event. */
const FIGURES = [
  {
    label: "Pending uploads",
    href: routeHref("files", { state: "pending" }),
    value: ({ jobs }) => formatCount(pendingCount(jobs)),
    note: ({ bytes }) => (bytes.pending ? `${formatSize(bytes.pending)} to upload` : "nothing to upload"),
  },
  {
    label: "Finished uploads",
    href: routeHref("gallery"),
    value: ({ jobs }) => formatCount(jobs.done),
    note: () => "confirmed by the server",
  },
  {
    label: "Failed uploads",
    href: routeHref("files", { state: "failed" }),
    value: ({ jobs }) => formatCount(jobs.failed),
    note: ({ jobs }) => (jobs.failed ? "see the reasons" : "no failed uploads"),
  },
  {
    label: "Data sent",
    href: routeHref("log", { event: "sync." }),
    value: ({ bytes }) => formatSize(bytes.sent),
    note: ({ bytes }) => (bytes.per_second >= 1 ? formatRate(bytes.per_second) : "since syncd started"),
  },
];

/** Create the panel with the overall status, what needs attention, and the pause button. */
function createSummary() {
  const title = h("h1");
  const detail = h("p", { class: "summary-detail" });
  const progress = h("p", { class: "summary-progress", hidden: true });
  const button = pauseButton("pause-button large");
  const attention = createAttention();
  const element = h(
    "section",
    { class: "summary", "aria-label": "Status" },
    h("div", { role: "status" }, title, detail),
    attention.element,
    progress,
    button,
  );
  const update = () => {
    const status = overallStatus(appState);
    element.dataset.tone = status.tone;
    setText(title, status.title);
    setPathText(detail, status.detail);
    const uploading = appState.progress?.jobs.uploading ? uploadStatus(appState) : null;
    progress.hidden = !uploading || uploading.title === status.title;
    setText(progress, uploading ? `${uploading.title}: ${uploading.detail}` : "");
  };
  const unsubscribe = subscribe("daemon progress connection remote folder", update);
  update();
  return {
    element,
    destroy() {
      unsubscribe();
      button.destroy();
      attention.destroy();
    },
  };
}

/** Create the figures, and the links to what is not uploaded. */
function createFigures() {
  const figures = FIGURES.map(createFigure);
  const notUploaded = h("p", { class: "not-uploaded", hidden: true });
  const element = h(
    "section",
    { class: "figures", "aria-label": "Counts" },
    figures.map(figure => figure.element),
    notUploaded,
  );
  const update = () => {
    if (!appState.progress) return;
    figures.forEach(figure => figure.update(appState.progress));
    showExceptions(notUploaded, exceptions(appState));
  };
  const destroy = subscribe("progress folder", update);
  update();
  return { element, destroy };
}

/** Show the links to what is not uploaded. Nothing is replaced if it has not changed, so that a link keeps the focus. */
function showExceptions(element, list) {
  const signature = JSON.stringify(list);
  if (element.dataset.shown === signature) return;
  element.dataset.shown = signature;
  element.hidden = !list.length;
  const links = list.map(({ text, href }) => h("a", { href }, text));
  element.replaceChildren("Not uploaded: ", ...links.flatMap(link => [link, ", "]).slice(0, -1));
}

function createFigure({ label, href, value, note }) {
  const valueElement = h("strong", {}, "–");
  const noteElement = h("small");
  return {
    element: h("a", { class: "figure", href }, h("span", {}, label), valueElement, noteElement),
    update(progress) {
      setText(valueElement, value(progress));
      setText(noteElement, note(progress));
    },
  };
}
