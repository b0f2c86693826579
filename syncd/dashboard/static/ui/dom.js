/** DOM helpers. Text is only ever inserted as text nodes: no code on this page parses a string as HTML. */

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

/** Characters that change the direction of a text; those of syncd/core/text.py. */
const DIRECTIONS = /[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g;

/**
 * Escape the characters that change the direction of a text: "inv<U+202E>gnp.exe" must not read as a picture. Every
 * function here does this with each text that it shows.
 */
export const escapeDirections = text =>
  text.replace(DIRECTIONS, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);

const shown = value => (typeof value === "string" ? escapeDirections(value) : value);

/**
 * Create an HTML element ("hyperscript"). Children may be nested arrays; null, undefined and false are skipped.
 *
 * Attributes starting with "on" add event listeners. Those in PROPERTIES are set as properties. For all others, true
 * sets an empty attribute, and false, null or undefined remove it.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  const present = children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false);
  element.append(...present.map(shown));
  return element;
}

/** Set attributes, properties and listeners by the rules of h(). */
export function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else if (value === false || value === null || value === undefined) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : SHOWN_ATTRIBUTES.has(name) ? shown(value) : value);
  }
  return element;
}

const SHOWN_ATTRIBUTES = new Set(["title", "aria-label", "alt", "placeholder"]);

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

/** Set an element's text. An unchanged text is not written, so that screen readers do not repeat it. */
export function setText(element, text) {
  const safe = shown(text);
  if (element.textContent !== safe) element.textContent = safe;
  return element;
}

/** Set a text that contains paths, which may wrap after each separator. */
export function setPathText(element, text) {
  if (element.textContent !== escapeDirections(text)) element.replaceChildren(...breakablePath(text));
  return element;
}

/** Split a text with paths into nodes, with a <wbr> after each separator. */
export const breakablePath = path =>
  path.split(/(?<=[/\\])/).map(escapeDirections).flatMap((part, index) => (index ? [h("wbr"), part] : [part]));

/**
 * Add, update and remove child elements so that they match `values`, a Map. `items` maps the same keys to objects with
 * `element` and `update(value)`; `create(value)` makes a new one.
 */
export function syncChildren(parent, items, values, create) {
  for (const [key, item] of items) {
    if (!values.has(key)) {
      item.element.remove();
      items.delete(key);
    }
  }
  for (const [key, value] of values) {
    if (!items.has(key)) {
      items.set(key, create(value));
      parent.append(items.get(key).element);
    }
    items.get(key).update(value);
  }
}

/** Create an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG_NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Create an icon from ICONS, drawn in the current text colour and hidden from screen readers. */
export const icon = name =>
  svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));

const ICONS = {
  overview: "M3 12h4l3-8 4 16 3-8h4",
  gallery: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01",
  files: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  log: "M5 4h14v16H5zM9 9l2 2-2 2M13 14h3",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  resume: "M8 5v14l11-7z",
  pause: "M9 6v12M15 6v12",
  retry: "M20 5v5h-5M20 10a8 8 0 1 0 1 5",
  cancel: "M6 6l12 12M18 6 6 18",
  folder: "M3 6h6l2 2h10v11H3z",
  remote: "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01",
  add: "M12 5v14M5 12h14",
  check: "M5 13l4 4L19 7",
  download: "M12 4v11m0 0-4-4m4 4 4-4M5 20h14",
  previous: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14M16 16l5 5",
  warning: "M12 4 2.5 20h19zM12 10v4M12 17h.01",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16M12 8v4l3 2",
  upload: "M12 20V6m0 0-5 5m5-5 5 5",
  queued: "M5 12h.01M12 12h.01M19 12h.01",
  skipped: "M5 12h14",
  verify: "M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6z",
};
