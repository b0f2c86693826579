/** Sizes, rates, times and names in words for people. Sizes in bytes, durations in seconds. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** 1536 → "1.5 KiB". */
export function formatSize(bytes) {
  if (bytes === null || bytes === undefined) return "";
  let value = bytes;
  let unit = 0;
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** 524288 → "512 KiB/s". */
export const formatRate = bytes => `${formatSize(bytes)}/s`;

/** 1204 → "1,204". */
export const formatCount = number => number.toLocaleString("en-GB");

/** (1, "file") → "1 file"; (3, "file") → "3 files". */
export const pluralize = (number, noun) => `${formatCount(number)} ${noun}${number === 1 ? "" : "s"}`;

/** 3725 → "1 h 2 min"; with two parts at most. */
export function formatDuration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return joined(Math.floor(whole / 60), "min", whole < 600 ? whole % 60 : 0, "s");
  if (whole < 86400) return joined(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min");
  return joined(Math.floor(whole / 86400), "d", Math.floor((whole % 86400) / 3600), "h");
}

const joined = (large, unit, small, part) => (small ? `${large} ${unit} ${small} ${part}` : `${large} ${unit}`);

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const WHOLE = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "medium" });

/** The time of day, to the second. */
export const formatTime = at => CLOCK.format(new Date(at));

/** When it was, as short as it can be told: "14:02", "3 Nov 14:02", "3 Nov 2025". */
export function formatTimestamp(at, now = new Date()) {
  const date = new Date(at);
  if (date.toDateString() === now.toDateString()) return MINUTE.format(date);
  return date.getFullYear() === now.getFullYear() ? `${DAY.format(date)} ${MINUTE.format(date)}` : YEAR.format(date);
}

/** When it was, in full, for a tooltip. */
export const formatFullTimestamp = at => WHOLE.format(new Date(at));

/** The day, as a heading: "Today", "Yesterday", "3 Nov", "3 Nov 2025". */
export function formatDay(at, now = new Date()) {
  const date = new Date(at);
  if (date.toDateString() === now.toDateString()) return "Today";
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (date.toDateString() === yesterday.toDateString()) return "Yesterday";
  return (date.getFullYear() === now.getFullYear() ? DAY : YEAR).format(date);
}

/** What stands between the parts of an absolute path: on Windows it begins with a drive or a server. */
const separator = path => (/^([A-Za-z]:\\|\\\\)/.test(path) ? "\\" : "/");

/** The last part of a path. */
export const baseName = path => path.slice(path.lastIndexOf(separator(path)) + 1);

/** A path as seen from its folder. */
export const relativePath = (path, folder) =>
  path.startsWith(folder + separator(folder)) ? path.slice(folder.length + 1) : path;

/** What a name ends in, in capitals, for a tile without a picture. */
export function extensionLabel(path) {
  const name = baseName(path);
  const dot = name.lastIndexOf(".");
  return dot > 0
    ? name
        .slice(dot + 1)
        .toUpperCase()
        .slice(0, 5)
    : "FILE";
}

/** Whether it is shown as text. */
export const isTextFile = path => path.toLowerCase().endsWith(".txt");

const STATES = {
  queued: "queued",
  uploading: "uploading",
  waiting: "waiting",
  done: "done",
  failed: "failed",
  skipped: "skipped",
};

/** A job's state and how it came to that, in words. */
export function stateText(job) {
  return job.state === "done" && job.outcome === "duplicate" ? "done (already there)" : STATES[job.state];
}
