/** The daemon's state as this page knows it, and subscriptions to its events. */

import { EventStream } from "./event-stream.js";

/**
 * The latest event of each kind, in the shape of the API's events. `folders` is keyed by path, `remotes` by name.
 * `connection` is "connecting", "open", "lost" or "logged_out".
 */
export const appState = {
  connection: "connecting",
  daemon: null,
  folders: new Map(),
  remotes: new Map(),
  progress: null,
};

const listeners = new Map(); // event kind → Set of functions

/** Call `listener(data, kind)` for events of `kinds`, separated by spaces. Returns a function that unsubscribes. */
export function subscribe(kinds, listener) {
  const names = kinds.split(" ");
  for (const name of names) {
    if (!listeners.has(name)) listeners.set(name, new Set());
    listeners.get(name).add(listener);
  }
  return () => names.forEach(name => listeners.get(name).delete(listener));
}

function applyEvent(kind, data) {
  if (kind === "connection") appState.connection = data;
  else if (kind === "folder") appState.folders.set(data.path, data);
  else if (kind === "remote") appState.remotes.set(data.name, data);
  else if (kind === "progress") appState.progress = data;
  else if (kind === "daemon") {
    appState.daemon = data;
    keepKeys(appState.folders, data.folders);
    keepKeys(appState.remotes, data.remotes);
  }
  for (const listener of [...(listeners.get(kind) ?? [])]) listener(data, kind);
}

function keepKeys(map, keys) {
  for (const key of map.keys()) if (!keys.includes(key)) map.delete(key);
}

/** Start to receive events, from the shared worker if the browser supports it. */
export function connect() {
  if (!window.SharedWorker) {
    new EventStream(applyEvent);
    return;
  }
  const { port } = new SharedWorker("/static/event-worker.js", { type: "module", name: "syncd" });
  port.addEventListener("message", event => applyEvent(...event.data));
  port.start();
  addEventListener("pagehide", event => event.persisted || port.postMessage("disconnect"));
}
