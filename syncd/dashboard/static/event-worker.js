/** A shared worker: one stream of events for all pages of this browser. */

import { Stream } from "./event-stream.js";

const ports = new Set();
const stream = new Stream((kind, data) => {
  for (const port of ports) port.postMessage([kind, data]);
});

self.addEventListener("connect", event => {
  const port = event.ports[0];
  port.addEventListener("message", () => ports.delete(port)); // the page says goodbye
  port.start();
  for (const message of stream.recap()) port.postMessage(message);
  ports.add(port);
});
