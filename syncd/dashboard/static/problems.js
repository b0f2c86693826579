/**
 * What needs attention, with the action that resolves it.
 *
 * status-text.js has the texts for the states that need none.
 */

import { routeHref } from "./router.js";
import { baseName, joinNames, pluralize, toSentence } from "./ui/format.js";

/**
 * Return what needs attention, most severe first: [{kind, tone, title, detail, plumbing, remotes, actions}].
 *
 * `detail` has the words of the server or the system, `plumbing` the technical context. `remotes` are those whose next
 * attempt is due. An action is {label, href} for a link, or {label, run, targets}, where `run` is "retry", "probe" or
 * "rescan". The first action is the main one.
 */
export function problems(state) {
  if (!state.daemon || !state.progress) return [];
  return [storeProblem(state), ...remoteProblems(state), ...folderProblems(state), failedProblem(state)].filter(Boolean);
}

function storeProblem({ daemon }) {
  if (!daemon.store_blocked) return null;
  const [, path = "", reason] = /^(?:((?:\/|\\\\|[A-Za-z]:\\).*?): )?(.+)$/.exec(daemon.store_blocked);
  return problem("store", "error", "Uploads are blocked", {
    detail: toSentence(reason),
    plumbing: `Uploads continue as soon as syncd can write to its job store${path && ` ${path}`}.`,
    actions: [{ label: "Show details", href: routeHref("log", { level: "error" }) }],
  });
}

function remoteProblems({ daemon, remotes }) {
  return ["unauthorized", "offline"].map(name => {
    const affected = [...remotes.values()].filter(remote => remote.state === name);
    if (!affected.length) return null;
    const names = joinNames(affected.map(remote => remote.name));
    const plumbing = affected.map(remote => reasonParts(remote.detail).plumbing).filter(Boolean).join(" ");
    const { words } = reasonParts(affected[0].detail);
    const check = { label: "Check again", run: "probe", targets: affected.map(remote => remote.name) };
    const checks = daemon.state === "stopped" ? [] : [check]; // the daemon asks no server while uploads are paused
    const many = affected.length > 1;
    if (name === "unauthorized") {
      return problem(name, "error", `${names} ${many ? "reject" : "rejects"} the token`, {
        detail: `${words} Set a valid token in the configuration, then reload it.`,
        plumbing,
        remotes: affected,
        actions: [{ label: "Open settings", href: routeHref("settings") }, ...checks],
      });
    }
    return problem(name, "error", `${names} ${many ? "are" : "is"} not responding`, {
      detail: `${words} No files are lost: uploads continue when ${many ? "the servers respond" : "the server responds"} again.`,
      plumbing,
      remotes: affected,
      actions: checks,
    });
  });
}

function folderProblems({ folders }) {
  const offline = [...folders.values()].filter(folder => folder.state === "offline");
  return offline.map(folder =>
    problem(`folder ${folder.path}`, "error", `Folder ${baseName(folder.path)} is offline`, {
      detail: toSentence(folder.detail),
      plumbing: "Its files are not treated as deleted. syncd looks for the folder again and again.",
      actions: [{ label: "Check again", run: "rescan", targets: [folder.uri] }],
    }),
  );
}

function failedProblem({ progress: { jobs, unreadable_files: unreadable } }) {
  if (!jobs.failed) return null;
  const pending = jobs.queued + jobs.uploading + jobs.waiting;
  const others = pending ? "Other uploads continue." : "All other uploads are done.";
  return problem("failed", "warning", `${pluralize(jobs.failed, "upload")} failed`, {
    detail: [unreadable && `${pluralize(unreadable, "file")} cannot be read.`, others].filter(Boolean).join(" "),
    actions: [
      { label: "Retry all failed", run: "retry", targets: [] },
      { label: "Show details", href: routeHref("files", { state: "failed" }) },
    ],
  });
}

const problem = (kind, tone, title, { detail, plumbing = "", remotes = [], actions }) => ({
  kind,
  tone,
  title,
  detail,
  plumbing,
  remotes,
  actions,
});

/**
 * Split the daemon's reason for a failure: {words, plumbing}, two sentences.
 *
 * `words` are those of the server or the system, `plumbing` is the request that they answer.
 */
export function reasonParts(reason) {
  const cause = reason?.replace(/; check the remote's token$/, ""); // the page says how to fix a token
  const match = /^(\S+ answered \d{3} to \S+ \S+|can't connect to .+?): (.+)$/.exec(cause ?? "");
  return match
    ? { words: toSentence(match[2]), plumbing: toSentence(match[1]) }
    : { words: toSentence(cause), plumbing: "" };
}
