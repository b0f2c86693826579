/** The page: its frame, what stands in it, and the way from view to view. */

import { enableFileDrop } from "./add-files.js";
import { openFile } from "./file-dialog.js";
import { appState, connect, subscribe } from "./app-state.js";
import { currentRoute, routeHref } from "./router.js";
import { pauseButton } from "./pause-button.js";
import { theme } from "./theme.js";
import { h, icon, setAttributes, setPathText, setText } from "./ui/dom.js";
import { formatCount } from "./ui/format.js";
import { filesView } from "./views/files.js";
import { galleryView } from "./views/gallery.js";
import { logView } from "./views/log.js";
import { overviewView } from "./views/overview.js";
import { settingsView } from "./views/settings.js";
import { bannerText, overallStatus } from "./status-text.js";

const VIEWS = [
  { name: "", title: "Overview", sign: "now", make: overviewView },
  { name: "gallery", title: "Gallery", sign: "gallery", make: galleryView },
  { name: "files", title: "Files", sign: "queue", make: filesView },
  { name: "log", title: "Log", sign: "log", make: logView },
  { name: "settings", title: "Settings", sign: "settings", make: settingsView },
];

const content = document.getElementById("content");
let current = null;

function frame() {
  const badge = h("span", { class: "badge", hidden: true });
  for (const { name, title, sign } of VIEWS) {
    const link = h("a", { href: routeHref(name), "data-view": name }, icon(sign), h("span", {}, title));
    if (name === "files") link.append(badge);
    document.getElementById("rail").append(link);
  }
  document.getElementById("top-actions").append(pauseButton("switch"));
  subscribe("progress", ({ jobs }) => {
    badge.hidden = !jobs.failed;
    setText(badge, formatCount(jobs.failed));
    setAttributes(badge, { title: `${formatCount(jobs.failed)} failed` });
  });
}

/** The headline at the top and in the title of the window, and the banner for what stops everything. */
function follow() {
  const words = overallStatus(appState);
  const line = document.getElementById("headline");
  line.className = `headline ${words.tone}`;
  setText(line, words.title);
  const view = VIEWS.find(({ name }) => name === current?.name) ?? VIEWS[0];
  document.title = `${words.title} – ${view.title} – syncd`;
  const banner = document.getElementById("banner");
  const text = bannerText(appState);
  banner.hidden = !text;
  setPathText(banner, text);
  document.body.classList.toggle("offline", appState.connection === "lost" || appState.connection === "locked");
}

function go() {
  const { view: name, params } = currentRoute();
  const found = VIEWS.find(view => view.name === name) ?? VIEWS[0];
  if (current?.name === found.name) current.view.params?.(params);
  else {
    current?.view.leave();
    current = { name: found.name, view: found.make(params) };
    content.replaceChildren(current.view.element);
    current.view.entered?.();
    scrollTo(0, 0);
  }
  for (const link of document.querySelectorAll("#rail a")) {
    setAttributes(link, { "aria-current": link.dataset.view === found.name ? "page" : null });
  }
  document.getElementById("top-actions").hidden = found.name === ""; // the view has a larger one
  openFile(params.get("job"), id => current.view.around?.(id) ?? [null, null]);
  follow();
}

theme.apply();
frame();
enableFileDrop();
subscribe("connection daemon progress remote folder", follow);
addEventListener("hashchange", go);
document.querySelector(".skip").addEventListener("click", event => {
  event.preventDefault(); // the address is the view's
  content.focus();
});
connect();
go();
