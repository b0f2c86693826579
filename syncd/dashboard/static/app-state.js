/** What the daemon tells, as this page knows it now, and whom to tell about changes. */

import { Stream } from "./event-stream.js";

const listeners = new Map();

/** The last word of everything; Maps by path and by name. `connection` is "connecting", "open", "lost" or "locked". */
export const appState = {
  connection: "connecting",
  daemon: null,
  folders: new Map(),
  remotes: new Map(),
  progress: null,
};

/** Call `listener` at each event of these kinds, until the function that is returned is called. */
export function subscribe(kinds, listener) {
  const named = kinds.split(" ");
  for (const kind of named) {
    if (!listeners.has(kind)) listeners.set(kind, new Set());
    listeners.get(kind).add(listener);
  }
  return () => named.forEach(kind => listeners.get(kind).delete(listener));
}

function take(kind, data) {
  if (kind === "connection") appState.connection = data;
  else if (kind === "folder") appState.folders.set(data.path, data);
  else if (kind === "remote") appState.remotes.set(data.name, data);
  else if (kind === "progress") appState.progress = data;
  else if (kind === "daemon") {
    appState.daemon = data;
    prune(appState.folders, data.folders);
    prune(appState.remotes, data.remotes);
  }
  for (const listener of [...(listeners.get(kind) ?? [])]) listener(data, kind);
}

function prune(map, names) {
  for (const name of map.keys()) if (!names.includes(name)) map.delete(name);
}

/** Begin to listen. */
export function connect() {
  if (!window.SharedWorker) {
    new Stream(take);
    return;
  }
  const { port } = new SharedWorker("/static/event-worker.js", { type: "module", name: "syncd" });
  port.addEventListener("message", event => take(...event.data));
  port.start();
  addEventListener("pagehide", event => event.persisted || port.postMessage("bye"));
}
