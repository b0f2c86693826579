/** Thumbnails and large previews of files: an image, the text of a text file, or a label with the file type. */

import { fetchTextPreview, originalImageUrl, previewUrl } from "../api.js";
import { h } from "./dom.js";
import { baseName, extensionLabel, isTextFile } from "./format.js";

const THUMBNAIL_EDGE_PX = 320;
const LARGE_PREVIEW_EDGE_PX = 1600;
const MAX_PARALLEL_LOADS = 3; // a browser opens at most six connections per site
const MAX_TEXT_LINES = 60;
const MIN_TEXT_COLUMNS = 8;
const TAB = "    ";

/** Create the thumbnail of a job's file. `job` needs id, path and updated_at. */
export function thumbnail(job) {
  const box = h("span", { class: "thumbnail" });
  if (isTextFile(job.path)) {
    fetchTextPreview(job).then(
      text => box.replaceChildren(textThumbnail(text)),
      () => showPlaceholder(box, job),
    );
    return box;
  }
  const image = h("img", { alt: "", decoding: "async", draggable: "false" });
  image.addEventListener("load", () => box.classList.add("loaded"));
  image.addEventListener("error", () => showPlaceholder(box, job));
  enqueueLoad(image, imageUrl(job, THUMBNAIL_EDGE_PX));
  box.append(image);
  return box;
}

/** Create a large image of a job's file; `onError` is called if it cannot be shown. */
export function largePreview(job, onError) {
  return h("img", {
    alt: baseName(job.path),
    decoding: "async",
    draggable: "false",
    onerror: onError,
    src: imageUrl(job, LARGE_PREVIEW_EDGE_PX),
  });
}

/** Return an image URL. SVG files are shown directly: the daemon makes no previews of them. */
const imageUrl = (job, edge) =>
  job.path.toLowerCase().endsWith(".svg") ? originalImageUrl(job.id) : previewUrl(job.id, edge);

const pendingLoads = [];
let activeLoads = 0;

/** Load an image when a connection is free. The latest request goes first: it is most likely still in view. */
function enqueueLoad(image, url) {
  const finish = () => {
    activeLoads -= 1;
    startLoads();
  };
  image.addEventListener("load", finish);
  image.addEventListener("error", finish);
  pendingLoads.push(() => {
    if (!image.isConnected) return;
    activeLoads += 1;
    image.src = url;
  });
  setTimeout(startLoads); // after the caller has inserted the image into the document
}

function startLoads() {
  while (pendingLoads.length && activeLoads < MAX_PARALLEL_LOADS) pendingLoads.pop()();
}

function showPlaceholder(box, job) {
  box.replaceChildren(h("span", { class: "thumbnail-placeholder" }, extensionLabel(job.path)));
}

/** Create a text thumbnail. The style sheet scales the text from its number of columns and lines. */
function textThumbnail(text) {
  const lines = splitLines(text).slice(0, MAX_TEXT_LINES);
  while (lines.length > 1 && !lines.at(-1).trim()) lines.pop();
  const pre = h("pre", { class: "text-thumbnail" }, lines.join("\n"));
  pre.style.setProperty("--columns", columnCount(lines.join("\n")));
  pre.style.setProperty("--lines", lines.length);
  return pre;
}

/** Return the length of a text's longest line, but at least MIN_TEXT_COLUMNS. */
export const columnCount = text =>
  splitLines(text).reduce((longest, line) => Math.max(longest, line.length), MIN_TEXT_COLUMNS);

const splitLines = text => text.replaceAll("\t", TAB).split(/\r?\n/);
