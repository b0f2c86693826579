/** A small picture of a file: its preview, its text, or else what kind it is. */

import { original, preview, text } from "../api.js";
import { h } from "./dom.js";
import { isText, kind } from "./format.js";

/** Return an element for `job` ({id, path, updated_at}). */
export function thumb(job) {
  const box = h("span", { class: "thumb" });
  if (isText(job.path)) {
    text(job).then(
      content => box.replaceChildren(art(content)),
      () => blank(box, job)
    );
  } else box.append(picture(job, { edge: 320, alt: "", ready: () => box.classList.add("ready"), failed: () => blank(box, job) }));
  return box;
}

/** The image of a file's preview with a longest edge of 320 or 1600 pixels; a drawing of vectors is shown as it is. */
export function picture(job, { edge, alt, ready = () => {}, failed }) {
  const image = h("img", { alt, decoding: "async", loading: "lazy", draggable: "false", onload: ready, onerror: failed });
  const from = job.path.toLowerCase().endsWith(".svg") ? original(job.id) : preview(job.id, edge);
  image.src = from;
  return image;
}

function blank(box, job) {
  box.replaceChildren(h("span", { class: "blank-kind" }, kind(job.path)));
}

const MOST_LINES = 60;

/** ASCII art: text so small that its longest line fits; the style sheet does the sum. */
function art(content) {
  const lines = content.replaceAll("\t", "    ").split(/\r?\n/).slice(0, MOST_LINES);
  while (lines.length > 1 && !lines.at(-1).trim()) lines.pop();
  const columns = Math.max(8, ...lines.map(line => line.length));
  const pre = h("pre", { class: "art" }, lines.join("\n"));
  pre.style.setProperty("--columns", columns);
  pre.style.setProperty("--lines", lines.length);
  return pre;
}
