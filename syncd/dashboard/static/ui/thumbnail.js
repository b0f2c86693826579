/** A small picture of a file: its preview, its text, or else what kind it is. */

import { fetchTextPreview, originalUrl, previewUrl } from "../api.js";
import { h } from "./dom.js";
import { baseName, extensionLabel, isTextFile } from "./format.js";

/** Return an element for `job` ({id, path, updated_at}). */
export function thumbnail(job) {
  const box = h("span", { class: "thumb" });
  if (isTextFile(job.path)) {
    fetchTextPreview(job).then(
      content => box.replaceChildren(art(content)),
      () => blank(box, job),
    );
    return box;
  }
  const image = h("img", { alt: "", decoding: "async", draggable: "false" });
  image.addEventListener("load", () => box.classList.add("ready"));
  image.addEventListener("error", () => blank(box, job));
  enqueue(image, source(job, 320));
  box.append(image);
  return box;
}

/** The image of a file's preview with a longest edge of 1600 pixels. */
export function largePreview(job, failed) {
  return h("img", {
    alt: baseName(job.path),
    decoding: "async",
    draggable: "false",
    onerror: failed,
    src: source(job, 1600),
  });
}

/** Where a file's picture is; a drawing of vectors is shown as it is. */
const source = (job, edge) => (job.path.toLowerCase().endsWith(".svg") ? originalUrl(job.id) : previewUrl(job.id, edge));

const AT_ONCE = 3; // a browser has six connections for all of the page
const waiting = [];
let loading = 0;

/** Load an image when it is its turn: the last asked for is the first, as it is most likely the one in view. */
function enqueue(image, from) {
  const ended = () => {
    loading -= 1;
    next();
  };
  image.addEventListener("load", ended);
  image.addEventListener("error", ended);
  waiting.push(() => {
    if (!image.isConnected) return;
    loading += 1;
    image.src = from;
  });
  setTimeout(next); // it is in the document by then
}

function next() {
  while (waiting.length && loading < AT_ONCE) waiting.pop()();
}

function blank(box, job) {
  box.replaceChildren(h("span", { class: "blank-kind" }, extensionLabel(job.path)));
}

const MOST_LINES = 60;

/** ASCII art: text so small that its longest line fits; the style sheet does the sum. */
function art(content) {
  const lines = linesOf(content).slice(0, MOST_LINES);
  while (lines.length > 1 && !lines.at(-1).trim()) lines.pop();
  const pre = h("pre", { class: "art" }, lines.join("\n"));
  pre.style.setProperty("--columns", columnCount(lines.join("\n")));
  pre.style.setProperty("--lines", lines.length);
  return pre;
}

/** How many columns a text has. */
export const columnCount = content => linesOf(content).reduce((most, line) => Math.max(most, line.length), 8);

const linesOf = content => content.replaceAll("\t", "    ").split(/\r?\n/);
