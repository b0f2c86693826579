/** What is in flight: each file with its picture, a bar that moves by chunks, its rate and the time left. */

import { live, on } from "../live.js";
import { changed } from "../route.js";
import { h, say } from "../ui/dom.js";
import { base, duration, rate, size } from "../ui/format.js";
import { thumb } from "../ui/thumb.js";

export function flights() {
  const list = h("ul", { class: "flights" });
  const empty = h("p", { class: "empty" });
  const heading = h("h2", {}, "In flight");
  const shown = new Map();
  const follow = () => {
    const now = performance.now();
    const running = live.progress?.flights ?? [];
    for (const [id, row] of shown) {
      if (!running.some(flight => flight.id === id)) {
        row.element.remove();
        shown.delete(id);
      }
    }
    for (const flight of running) {
      if (!shown.has(flight.id)) {
        shown.set(flight.id, new FlightRow(flight));
        list.append(shown.get(flight.id).element);
      }
      shown.get(flight.id).follow(flight, now);
    }
    empty.hidden = running.length > 0;
    say(empty, live.daemon?.state === "stopped" ? "Stopped: nothing is sent." : "Nothing is being sent right now.");
  };
  const leave = on("progress daemon", follow);
  follow();
  return { element: h("section", { class: "panel flights-panel" }, heading, list, empty), leave };
}

class FlightRow {
  constructor(flight) {
    this.words = h("small");
    this.bar = h("progress", { max: 1, "aria-label": base(flight.path) });
    this.seen = [];
    this.element = h(
      "li",
      {},
      h(
        "a",
        { class: "flight", href: changed({ job: flight.id }) },
        thumb(flight),
        h("span", { class: "flight-name" }, base(flight.path)),
        h("span", { class: "flight-remote" }, flight.remote),
        this.bar,
        this.words,
      ),
    );
  }

  follow(flight, now) {
    this.bar.value = flight.size ? flight.sent / flight.size : 0;
    if (flight.stage === "hashing") {
      this.bar.removeAttribute("value");
      say(this.words, `reading ${size(flight.size)}`);
      return;
    }
    if (this.seen.at(-1)?.sent !== flight.sent) this.seen.push({ now, sent: flight.sent });
    while (this.seen.length > 2 && this.seen[0].now < now - 8000) this.seen.shift();
    const [first, last] = [this.seen[0], this.seen.at(-1)];
    const speed = last.now > first.now ? ((last.sent - first.sent) * 1000) / (Math.max(now, last.now) - first.now) : 0;
    const words = [`${size(flight.sent)} of ${size(flight.size)}`];
    if (speed >= 1) words.push(rate(speed), `${duration((flight.size - flight.sent) / speed)} left`);
    say(this.words, words.join(" · "));
  }
}
