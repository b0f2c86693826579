/** What the daemon is doing, in words: a headline, a tone (good, busy, still, warn, bad), and what to do about trouble. */

import { count, counted, duration, rate, size } from "./ui/format.js";

/** The headline of the whole page: {tone, title, detail}. */
export function headline(live) {
  if (live.connection === "locked") {
    return { tone: "bad", title: "Locked", detail: "The key of this page is no longer good. Run: syncd ctl open" };
  }
  if (!live.daemon || !live.progress) {
    return live.connection === "lost"
      ? { tone: "bad", title: "No connection", detail: "The daemon does not answer. Trying again…" }
      : { tone: "still", title: "Connecting…", detail: "" };
  }
  if (live.connection === "lost") {
    return {
      tone: "bad",
      title: "Connection lost",
      detail: "The daemon does not answer. Trying again… What you see is how it was.",
    };
  }
  if (live.daemon.state === "stopping")
    return { tone: "still", title: "Ending", detail: "The daemon is shutting down." };
  const { jobs, bytes, eta_seconds: eta } = live.progress;
  const left = jobs.queued + jobs.uploading + jobs.waiting;
  if (live.daemon.state === "stopped") {
    const waiting = left ? `${counted(left, "file")}, ${size(bytes.pending)}, wait.` : "Nothing waits.";
    return {
      tone: "still",
      title: "Stopped",
      detail: `${waiting} New files are still noticed. Press Start to upload.`,
    };
  }
  const trouble = troubles(live);
  if (trouble && !jobs.uploading) return trouble;
  if (jobs.uploading) {
    const detail = [`${count(left)} to go, ${size(bytes.pending)}`];
    if (bytes.per_second >= 1) detail.push(rate(bytes.per_second));
    if (eta) detail.push(`about ${duration(eta)} left`);
    return { tone: "busy", title: `Uploading ${counted(jobs.uploading, "file")}`, detail: detail.join(" · ") };
  }
  if (left)
    return {
      tone: "busy",
      title: `${counted(left, "file")} waiting`,
      detail: "They go up when their next try is due.",
    };
  if (jobs.failed) {
    return {
      tone: "warn",
      title: `${counted(jobs.failed, "file")} failed`,
      detail: "All others are on the server. See what to do under Files.",
    };
  }
  if (jobs.done)
    return { tone: "good", title: "All is on the server", detail: `${counted(jobs.done, "upload")} confirmed.` };
  return {
    tone: "still",
    title: "Waiting for files",
    detail: "Drop a picture onto this page, or copy one into a watched folder.",
  };
}

function troubles(live) {
  const down = [...live.remotes.values()].filter(remote => remote.state !== "online");
  if (down.length) {
    const names = listed(down.map(remote => remote.name));
    const refused = down.every(remote => remote.state === "unauthorized");
    const [refuse, answer] = down.length > 1 ? ["refuse", "do not answer"] : ["refuses", "does not answer"];
    return {
      tone: "bad",
      title: refused ? `${names} ${refuse} the token` : `${names} ${answer}`,
      detail: refused
        ? "Put a good token into the configuration, then reload."
        : "Nothing is lost: what waits goes up when it is back.",
    };
  }
  const away = [...live.folders.values()].filter(folder => folder.state === "offline");
  if (away.length)
    return { tone: "bad", title: `${counted(away.length, "folder")} not there`, detail: away[0].detail ?? "" };
  return null;
}

/** A server: {tone, text, hint}. `now` in milliseconds. */
export function remoteWords(remote, now = Date.now()) {
  if (remote.state === "online") return { tone: "good", text: "Online", hint: "" };
  const wait = Math.max(0, (remote.retry_in_seconds ?? 0) - (now - (remote.seen ?? now)) / 1000);
  const next = wait >= 1 ? `Next try in ${duration(wait)}.` : "Trying now.";
  return remote.state === "unauthorized"
    ? {
        tone: "bad",
        text: "Token refused",
        hint: `${sentence(remote.detail)} Put a good token into the configuration, then reload. ${next}`,
      }
    : { tone: "bad", text: "Offline", hint: `${sentence(remote.detail)} ${next}` };
}

/** A watched folder: {tone, text, hint}. */
export function folderWords(folder) {
  const hint = folder.detail ? sentence(folder.detail) : "";
  if (folder.state === "offline") return { tone: "bad", text: "Not there", hint };
  if (folder.state === "scanning") return { tone: "busy", text: "Scanning", hint };
  return { tone: hint ? "warn" : "good", text: folder.watch === "poll" ? "Watching, by polling" : "Watching", hint };
}

const listed = names => new Intl.ListFormat("en-GB").format(names);
const sentence = text => (text ? text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".") : "");

const ADVICE = [
  [/token|401|403|unauthor/i, "Check the token in the configuration, reload, then retry."],
  [
    /permission|denied|may not read/i,
    "Make the file readable for the user that syncd runs as; then it goes up by itself.",
  ],
  [
    /different content|other content|differs/i,
    "The server has something else under this name or hash: look at both, then retry.",
  ],
  [/too large|max_size|413/i, "Raise max_size, or leave the file out with exclude."],
  [/changed|changing/i, "Something keeps writing to it. Close that program, then retry."],
];

/** What a person can do about a job that failed or was skipped. */
export function advice(job) {
  if (job.state === "failed")
    return ADVICE.find(([pattern]) => pattern.test(job.detail ?? ""))?.[1] ?? "Mend what the reason says, then retry.";
  if (job.state === "waiting") return "It is tried again by itself. Retry does it now.";
  return "";
}
