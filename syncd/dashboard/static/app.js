/**
 * Entry point: builds the page around the views and switches between views.
 *
 * A view is an object with `element` and `destroy()`. Optional methods: `setParams(params)` for new URL parameters,
 * `onAttached()` once it is in the document, and `neighbours(id)`, the previous and next job in the view's list.
 */

import { enableFileDrop } from "./add-files.js";
import { appState, connect, subscribe } from "./app-state.js";
import { showBadge, titleWithCount } from "./badge.js";
import { openFile } from "./file-dialog.js";
import { pauseButton } from "./pause-button.js";
import { currentRoute, routeHref } from "./router.js";
import { bannerText, overallStatus } from "./status-text.js";
import { theme } from "./theme.js";
import { h, icon, setAttributes, setPathText, setText } from "./ui/dom.js";
import { formatCount } from "./ui/format.js";
import { filesView } from "./views/files.js";
import { galleryView } from "./views/gallery.js";
import { logView } from "./views/log.js";
import { overviewView } from "./views/overview.js";
import { settingsView } from "./views/settings.js";

const VIEWS = [
  { name: "", title: "Overview", icon: "overview", create: overviewView },
  { name: "gallery", title: "Gallery", icon: "gallery", create: galleryView },
  { name: "files", title: "Files", icon: "files", create: filesView },
  { name: "log", title: "Log", icon: "log", create: logView },
  { name: "settings", title: "Settings", icon: "settings", create: settingsView },
];

const content = document.getElementById("content");
let current = null; // {name, title, view}

function buildNavigation() {
  const failedBadge = h("span", { class: "count-badge", hidden: true });
  for (const { name, title, icon: iconName } of VIEWS) {
    const link = h("a", { href: routeHref(name), "data-view": name }, icon(iconName), h("span", {}, title));
    if (name === "files") link.append(failedBadge);
    document.getElementById("sidebar").append(link);
  }
  document.getElementById("header-actions").append(pauseButton("pause-button"));
  subscribe("progress", ({ jobs }) => {
    failedBadge.hidden = !jobs.failed;
    setText(failedBadge, formatCount(jobs.failed));
    setAttributes(failedBadge, { title: `${formatCount(jobs.failed)} failed` });
  });
}

/** Update the status in the header, the window's title and badge, and the banner for what blocks all uploads. */
function updateStatus() {
  const { tone, title } = overallStatus(appState);
  const status = document.getElementById("overall-status");
  status.dataset.tone = tone;
  setText(status, title);
  const failed = appState.progress?.jobs.failed ?? 0;
  document.title = titleWithCount(`${title} – ${(current ?? VIEWS[0]).title} – syncd`, failed);
  showBadge({ failed, needsAttention: failed > 0 || tone === "error" });
  const banner = document.getElementById("banner");
  const text = bannerText(appState, { overview: current?.name === "" });
  banner.hidden = !text;
  setPathText(banner, text);
  const disconnected = appState.connection === "lost" || appState.connection === "logged_out";
  document.body.classList.toggle("disconnected", disconnected);
}

function navigate() {
  const { view: name, params } = currentRoute();
  const target = VIEWS.find(view => view.name === name) ?? VIEWS[0];
  if (current?.name === target.name) current.view.setParams?.(params);
  else {
    current?.view.destroy();
    current = { name: target.name, title: target.title, view: target.create(params) };
    content.replaceChildren(current.view.element);
    current.view.onAttached?.();
    scrollTo(0, 0);
  }
  for (const link of document.querySelectorAll("#sidebar a")) {
    setAttributes(link, { "aria-current": link.dataset.view === target.name ? "page" : null });
  }
  document.getElementById("header-actions").hidden = target.name === ""; // the overview has a larger pause button
  openFile(params.get("job"), id => current.view.neighbours?.(id) ?? [null, null]);
  updateStatus();
}

theme.apply();
buildNavigation();
enableFileDrop();
subscribe("connection daemon progress remote folder", updateStatus);
addEventListener("hashchange", navigate);
document.querySelector(".skip-link").addEventListener("click", event => {
  event.preventDefault(); // the hash holds the route
  content.focus();
});
connect();
navigate();
