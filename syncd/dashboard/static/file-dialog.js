/** One file, opened over the view: its picture, where it is, its history on each server, and what can be done. */

import { api, fetchTextPreview, originalUrl, previewUrl } from "./api.js";
import { isCancellable, isRetryable } from "./files/jobs-by-file.js";
import { appState, subscribe } from "./app-state.js";
import { currentHrefWith, replaceRoute } from "./router.js";
import { breakablePath, h, icon, setText } from "./ui/dom.js";
import { baseName, formatDay, formatFullTimestamp, formatSize, formatTime, formatTimestamp, isTextFile, pluralize, stateText } from "./ui/format.js";
import { columnCount, largePreview } from "./ui/thumbnail.js";
import { runAction, showToast } from "./ui/toast.js";
import { causeText, jobHint } from "./status-text.js";

let opened = null;

/** Open the file of a job, or close what is open with null. `around(id)` names what stands before and after it. */
export function openFile(id, around = () => [null, null]) {
  if (!id) opened?.close();
  else if (opened) opened.turnTo(id, around);
  else opened = new JobDialog(id, around);
}

class JobDialog {
  constructor(id, around) {
    this.picture = h("div", { class: "job-picture" });
    this.facts = h("div", { class: "job-facts" });
    this.previous = h(
      "button",
      { class: "turn previous", "aria-label": "Previous", onclick: () => this.go(0) },
      icon("previous"),
    );
    this.next = h("button", { class: "turn next", "aria-label": "Next", onclick: () => this.go(1) }, icon("next"));
    this.title = h("h1", { id: "job-title", tabindex: "-1", autofocus: true }, "Loading…");
    const close = h(
      "button",
      { class: "quiet close", "aria-label": "Close", onclick: () => this.element.close() },
      icon("cancel"),
    );
    this.element = h(
      "dialog",
      {
        class: "job",
        "aria-labelledby": "job-title",
        onclose: () => this.closed(),
        onclick: event => event.target === this.element && this.element.close(),
        onkeydown: event => this.key(event),
      },
      h(
        "div",
        { class: "job-body" },
        h("div", { class: "job-stage" }, this.picture, this.previous, this.next),
        h("div", { class: "job-side" }, h("div", { class: "job-head" }, this.title, close), this.facts),
      ),
    );
    this.off = subscribe("job progress", (data, kind) => this.happened(data, kind));
    this.back = document.activeElement;
    document.body.append(this.element);
    this.element.showModal();
    this.turnTo(id, around);
  }

  close() {
    this.element.close();
  }

  closed() {
    this.off();
    this.element.remove();
    opened = null;
    if (currentHrefWith({}) !== currentHrefWith({ job: null })) replaceRoute(currentHrefWith({ job: null }));
    if (this.back?.isConnected) this.back.focus();
  }

  async turnTo(id, around) {
    this.around = around;
    if (String(id) === this.id) return;
    this.id = String(id);
    this.jobs = [];
    const [before, after] = around(id);
    this.previous.hidden = !before;
    this.next.hidden = !after;
    await this.load();
  }

  go(which) {
    const to = this.around(this.id)[which];
    if (to) replaceRoute(currentHrefWith({ job: to.id }));
  }

  key(event) {
    if (event.target.closest("input, pre")) return;
    if (event.key === "ArrowLeft") this.go(0);
    if (event.key === "ArrowRight") this.go(1);
  }

  /** Ask for the job, and by the file's exact name for those of the other servers. */
  async load() {
    const asked = this.id;
    try {
      const {
        jobs: [job],
      } = await api.job(asked);
      const { jobs } = await api.job(job.uri);
      if (asked !== this.id) return;
      this.show(jobs.length ? jobs : [job]);
    } catch (error) {
      if (asked === this.id) this.fail(error);
    }
  }

  fail(error) {
    setText(this.title, "Not found");
    this.picture.replaceChildren();
    this.facts.replaceChildren(h("p", { class: "reason" }, error.message));
  }

  show(jobs) {
    const first = jobs.find(job => String(job.id) === this.id) ?? jobs[0];
    const seen = `${first.id} ${first.size} ${first.key}`;
    this.jobs = jobs;
    setText(this.title, baseName(first.path));
    if (this.seen !== seen) {
      this.seen = seen;
      this.picture.replaceChildren(isTextFile(first.path) ? this.art(first) : this.image(first));
    }
    this.facts.replaceChildren(
      h(
        "dl",
        { class: "facts" },
        fact("Path", breakablePath(first.path)),
        fact(
          "Size",
          first.size < 1024 ? pluralize(first.size, "byte") : `${formatSize(first.size)} (${pluralize(first.size, "byte")})`,
        ),
        first.key && fact("Hash", h("code", {}, first.key)),
      ),
      first.present === false
        ? h("p", { class: "muted" }, "The file is no longer in its folder.")
        : h(
            "p",
            {},
            h(
              "a",
              { href: originalUrl(first.id), target: "_blank", rel: "noopener", class: "more" },
              "Open the original file",
            ),
          ),
      ...jobs.map(job => this.section(job)),
    );
  }

  image(job) {
    return largePreview(job, () => this.noPicture(job));
  }

