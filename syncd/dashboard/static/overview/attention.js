/** The list of what needs attention, each with its reason and the actions that resolve it. */

import { api } from "../api.js";
import { appState, subscribe } from "../app-state.js";
import { problems, reasonParts } from "../problems.js";
import { currentHrefWith } from "../router.js";
import { jobHint, overallStatus, retryText } from "../status-text.js";
import { h, setPathText, setText, syncChildren } from "../ui/dom.js";
import { baseName, pluralize } from "../ui/format.js";
import { runAction, showToast } from "../ui/toast.js";

const COUNTDOWN_INTERVAL_MS = 1000; // for the time until the next attempt

export function createAttention() {
  const list = h("ul", { class: "attention", "aria-label": "Needs attention", hidden: true });
  const items = new Map();
  const update = () => {
    const found = appState.connection === "open" ? problems(appState) : [];
    const headline = overallStatus(appState).title;
    const rows = found.map((problem, index) => [
      problem.kind,
      { problem, isHeadline: index === 0 && problem.title === headline },
    ]);
    list.hidden = !found.length;
    syncChildren(list, items, new Map(rows), () => new ProblemItem());
    found.forEach(({ kind }, index) => moveTo(list, items.get(kind).element, index));
  };
  const unsubscribe = subscribe("daemon progress connection remote folder", update);
  const timer = setInterval(update, COUNTDOWN_INTERVAL_MS);
  update();
  return {
    element: list,
    destroy() {
      unsubscribe();
      clearInterval(timer);
    },
  };
}

/** Move a child to its place, only if it is not there: a moved element loses the keyboard focus. */
function moveTo(list, element, index) {
  if (list.children[index] !== element) list.insertBefore(element, list.children[index]);
}

/** A problem. If the page's headline is this problem, the item does not repeat its title and detail. */
class ProblemItem {
  constructor() {
    this.title = h("strong", { class: "problem-title" });
    this.detail = h("p", { class: "problem-detail" });
    this.example = h("p", { class: "problem-example", hidden: true });
    this.plumbing = h("small", { class: "problem-plumbing" });
    this.buttons = h("div", { class: "actions" });
    this.element = h("li", {}, this.title, this.detail, this.example, this.buttons, this.plumbing);
  }

  update({ problem, isHeadline }) {
    this.element.dataset.tone = problem.tone;
    this.title.hidden = this.detail.hidden = isHeadline;
    setText(this.title, problem.title);
    setPathText(this.detail, problem.detail);
    const waiting = problem.remotes.slice(0, 1).map(remote => retryText(remote));
    setPathText(this.plumbing, [problem.plumbing, ...waiting].filter(Boolean).join(" "));
    this.showActions(problem.actions, isHeadline);
    if (problem.kind === "failed") this.showExample(appState.progress.jobs.failed);
  }

  /** Create the buttons, unless they are the same: a button that is replaced loses the keyboard focus. */
  showActions(actions, isHeadline) {
    const signature = JSON.stringify([actions, isHeadline]);
    if (signature === this.signature) return;
    this.signature = signature;
    this.buttons.replaceChildren(
      ...actions.map((action, index) => {
        const style = isHeadline && index === 0 ? "button primary" : "button";
        if (action.href) return h("a", { class: style, href: action.href }, action.label);
        return h("button", { class: style, onclick: event => run(action, event.currentTarget) }, action.label);
      }),
    );
  }

  /** Show the latest of the failed uploads, with the server's words and what to do. */
  async showExample(failedCount) {
    if (failedCount === this.shownCount) return;
    this.shownCount = failedCount;
    const { jobs } = await api.jobs({ state: "failed", limit: 1 }).catch(() => ({ jobs: [] }));
    this.example.hidden = !jobs.length;
    if (!jobs.length) return;
    const [job] = jobs;
    const link = h("a", { href: currentHrefWith({ job: job.id }) }, baseName(job.path));
    this.example.replaceChildren(link, `: ${reasonParts(job.detail).words} ${jobHint(job)}`);
  }
}

const RUN = {
  async retry() {
    const { count } = await api.retry("all");
    showToast(`${pluralize(count, "upload")} queued again.`);
  },
  async probe(remotes) {
    await Promise.all(remotes.map(api.probe));
    showToast("Checking the server…");
  },
  async rescan(folders) {
    await Promise.all(folders.map(api.rescan));
    showToast("Checking the folder…");
  },
};

const run = ({ run: name, targets }, button) => runAction(button, () => RUN[name](targets));
