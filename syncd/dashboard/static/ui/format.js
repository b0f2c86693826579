/** Formats sizes (bytes), rates, durations (seconds), times, paths and job states as text for users. */

const SIZE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const MINUTE_S = 60;
const HOUR_S = 3600;
const DAY_S = 86400;

/** 1536 → "1.5 KiB"; null → "". */
export function formatSize(bytes) {
  if (bytes === null || bytes === undefined) return "";
  let value = bytes;
  let unit = 0;
  while (value >= 1023.5 && unit < SIZE_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${SIZE_UNITS[unit]}`;
}

/** 524288 → "512 KiB/s". */
export const formatRate = bytesPerSecond => `${formatSize(bytesPerSecond)}/s`;

/** 1204 → "1,204". */
export const formatCount = number => number.toLocaleString("en-GB");

/** (1, "file") → "1 file"; (3, "file") → "3 files". */
export const pluralize = (number, noun) => `${formatCount(number)} ${noun}${number === 1 ? "" : "s"}`;

/** 3725 → "1 h 2 min". The result has at most two units. */
export function formatDuration(seconds) {
  const total = Math.max(0, Math.round(seconds));
  if (total < MINUTE_S) return `${total} s`;
  if (total < HOUR_S) return twoUnits(Math.floor(total / MINUTE_S), "min", total < 600 ? total % MINUTE_S : 0, "s");
  if (total < DAY_S) return twoUnits(Math.floor(total / HOUR_S), "h", Math.floor((total % HOUR_S) / MINUTE_S), "min");
  return twoUnits(Math.floor(total / DAY_S), "d", Math.floor((total % DAY_S) / HOUR_S), "h");
}

const twoUnits = (large, largeUnit, small, smallUnit) =>
  small ? `${large} ${largeUnit} ${small} ${smallUnit}` : `${large} ${largeUnit}`;

const HOUR_MINUTE_SECOND = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const HOUR_MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY_MONTH = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const DAY_MONTH_YEAR = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const FULL_DATE_TIME = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "medium" });

/** "2026-11-03T14:02:07Z" → "14:02:07", in local time. */
export const formatTime = timestamp => HOUR_MINUTE_SECOND.format(new Date(timestamp));

/** Format a timestamp as briefly as is unambiguous: "14:02" (today), "3 Nov 14:02" (this year), "3 Nov 2025". */
export function formatTimestamp(timestamp, now = new Date()) {
  const date = new Date(timestamp);
  if (date.toDateString() === now.toDateString()) return HOUR_MINUTE.format(date);
  if (date.getFullYear() === now.getFullYear()) return `${DAY_MONTH.format(date)} ${HOUR_MINUTE.format(date)}`;
  return DAY_MONTH_YEAR.format(date);
}

/** Format a timestamp of these days: "14:02" (today), "3 Nov 14:02". */
export function formatDayAndTime(timestamp, now = new Date()) {
  const date = new Date(timestamp);
  const day = date.toDateString() === now.toDateString() ? "" : `${DAY_MONTH.format(date)} `;
  return day + HOUR_MINUTE.format(date);
}

/** Format a timestamp with weekday, date and seconds, for tooltips. */
export const formatFullTimestamp = timestamp => FULL_DATE_TIME.format(new Date(timestamp));

/** Format the day of a timestamp: "Today", "Yesterday", "3 Nov", "3 Nov 2025". */
export function formatDay(timestamp, now = new Date()) {
  const date = new Date(timestamp);
  if (date.toDateString() === now.toDateString()) return "Today";
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (date.toDateString() === yesterday.toDateString()) return "Yesterday";
  return (date.getFullYear() === now.getFullYear() ? DAY_MONTH : DAY_MONTH_YEAR).format(date);
}

/** "disk is full" → "Disk is full."; null → "". */
export const toSentence = text =>
  text ? text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".") : "";

/** ["a", "b", "c"] → "a, b and c". */
export const joinNames = names => new Intl.ListFormat("en-GB").format(names);

/** Return the separator of an absolute path. Windows paths start with a drive or a server name. */
const separatorOf = path => (/^([A-Za-z]:\\|\\\\)/.test(path) ? "\\" : "/");

/** "/srv/photos/a.jpg" → "a.jpg". */
export const baseName = path => path.slice(path.lastIndexOf(separatorOf(path)) + 1);

/** Return `path` relative to `folder`, or unchanged if it is outside the folder. */
export const relativePath = (path, folder) =>
  path.startsWith(folder + separatorOf(folder)) ? path.slice(folder.length + 1) : path;

/** "/srv/photos/a.jpg" → "JPG"; "FILE" for a name without an extension. */
export function extensionLabel(path) {
  const name = baseName(path);
  const dot = name.lastIndexOf(".");
  if (dot <= 0) return "FILE";
  const extension = name.slice(dot + 1).toUpperCase();
  return extension.slice(0, 5);
}

/** Return whether a file is previewed as text. */
export const isTextFile = path => path.toLowerCase().endsWith(".txt");

/** Return a job's state as text. It is the API's word, except for content that the server had before the upload. */
export const stateText = job =>
  job.state === "done" && job.outcome === "duplicate" ? "already on server" : job.state;
