/** What the daemon is doing, in words: a headline, a tone (good, busy, still, warn, bad), and what to do about trouble. */

import { formatCount, formatDuration, formatRate, formatSize, pluralize } from "./ui/format.js";

/** The headline of the whole page: {tone, title, detail}. */
export function overallStatus(appState) {
  if (appState.connection === "locked") {
    return { tone: "bad", title: "Locked", detail: "This browser is no longer logged in. Run: syncd ctl open" };
  }
  if (!appState.daemon || !appState.progress) {
    return appState.connection === "lost"
      ? { tone: "bad", title: "No connection", detail: "The daemon is not responding. Trying again…" }
      : { tone: "still", title: "Connecting…", detail: "" };
  }
  if (appState.connection === "lost") {
    return {
      tone: "bad",
      title: "Connection lost",
      detail: "The daemon is not responding. Trying again… This page shows the last known state.",
    };
  }
  if (appState.daemon.state === "stopping")
    return { tone: "still", title: "Shutting down", detail: "The daemon is shutting down." };
  const { jobs, bytes, eta_seconds: eta } = appState.progress;
  const left = jobs.queued + jobs.uploading + jobs.waiting;
  if (appState.daemon.state === "stopped") {
    const waiting = left ? `${pluralize(left, "upload")} waiting (${formatSize(bytes.pending)}).` : "Nothing is waiting.";
    return {
      tone: "still",
      title: "Stopped",
      detail: `${waiting} New files are still detected. Press Start to upload them.`,
    };
  }
  if (appState.daemon.store_blocked)
    return { tone: "bad", title: "Uploads are blocked", detail: "Nothing can be stored; see the message above." };
  const trouble = outageStatus(appState);
  if (trouble && !jobs.uploading) return trouble;
  if (jobs.uploading) {
    const detail = [`${pluralize(left, "upload")} left (${formatSize(bytes.pending)})`];
    if (bytes.per_second >= 1) detail.push(formatRate(bytes.per_second));
    if (eta) detail.push(`about ${formatDuration(eta)} left`);
    const files = new Set(appState.progress.flights.map(flight => flight.path)).size;
    return { tone: "busy", title: files ? `Uploading ${pluralize(files, "file")}` : "Uploading", detail: detail.join(" · ") };
  }
  if (left)
    return {
      tone: "busy",
      title: `${pluralize(left, "upload")} waiting`,
      detail: left === 1 ? "It starts automatically when it is due." : "They start automatically when they are due.",
    };
  if (jobs.failed) {
    return {
      tone: "warn",
      title: `${pluralize(jobs.failed, "upload")} failed`,
      detail: "Everything else is uploaded. Open Files to see the reasons and what to do.",
    };
  }
  if (jobs.done)
    return { tone: "good", title: "Everything is uploaded", detail: `${pluralize(jobs.done, "upload")} confirmed.` };
  return {
    tone: "still",
    title: "Waiting for files",
    detail: "Drag a picture onto this page, or copy one into a watched folder.",
  };
}

/** What stops everything, for the banner: no connection, or nothing can be stored; "" if all goes on. */
export function bannerText(appState) {
  if (appState.connection === "lost" || appState.connection === "locked") {
    const { title, detail } = overallStatus(appState);
    return `${title}. ${detail}`;
  }
  const blocked = appState.daemon?.store_blocked;
  return blocked ? `Nothing can be stored, so nothing is uploaded. ${sentence(blocked)}` : "";
}

function outageStatus(appState) {
  const down = [...appState.remotes.values()].filter(remote => remote.state !== "online");
  if (down.length) {
    const names = joinNames(down.map(remote => remote.name));
    const refused = down.every(remote => remote.state === "unauthorized");
    const [refuse, answer] = down.length > 1 ? ["reject", "are not responding"] : ["rejects", "is not responding"];
    return {
      tone: "bad",
      title: refused ? `${names} ${refuse} the token` : `${names} ${answer}`,
      detail: refused
        ? "Set a valid token in the configuration, then reload it."
        : `Nothing is lost: uploads continue when ${down.length > 1 ? "they are" : "it is"} back.`,
    };
  }
  const away = [...appState.folders.values()].filter(folder => folder.state === "offline");
  if (away.length)
    return { tone: "bad", title: `${pluralize(away.length, "folder")} not available`, detail: away[0].detail ?? "" };
  return null;
}

/** A server: {tone, text, hint}. `now` in milliseconds. */
export function remoteStatus(remote, now = Date.now()) {
  if (remote.state === "online") return { tone: "good", text: "Online", hint: "" };
  const wait = Math.max(0, (remote.retry_in_seconds ?? 0) - (now - (remote.seen ?? now)) / 1000);
  const next = wait >= 1 ? `Next attempt in ${formatDuration(wait)}.` : "Trying again now.";
  return remote.state === "unauthorized"
    ? {
        tone: "bad",
        text: "Token rejected",
        hint: `${sentence(remote.detail)} Set a valid token in the configuration, then reload it. ${next}`,
      }
    : { tone: "bad", text: "Offline", hint: `${sentence(remote.detail)} ${next}` };
}

/** A watched folder: {tone, text, hint}. */
export function folderStatus(folder) {
  const hint = folder.detail ? sentence(folder.detail) : "";
  if (folder.state === "offline") return { tone: "bad", text: "Not available", hint };
  if (folder.state === "scanning") return { tone: "busy", text: "Scanning", hint };
  return { tone: hint ? "warn" : "good", text: folder.watch === "poll" ? "Watching (polling)" : "Watching", hint };
}

/** ["a", "b"] → "a and b". */
export const joinNames = names => new Intl.ListFormat("en-GB").format(names);
const sentence = text => (text ? text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".") : "");

const ADVICE = [
  [/token|401|403|unauthor/i, "Check the token in the configuration, reload, then retry."],
  [
    /permission|denied|may not read/i,
    "Make the file readable for the user that syncd runs as. It is then uploaded automatically.",
  ],
  [
    /different content|other content|differs/i,
    "The server holds different content under this name or hash. Compare the two, then retry.",
  ],
  [/too large|max_size|413/i, "Raise max_size in the configuration, or exclude the file."],
  [/changed|changing/i, "Another program keeps writing to the file. Close that program, then retry."],
];

/** What a person can do about a job that failed or was skipped. */
export function jobHint(job) {
  if (job.state === "failed")
    return ADVICE.find(([pattern]) => pattern.test(job.detail ?? ""))?.[1] ?? "Fix the cause, then retry.";
  if (job.state === "waiting") return "It is retried automatically. Retry does it now.";
  return "";
}

/** Why a job changed its state, in words; the API's own word for one that is not known here. */
export const causeText = cause => CAUSES[cause] ?? cause;

const CAUSES = {
  found: "new file",
  changed: "the file changed",
  claimed: "upload started",
  released: "interrupted",
  deferred: "attempt failed",
  uploaded: "confirmed by the server",
  duplicate: "already on the server",
  refused: "rejected",
  unfit: "not suitable for upload",
  gone: "file removed",
  retried: "retry requested",
  cancelled: "cancelled",
  missing: "copy missing or damaged",
};
