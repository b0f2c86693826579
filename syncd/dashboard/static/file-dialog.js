/** The dialog for one file: its image or text, its properties, and a section for each remote. */

import { api, fetchTextPreview, originalUrl, previewUrl } from "./api.js";
import { appState, subscribe } from "./app-state.js";
import { property, remoteSection, updateUploadPercentage } from "./file-remote-section.js";
import { currentHrefWith, replaceRoute } from "./router.js";
import { breakablePath, h, icon, setText } from "./ui/dom.js";
import { baseName, formatSize, isTextFile, pluralize } from "./ui/format.js";
import { columnCount, largePreview } from "./ui/thumbnail.js";

let openDialog = null;

/**
 * Open the dialog for the file of a job, or close it if `id` is null.
 *
 * `neighbours(id)` returns the previous and next job in the list that the dialog was opened from, or null for each.
 */
export function openFile(id, neighbours = () => [null, null]) {
  if (!id) openDialog?.close();
  else if (openDialog) openDialog.showJob(id, neighbours);
  else openDialog = new FileDialog(id, neighbours);
}

class FileDialog {
  constructor(id, neighbours) {
    this.preview = h("div", { class: "file-dialog-preview" });
    this.details = h("div", { class: "file-dialog-details" });
    this.previous = stepButton("previous", "Previous file", () => this.step(0));
    this.next = stepButton("next", "Next file", () => this.step(1));
    this.title = h("h1", { id: "file-dialog-title", tabindex: "-1", autofocus: true }, "Loading…");
    const close = h("button", { class: "subtle", "aria-label": "Close", onclick: () => this.close() }, icon("cancel"));
    this.element = h(
      "dialog",
      {
        class: "file-dialog",
        "aria-labelledby": "file-dialog-title",
        onclose: () => this.onClosed(),
        onclick: event => event.target === this.element && this.close(), // a click on the backdrop
        onkeydown: event => this.onKeyDown(event),
      },
      h(
        "div",
        { class: "file-dialog-columns" },
        h("div", { class: "file-dialog-stage" }, this.preview, this.previous, this.next),
        h(
          "div",
          { class: "file-dialog-side" },
          h("div", { class: "file-dialog-head" }, this.title, close),
          this.details,
        ),
      ),
    );
    this.unsubscribe = subscribe("job progress", (data, kind) => this.onEvent(data, kind));
    this.focusBefore = document.activeElement;
    document.body.append(this.element);
    this.element.showModal();
    this.showJob(id, neighbours);
  }

  close() {
    this.element.close();
  }

  onClosed() {
    this.unsubscribe();
    this.element.remove();
    openDialog = null;
    const listHref = currentHrefWith({ job: null });
    if (currentHrefWith({}) !== listHref) replaceRoute(listHref);
    if (this.focusBefore?.isConnected) this.focusBefore.focus();
  }

  async showJob(id, neighbours) {
    this.neighbours = neighbours;
    if (String(id) === this.id) return;
    this.id = String(id);
    this.jobs = [];
    const [previous, next] = neighbours(id);
    this.previous.hidden = !previous;
    this.next.hidden = !next;
    await this.load();
  }

  /** Go to the previous (0) or next (1) file. */
  step(which) {
    const job = this.neighbours(this.id)[which];
    if (job) replaceRoute(currentHrefWith({ job: job.id }));
  }

  onKeyDown(event) {
    if (event.target.closest("input, pre")) return;
    if (event.key === "ArrowLeft") this.step(0);
    if (event.key === "ArrowRight") this.step(1);
  }

  /** Load the job, then all jobs of its file by the file's URI. */
  async load() {
    const id = this.id;
    try {
      const {
        jobs: [job],
      } = await api.job(id);
      const { jobs } = await api.job(job.uri);
      if (id === this.id) this.showJobs(jobs.length ? jobs : [job]);
    } catch (error) {
      if (id === this.id) this.showError(error);
    }
  }

  showError(error) {
    setText(this.title, error.status === 404 ? "File not found" : "Cannot load this file");
    this.preview.replaceChildren();
    this.details.replaceChildren(h("p", { class: "reason" }, error.message));
  }

  showJobs(jobs) {
    const job = jobs.find(other => String(other.id) === this.id) ?? jobs[0];
    this.jobs = jobs;
    setText(this.title, baseName(job.path));
    const content = `${job.id} ${job.size} ${job.key}`;
    if (this.shownContent !== content) {
      this.shownContent = content;
      this.preview.replaceChildren(isTextFile(job.path) ? textPreview(job) : this.imagePreview(job));
    }
    const onChange = () => this.load();
    const sections = jobs.map(one =>
      remoteSection(one, onChange, this.details.querySelector(`[data-job="${one.id}"]`)),
    );
    this.details.replaceChildren(properties(job), originalLink(job), ...sections);
  }

  imagePreview(job) {
    return largePreview(job, () => this.showPreviewError(job));
  }

  /** Show why there is no preview. The image element does not report the reason, so the request is repeated. */
  async showPreviewError(job) {
    const response = await fetch(previewUrl(job.id, 1600)).catch(() => null);
    const { error } = (await response?.json().catch(() => null)) ?? {};
    if (this.jobs.some(other => other.id === job.id)) {
      const text = error ? `No preview available: ${error}` : "No preview available";
      this.preview.replaceChildren(h("p", { class: "muted" }, text));
    }
  }

  onEvent(data, kind) {
    if (kind === "job") {
      const job = this.jobs.find(other => other.id === data.id);
      if (job && job.updated_at !== data.updated_at) this.load();
      return;
    }
    for (const flight of appState.progress.flights) updateUploadPercentage(this.details, flight);
  }
}

const stepButton = (iconName, label, onclick) =>
  h("button", { class: `step-button ${iconName}`, "aria-label": label, onclick }, icon(iconName));

function textPreview(job) {
  const pre = h("pre", { class: "text-preview", tabindex: "0", "aria-label": baseName(job.path) });
  fetchTextPreview(job).then(
    text => {
      pre.textContent = text; // the content of the file, unchanged
      pre.style.setProperty("--columns", columnCount(text));
    },
    error => setText(pre, error.message),
  );
  return pre;
}

function properties(job) {
  const bytes = pluralize(job.size, "byte");
  return h(
    "dl",
    { class: "properties" },
    property("Path", breakablePath(job.path)),
    property("Size", job.size < 1024 ? bytes : `${formatSize(job.size)} (${bytes})`),
    job.key && property("Hash", h("code", {}, job.key)),
  );
}

function originalLink(job) {
  if (job.present === false) return h("p", { class: "muted" }, "The file is no longer in its folder.");
  const attributes = { href: originalUrl(job.id), target: "_blank", rel: "noopener", class: "text-link" };
  return h("p", {}, h("a", attributes, "Open the original file"));
}
