/** Shared worker that forwards one event stream to all pages of this browser. */

import { EventStream } from "./event-stream.js";

const ports = new Set();
const stream = new EventStream((kind, data) => {
  for (const port of ports) port.postMessage([kind, data]);
});

self.addEventListener("connect", event => {
  const port = event.ports[0];
  port.addEventListener("message", () => ports.delete(port)); // the page is about to close
  port.start();
  for (const message of stream.replay()) port.postMessage(message);
  ports.add(port);
});