  /** Say why there is none: an image element is not told. */
  async noPicture(job) {
    const answer = await fetch(previewUrl(job.id, 1600)).catch(() => null);
    const { error } = (await answer?.json().catch(() => null)) ?? {};
    if (this.jobs.some(other => other.id === job.id))
      this.picture.replaceChildren(h("p", { class: "muted" }, `No preview${error ? `: ${error}` : ""}`));
  }

  art(job) {
    const pre = h("pre", { class: "art-whole", tabindex: "0", "aria-label": baseName(job.path) });
    fetchTextPreview(job).then(
      content => {
        setText(pre, content);
        pre.style.setProperty("--columns", columnCount(content));
      },
      error => setText(pre, error.message),
    );
    return pre;
  }

  /** What one server has of it. */
  section(job) {
    const result = h("p", { class: "verdict", role: "status", hidden: true });
    const hint = jobHint(job);
    const act = (name, sign, words, work) =>
      h(
        "button",
        {
          class: "small",
          onclick: event => runAction(event.currentTarget, work),
          "aria-label": `${name}: ${job.remote}`,
        },
        icon(sign),
        words,
      );
    const actions = [];
    if (job.state === "done") actions.push(act("Verify", "shield", "Verify", () => this.verify(job, result)));
    if (isRetryable(job)) actions.push(act("Retry", "retry", "Retry", () => this.retry(job)));
    if (isCancellable(job)) actions.push(act("Cancel", "cancel", "Cancel", () => this.cancel(job)));
    return h(
      "section",
      { class: "job-remote", "data-job": job.id },
      h(
        "div",
        { class: "panel-head" },
        h("h2", {}, icon("server"), job.remote),
        h("span", { class: `state ${job.state}` }, stateText(job)),
      ),
      job.detail && h("p", { class: "reason" }, breakablePath(job.detail)),
      hint && h("p", { class: "hint" }, hint),
      h(
        "dl",
        { class: "facts" },
        job.ref && fact("Server ID", h("code", {}, job.ref)),
        job.attempts > 0 && fact("Failed attempts", String(job.attempts)),
        fact(
          "Last change",
          h("time", { datetime: job.updated_at, title: formatFullTimestamp(job.updated_at) }, formatTimestamp(job.updated_at)),
        ),
      ),
      h("div", { class: "actions" }, actions),
      result,
      h(
        "details",
        { open: job.state !== "done" },
        h("summary", {}, "History"),
        h("ol", { class: "history" }, job.history.map(step)),
      ),
    );
  }

  async verify(job, result) {
    setText(result, "Downloading the server's copy…");
    result.hidden = false;
    result.className = "verdict";
    const {
      results: [found],
    } = await api.verify([String(job.id)], false).catch(error => {
      result.hidden = true;
      throw error;
    });
    const whole_ = found.verdict === "whole";
    result.classList.add(whole_ ? "good" : "bad");
    setText(
      result,
      whole_
        ? "The server's copy is intact: same size, same content."
        : `${VERDICTS[found.verdict]}${found.detail ? `: ${found.detail}` : ""}`,
    );
    if (found.verdict === "missing" || found.verdict === "different") {
      result.append(
        " ",
        h(
          "button",
          { class: "small", onclick: event => runAction(event.currentTarget, () => this.repair(job)) },
          "Upload it again",
        ),
      );
    }
  }

  async repair(job) {
    const { queued } = await api.verify([String(job.id)], true);
    showToast(
      queued ? "Queued to be uploaded again." : "It can't be uploaded again: the file is no longer in its folder.",
      queued ? "good" : "bad",
    );
    await this.load();
  }

  async retry(job) {
    await api.retry([String(job.id)]);
    showToast(`${baseName(job.path)} is queued again for ${job.remote}.`);
    await this.load();
  }

  async cancel(job) {
    await api.cancel([String(job.id)]);
    showToast(`${baseName(job.path)} is cancelled for ${job.remote}. Retry queues it again.`);
    await this.load();
  }

  /** A job of this file has changed, or moved on. */
  happened(data, kind) {
    if (kind === "job") {
      const known = this.jobs.find(job => job.id === data.id);
      if (known && known.updated_at !== data.updated_at) this.load();
      return;
    }
    for (const flight of appState.progress.flights) {
      const badge = this.facts.querySelector(`[data-job="${flight.id}"] .state`);
      if (badge && flight.size) setText(badge, `uploading, ${Math.floor((flight.sent / flight.size) * 100)} %`);
    }
  }
}

const VERDICTS = {
  missing: "The server does not have it",
  different: "The server has different content",
  unreachable: "The server could not be reached",
  unknown: "Not uploaded yet",
};

const fact = (name, value) => [h("dt", {}, name), h("dd", {}, value)];

const step = taken =>
  h(
    "li",
    {},
    h("time", { datetime: taken.at, title: formatFullTimestamp(taken.at) }, `${formatDay(taken.at)} ${formatTime(taken.at)}`),
    h("span", { class: `state ${taken.state}` }, taken.state),
    h("span", {}, causeText(taken.cause)),
    taken.detail && h("small", {}, taken.detail),
  );
