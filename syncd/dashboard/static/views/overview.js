/** Now: the state in words, what is in flight, how fast, what arrived, and how folders and servers are. */

import { flights } from "../overview/active-uploads.js";
import { hero } from "../overview/summary.js";
import { places } from "../overview/folders-and-remotes.js";
import { recent } from "../overview/recent-uploads.js";
import { throughput } from "../overview/upload-speed.js";
import { h } from "../ui/dom.js";

export function nowView() {
  const parts = [hero(), flights(), throughput(), recent(), places()];
  const element = h(
    "div",
    { class: "now" },
    parts.map(part => part.element),
  );
  return { element, leave: () => parts.forEach(part => part.leave()) };
}
