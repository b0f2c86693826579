/** Making elements. Text goes in as text alone: nothing here, or anywhere on this page, reads a string as HTML. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element. Attributes that begin with "on" are listeners; true sets an empty attribute, false and null none;
 * "value", "checked", "disabled", "hidden" and the like are set as properties.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  element.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

/** Set attributes as h() does. */
export function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else if (value === false || value === null || value === undefined) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : value);
  }
  return element;
}

const PROPERTIES = new Set([
  "value",
  "checked",
  "disabled",
  "hidden",
  "indeterminate",
  "textContent",
  "selected",
  "multiple",
]);

/** Change a text only if it is another: what a screen reader follows stays still. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
  return element;
}

/** As setText(), for a text with paths: a line may break after each separator, and so does not within a name. */
export function setPathText(element, text) {
  if (element.textContent !== text) element.replaceChildren(...breakablePath(text));
  return element;
}

/** The parts of a text with paths, with a place for a line to break after each separator. */
export const breakablePath = path =>
  path.split(/(?<=[/\\])/).flatMap((part, index) => (index ? [h("wbr"), part] : [part]));

/** An icon, drawn with lines in the colour of the text around it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** An element of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const ICONS = {
  now: "M3 12h4l3-8 4 16 3-8h4",
  gallery: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01",
  queue: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  log: "M5 4h14v16H5zM9 9l2 2-2 2M13 14h3",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  play: "M8 5v14l11-7z",
  stop: "M7 7h10v10H7z",
  retry: "M20 5v5h-5M20 10a8 8 0 1 0 1 5",
  cancel: "M6 6l12 12M18 6 6 18",
  folder: "M3 6h6l2 2h10v11H3z",
  server: "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01",
  add: "M12 5v14M5 12h14",
  check: "M5 13l4 4L19 7",
  download: "M12 4v11m0 0-4-4m4 4 4-4M5 20h14",
  previous: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  pause: "M9 6v12M15 6v12",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14M16 16l5 5",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4",
  warning: "M12 4 2.5 20h19zM12 10v4M12 17h.01",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16M12 8v4l3 2",
  upload: "M12 20V6m0 0-5 5m5-5 5 5",
  queued: "M5 12h.01M12 12h.01M19 12h.01",
  skipped: "M5 12h14",
  shield: "M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6z",
};
