/**
 * Texts for the state of the daemon, its folders, remotes and jobs.
 *
 * A tone is the colour of a status: "success", "active", "neutral", "warning" or "error".
 */

import { problems, reasonParts } from "./problems.js";
import { routeHref } from "./router.js";
import { formatCount, formatDayAndTime, formatDuration, formatRate, formatSize, joinNames, pluralize, toSentence } from "./ui/format.js";

/** Return the status of the whole daemon: {tone, title, detail}. What needs attention comes first. */
export function overallStatus(state) {
  return connectionStatus(state) ?? daemonStatus(state) ?? problems(state)[0] ?? uploadStatus(state);
}

function connectionStatus({ connection, daemon, progress }) {
  if (connection === "logged_out") {
    return {
      tone: "error",
      title: "Logged out",
      detail: "This browser is no longer logged in. Run “syncd ctl open” to log in again.",
    };
  }
  const loaded = daemon && progress;
  if (connection === "lost") {
    return {
      tone: "error",
      title: loaded ? "Connection lost" : "No connection",
      detail: `The daemon is not responding. Reconnecting…${loaded ? " The page shows the last known state." : ""}`,
    };
  }
  return loaded ? null : { tone: "neutral", title: "Connecting…", detail: "" };
}

function daemonStatus({ daemon, progress: { jobs, bytes } }) {
  if (daemon.state === "stopping") {
    return { tone: "neutral", title: "Shutting down", detail: "The daemon is shutting down." };
  }
  if (daemon.state === "stopped" && !daemon.store_blocked) {
    const pending = pendingCount(jobs);
    const size = formatSize(bytes.pending);
    const backlog = pending ? `${pluralize(pending, "upload")} pending (${size}).` : "No uploads are pending.";
    const until = daemon.stopped_until ? ` until ${formatDayAndTime(daemon.stopped_until)}` : "";
    return { tone: "neutral", title: `Uploads paused${until}`, detail: `${backlog} New files are still detected.` };
  }
  return null;
}

/** Return the status of the uploads alone: {tone, title, detail}. */
export function uploadStatus(state) {
  const { jobs, bytes, eta_seconds: eta, flights, sync } = state.progress;
  const pending = pendingCount(jobs);
  if (jobs.uploading) {
    const detail = [
      `${formatCount(sync.done)} of ${formatCount(sync.total)} uploads done`,
      `${formatSize(bytes.pending)} to upload`,
    ];
    if (bytes.per_second >= 1) detail.push(formatRate(bytes.per_second));
    if (eta >= 1) detail.push(`about ${formatDuration(eta)} left`);
    const files = new Set(flights.map(flight => flight.path)).size;
    const title = files ? `Uploading ${pluralize(files, "file")}` : "Uploading";
    return { tone: "active", title, detail: detail.join(" · ") };
  }
  if (pending) {
    return {
      tone: "active",
      title: `${pluralize(pending, "upload")} pending`,
      detail: "Uploads start and retry automatically.",
    };
  }
  if (jobs.done) {
    const detail = `${pluralize(jobs.done, "upload")} confirmed by the server.`;
    const title = exceptions(state).length ? "Uploaded, with exceptions" : "Everything is uploaded";
    return { tone: "success", title, detail };
  }
  return {
    tone: "neutral",
    title: "Waiting for files",
    detail: "Drag images onto this page, or copy them into a watched folder.",
  };
}

/** Return whether a job is not finished. */
export const isPending = job => ["queued", "uploading", "waiting"].includes(job.state);

/** Return what is not uploaded and needs no action: [{text, href}], with the list of the files if there is one. */
export function exceptions({ folders, progress }) {
  const { skipped } = progress.jobs;
  const { files, videos } = leftOutCounts(folders);
  const list = [];
  if (skipped) list.push({ text: pluralize(skipped, "skipped upload"), href: routeHref("files", { state: "skipped" }) });
  if (files) list.push({ text: leftOutText(files, videos), href: routeHref("settings") });
  return list;
}

