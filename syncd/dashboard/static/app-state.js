/** What the daemon tells, as this page knows it now, and whom to tell about changes. */

import { Stream } from "./event-stream.js";

const listeners = new Map();

/** The last word of everything; Maps by path and by name. `connection` is "connecting", "open", "lost" or "locked". */
export const live = {
  connection: "connecting",
  daemon: null,
  folders: new Map(),
  remotes: new Map(),
  progress: null,
};

/** Call `listener` at each event of these kinds, until the function that is returned is called. */
export function on(kinds, listener) {
  const named = kinds.split(" ");
  for (const kind of named) {
    if (!listeners.has(kind)) listeners.set(kind, new Set());
    listeners.get(kind).add(listener);
  }
  return () => named.forEach(kind => listeners.get(kind).delete(listener));
}

function take(kind, data) {
  if (kind === "connection") live.connection = data;
  else if (kind === "folder") live.folders.set(data.path, data);
  else if (kind === "remote") live.remotes.set(data.name, data);
  else if (kind === "progress") live.progress = data;
  else if (kind === "daemon") {
    live.daemon = data;
    prune(live.folders, data.folders);
    prune(live.remotes, data.remotes);
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
