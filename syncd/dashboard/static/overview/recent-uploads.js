/** The latest uploads, as pictures. */

import { api } from "../api.js";
import { appState, subscribe } from "../app-state.js";
import { currentHrefWith, routeHref } from "../router.js";
import { h } from "../ui/dom.js";
import { baseName, extensionLabel } from "../ui/format.js";
import { thumbnail } from "../ui/thumbnail.js";

const STRIP = 16;

export function createRecentUploads() {
  const strip = h("ul", { class: "strip" });
  const empty = h("p", { class: "empty" }, "Nothing has been uploaded yet.");
  const known = new Set();
  const add = (job, front) => {
    if (known.has(job.path)) return;
    known.add(job.path);
    const tile = h(
      "li",
      {},
      h(
        "a",
        { href: currentHrefWith({ job: job.id }), title: baseName(job.path), "aria-label": `${baseName(job.path)}, ${extensionLabel(job.path)}` },
        thumbnail(job),
      ),
    );
    strip[front ? "prepend" : "append"](tile);
    while (strip.children.length > STRIP) strip.lastElementChild.remove();
    if (known.size > STRIP * 4) known.clear();
    empty.hidden = true;
  };
  const load = async () => {
    if (appState.connection !== "open") return;
    const page = await api.jobs({ state: "done", limit: STRIP * 2 }).catch(() => ({ jobs: [] }));
    strip.replaceChildren();
    known.clear();
    page.jobs.forEach(job => strip.children.length < STRIP && add(job, false));
  };
  const offs = [subscribe("job", job => job.state === "done" && add(job, true)), subscribe("connection", load)];
  load();
  const more = h("a", { class: "more", href: routeHref("gallery") }, "All pictures");
  return {
    element: h(
      "section",
      { class: "panel recent-panel" },
      h("div", { class: "panel-head" }, h("h2", {}, "Recent uploads"), more),
      strip,
      empty,
    ),
    leave: () => offs.forEach(off => off()),
  };
}