function leftOutCounts(folders) {
  const sum = name => [...folders.values()].reduce((total, folder) => total + (folder[name] ?? 0), 0);
  return { files: sum("left_out_files"), videos: sum("left_out_videos") };
}

/** (14, 3) → "14 files left out by patterns (3 videos)". */
export const leftOutText = (files, videos) =>
  `${pluralize(files, "file")} left out by patterns${videos ? ` (${pluralize(videos, "video")})` : ""}`;

/** Count the jobs that are not finished, in the counts of the API's `progress` event. */
export const pendingCount = jobs => jobs.queued + jobs.uploading + jobs.waiting;

/** Return the text of the banner if nothing can be uploaded at all, otherwise "". The overview has the reason itself. */
export function bannerText(state, { overview }) {
  if (state.connection === "lost" || state.connection === "logged_out") {
    const { title, detail } = overallStatus(state);
    return `${title}. ${detail}`;
  }
  const reason = overview ? null : state.daemon?.store_blocked;
  return reason ? `Uploads are blocked: syncd cannot write to its job store. ${toSentence(reason)}` : "";
}

/** Return the status of a remote: {tone, text, hint}. `now` is in milliseconds. */
export function remoteStatus(remote, now = Date.now()) {
  if (remote.state === "online") {
    const hint = toSentence(remote.credentials_problem);
    return { tone: hint ? "warning" : "success", text: "Online", hint };
  }
  const { words } = reasonParts(remote.detail); // the list of what needs attention has the rest
  const text = remote.state === "unauthorized" ? "Token rejected" : "Offline";
  return { tone: "error", text, hint: [words, retryText(remote, now)].filter(Boolean).join(" ") };
}

/** Return when the daemon asks a remote again. `now` is in milliseconds. */
export function retryText(remote, now = Date.now()) {
  const elapsed = (now - (remote.received_at ?? now)) / 1000;
  const wait = Math.max(0, (remote.retry_in_seconds ?? 0) - elapsed);
  return wait >= 1 ? `Next attempt in ${formatDuration(wait)}.` : "Retrying…";
}

/** Return the status of a watched folder: {tone, text, hint}. */
export function folderStatus(folder) {
  const hint = toSentence(folder.detail);
  if (folder.state === "offline") return { tone: "error", text: "Offline", hint };
  if (folder.state === "scanning") return { tone: "active", text: "Scanning", hint };
  const text = folder.watch === "poll" ? "Watching (polling)" : "Watching";
  return { tone: hint ? "warning" : "success", text, hint };
}

/** Fixes for failed jobs, by a pattern in the reason of the failure. */
const FIXES = [
  [/token|401|403|unauthor/i, "Set a valid token in the configuration, reload it, then retry."],
  [
    /permission|denied|may not read/i,
    "Give the user that runs syncd permission to read the file. The upload then starts automatically.",
  ],
  [
    /different content|other content|differs/i,
    "The server has different content under this name or hash. Compare the two files, then retry.",
  ],
  [/too large|max_size|413/i, "Raise max_size in the configuration, or exclude the file."],
  [/changed|changing/i, "Another program keeps writing to the file. Close that program, then retry."],
];

/** Return what the user can do about a failed or waiting job, or "". */
export function jobHint(job) {
  if (job.state === "failed") {
    return FIXES.find(([pattern]) => pattern.test(job.detail ?? ""))?.[1] ?? "Fix the cause, then retry.";
  }
  if (job.state === "waiting") return "Retries automatically. Press Retry to try again now.";
  return "";
}

const CAUSES = {
  found: "new file",
  changed: "file changed",
  claimed: "upload started",
  released: "upload interrupted",
  deferred: "attempt failed",
  uploaded: "confirmed by the server",
  duplicate: "already on server",
  refused: "rejected",
  unreadable: "file cannot be read",
  unfit: "not suitable for upload",
  gone: "file removed",
  retried: "retry requested",
  cancelled: "cancelled",
  missing: "copy missing or damaged",
};

/** Return the text for the cause of a state change; an unknown cause is returned as it is. */
export const causeText = cause => CAUSES[cause] ?? cause;
