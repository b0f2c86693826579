/** Now: the state in words, what is in flight, how fast, what arrived, and how folders and servers are. */

import { flights } from "../now/flights.js";
import { hero } from "../now/hero.js";
import { places } from "../now/places.js";
import { recent } from "../now/recent.js";
import { throughput } from "../now/throughput.js";
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
