/** The panel with thumbnails of the latest uploads. */

import { api } from "../api.js";
import { appState, subscribe } from "../app-state.js";
import { currentHrefWith, routeHref } from "../router.js";
import { h } from "../ui/dom.js";
import { baseName, extensionLabel } from "../ui/format.js";
import { thumbnail } from "../ui/thumbnail.js";

const MAX_THUMBNAILS = 16;

export function createRecentUploads() {
  const list = h("ul", { class: "recent-uploads" });
  const empty = h("p", { class: "empty-note" }, "Nothing has been uploaded yet.");
  const shownPaths = new Set(); // a file that goes to several remotes is shown once
  const add = (job, { first }) => {
    if (shownPaths.has(job.path)) return;
    shownPaths.add(job.path);
    list[first ? "prepend" : "append"](recentUpload(job));
    while (list.children.length > MAX_THUMBNAILS) list.lastElementChild.remove();
    if (shownPaths.size > MAX_THUMBNAILS * 4) shownPaths.clear();
    empty.hidden = true;
  };
  const load = async () => {
    if (appState.connection !== "open") return;
    const query = { state: "done", limit: MAX_THUMBNAILS * 2 };
    const page = await api.jobs(query).catch(() => ({ jobs: [] }));
    list.replaceChildren();
    shownPaths.clear();
    for (const job of page.jobs) if (list.children.length < MAX_THUMBNAILS) add(job, { first: false });
  };
  const unsubscribers = [
    subscribe("job", job => job.state === "done" && add(job, { first: true })),
    subscribe("connection", load),
  ];
  load();
  const allLink = h("a", { class: "text-link", href: routeHref("gallery") }, "All images");
  return {
    element: h(
      "section",
      { class: "panel recent-panel" },
      h("div", { class: "panel-head" }, h("h2", {}, "Recent uploads"), allLink),
      list,
      empty,
    ),
    destroy: () => unsubscribers.forEach(unsubscribe => unsubscribe()),
  };
}

function recentUpload(job) {
  const name = baseName(job.path);
  const attributes = {
    href: currentHrefWith({ job: job.id }),
    title: name,
    "aria-label": `${name}, ${extensionLabel(job.path)}`,
  };
  return h("li", {}, h("a", attributes, thumbnail(job)));
}
