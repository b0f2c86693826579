/** One file, opened over the view: its picture, where it is, its history on each server, and what can be done. */

import { api, original, preview, text } from "./api.js";
import { canCancel, canRetry } from "./files/jobs-by-file.js";
import { live, on } from "./app-state.js";
import { changed, replace } from "./router.js";
import { broken, h, icon, say } from "./ui/dom.js";
import { base, clock, counted, day, isText, size, stateWords, when, whole } from "./ui/format.js";
import { picture, widest } from "./ui/thumbnail.js";
import { attempt, toast } from "./ui/toast.js";
import { advice, causeWords } from "./status-text.js";

let opened = null;

/** Open the file of a job, or close what is open with null. `around(id)` names what stands before and after it. */
export function openJob(id, around = () => [null, null]) {
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
    this.off = on("job progress", (data, kind) => this.happened(data, kind));
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
    if (changed({}) !== changed({ job: null })) replace(changed({ job: null }));
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
    if (to) replace(changed({ job: to.id }));
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
    say(this.title, "Not found");
    this.picture.replaceChildren();
    this.facts.replaceChildren(h("p", { class: "reason" }, error.message));
  }

  show(jobs) {
    const first = jobs.find(job => String(job.id) === this.id) ?? jobs[0];
    const seen = `${first.id} ${first.size} ${first.key}`;
    this.jobs = jobs;
    say(this.title, base(first.path));
    if (this.seen !== seen) {
      this.seen = seen;
      this.picture.replaceChildren(isText(first.path) ? this.art(first) : this.image(first));
    }
    this.facts.replaceChildren(
      h(
        "dl",
        { class: "facts" },
        fact("Path", broken(first.path)),
        fact(
          "Size",
          first.size < 1024 ? counted(first.size, "byte") : `${size(first.size)} (${counted(first.size, "byte")})`,
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
              { href: original(first.id), target: "_blank", rel: "noopener", class: "more" },
              "Open the original file",
            ),
          ),
      ...jobs.map(job => this.section(job)),
    );
  }

  image(job) {
    return picture(job, () => this.noPicture(job));
  }

  /** Say why there is none: an image element is not told. */
  async noPicture(job) {
    const answer = await fetch(preview(job.id, 1600)).catch(() => null);
    const { error } = (await answer?.json().catch(() => null)) ?? {};
    if (this.jobs.some(other => other.id === job.id))
      this.picture.replaceChildren(h("p", { class: "muted" }, `No preview${error ? `: ${error}` : ""}`));
  }

  art(job) {
    const pre = h("pre", { class: "art-whole", tabindex: "0", "aria-label": base(job.path) });
    text(job).then(
      content => {
        say(pre, content);
        pre.style.setProperty("--columns", widest(content));
      },
      error => say(pre, error.message),
    );
    return pre;
  }

  /** What one server has of it. */
  section(job) {
    const result = h("p", { class: "verdict", role: "status", hidden: true });
    const hint = advice(job);
    const act = (name, sign, words, work) =>
      h(
        "button",
        {
          class: "small",
          onclick: event => attempt(event.currentTarget, work),
          "aria-label": `${name}: ${job.remote}`,
        },
        icon(sign),
        words,
      );
    const actions = [];
    if (job.state === "done") actions.push(act("Verify", "shield", "Verify", () => this.verify(job, result)));
    if (canRetry(job)) actions.push(act("Retry", "retry", "Retry", () => this.retry(job)));
    if (canCancel(job)) actions.push(act("Cancel", "cancel", "Cancel", () => this.cancel(job)));
    return h(
      "section",
      { class: "job-remote", "data-job": job.id },
      h(
        "div",
        { class: "panel-head" },
        h("h2", {}, icon("server"), job.remote),
        h("span", { class: `state ${job.state}` }, stateWords(job)),
      ),
      job.detail && h("p", { class: "reason" }, broken(job.detail)),
      hint && h("p", { class: "hint" }, hint),
      h(
        "dl",
        { class: "facts" },
        job.ref && fact("Server ID", h("code", {}, job.ref)),
        job.attempts > 0 && fact("Failed attempts", String(job.attempts)),
        fact(
          "Last change",
          h("time", { datetime: job.updated_at, title: whole(job.updated_at) }, when(job.updated_at)),
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
    say(result, "Downloading the server's copy…");
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
    say(
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
          { class: "small", onclick: event => attempt(event.currentTarget, () => this.repair(job)) },
          "Upload it again",
        ),
      );
    }
  }

  async repair(job) {
    const { queued } = await api.verify([String(job.id)], true);
    toast(
      queued ? "Queued to be uploaded again." : "It can't be uploaded again: the file is no longer in its folder.",
      queued ? "good" : "bad",
    );
    await this.load();
  }

  async retry(job) {
    await api.retry([String(job.id)]);
    toast(`${base(job.path)} is queued again for ${job.remote}.`);
    await this.load();
  }

  async cancel(job) {
    await api.cancel([String(job.id)]);
    toast(`${base(job.path)} is cancelled for ${job.remote}. Retry queues it again.`);
    await this.load();
  }

  /** A job of this file has changed, or moved on. */
  happened(data, kind) {
    if (kind === "job") {
      const known = this.jobs.find(job => job.id === data.id);
      if (known && known.updated_at !== data.updated_at) this.load();
      return;
    }
    for (const flight of live.progress.flights) {
      const badge = this.facts.querySelector(`[data-job="${flight.id}"] .state`);
      if (badge && flight.size) say(badge, `uploading, ${Math.floor((flight.sent / flight.size) * 100)} %`);
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
    h("time", { datetime: taken.at, title: whole(taken.at) }, `${day(taken.at)} ${clock(taken.at)}`),
    h("span", { class: `state ${taken.state}` }, taken.state),
    h("span", {}, causeWords(taken.cause)),
    taken.detail && h("small", {}, taken.detail),
  );
