/** A small picture of a file: its preview, its text, or else what kind it is. */

import { preview, text } from "../api.js";
import { h } from "./dom.js";
import { isText, kind } from "./format.js";

/** Return an element for `job` ({id, path, updated_at}); `edge` is the preview's longest edge in pixels. */
export function thumb(job, { edge = 320, alt = "" } = {}) {
  const box = h("span", { class: "thumb" });
  if (isText(job.path)) {
    text(job).then(
      content => box.replaceChildren(art(content, edge)),
      () => blank(box, job)
    );
    return box;
  }
  const image = h("img", { alt, decoding: "async", loading: "lazy", draggable: "false" });
  image.addEventListener("load", () => box.classList.add("ready"));
  image.addEventListener("error", () => blank(box, job));
  image.src = `${preview(job.id, edge)}&at=${encodeURIComponent(job.updated_at ?? "")}`;
  box.append(image);
  return box;
}

function blank(box, job) {
  box.classList.add("blank");
  box.replaceChildren(h("span", { class: "blank-kind" }, kind(job.path)));
}

const MOST_LINES = { 320: 60, 1600: 2000 };

/** ASCII art: text drawn so that its longest line fits, by a drawing's own scaling. */
function art(content, edge) {
  const lines = content.replaceAll("\t", "    ").split(/\r?\n/).slice(0, MOST_LINES[edge] ?? 60);
  while (lines.length > 1 && !lines.at(-1).trim()) lines.pop();
  const columns = Math.max(8, ...lines.map(line => line.length));
  const pre = h("pre", { class: "art" }, lines.join("\n"));
  pre.style.setProperty("--columns", columns);
  pre.style.setProperty("--lines", lines.length);
  return pre;
}
