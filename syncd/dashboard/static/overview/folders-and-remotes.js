/** The panel of watched folders and remotes, each with its status and what to do about a problem. */

import { chooseFiles } from "../add-files.js";
import { api } from "../api.js";
import { appState, subscribe } from "../app-state.js";
import { folderStatus, leftOutText, remoteStatus } from "../status-text.js";
import { h, icon, setPathText, setText, syncChildren } from "../ui/dom.js";
import { baseName, joinNames, pluralize } from "../ui/format.js";
import { runAction, showToast } from "../ui/toast.js";

const COUNTDOWN_INTERVAL_MS = 1000; // for the time until the next attempt

export function createFoldersAndRemotes() {
  const folderList = h("ul", { class: "status-list" });
  const remoteList = h("ul", { class: "status-list" });
  const folderRows = new Map();
  const remoteRows = new Map();
  const update = () => {
    syncChildren(folderList, folderRows, appState.folders, folder => new FolderRow(folder));
    syncChildren(remoteList, remoteRows, appState.remotes, remote => new RemoteRow(remote));
  };
  const unsubscribe = subscribe("folder remote daemon", update);
  const timer = setInterval(update, COUNTDOWN_INTERVAL_MS);
  update();
  return {
    element: h(
      "section",
      { class: "panel status-panel" },
      h("h2", {}, "Folders"),
      folderList,
      h("h2", {}, "Remotes"),
      remoteList,
    ),
    destroy() {
      unsubscribe();
      clearInterval(timer);
    },
  };
}

class StatusRow {
  constructor(iconName, name, title) {
    this.state = h("span", { class: "status-state" });
    this.address = h("small", { class: "status-address" });
    this.summary = h("small", { class: "status-summary" });
    this.hint = h("p", { class: "status-hint", hidden: true });
    this.actions = h("span", { class: "status-actions" });
    this.element = h(
      "li",
      {},
      icon(iconName),
      h("span", { class: "status-name", title }, name),
      this.state,
      this.address,
      this.summary,
      this.actions,
      this.hint,
    );
  }

  showStatus({ tone, text, hint }) {
    this.element.dataset.tone = tone;
    setText(this.state, text);
    setPathText(this.hint, hint);
    this.hint.hidden = !hint;
  }
}

class FolderRow extends StatusRow {
  constructor(folder) {
    super("folder", baseName(folder.path), folder.path);
    setPathText(this.address, folder.path);
    this.folder = folder;
    const rescan = h(
      "button",
      { class: "subtle", title: "Scan the folder now", onclick: event => this.rescan(event.currentTarget) },
      icon("retry"),
      "Rescan",
    );
    const add = h(
      "button",
      { class: "subtle", title: "Add files to this folder", onclick: () => chooseFiles(this.folder) },
      icon("add"),
      "Add files",
    );
    this.actions.append(add, rescan);
  }

  async rescan(button) {
    await runAction(button, async () => {
      await api.rescan(this.folder.uri);
      showToast(`Scanning ${baseName(this.folder.path)}…`);
    });
  }

  update(folder) {
    this.folder = folder;
    this.showStatus(folderStatus(folder));
    const { files, remotes, left_out_files: leftOut, left_out_videos: videos } = folder;
    const parts = [pluralize(files, "file"), leftOut && leftOutText(leftOut, videos), `uploads to ${joinNames(remotes)}`];
    setText(this.summary, parts.filter(Boolean).join(" · "));
  }
}

class RemoteRow extends StatusRow {
  constructor(remote) {
    super("remote", remote.name, remote.url);
  }

  update(remote) {
    this.showStatus(remoteStatus(remote));
    setPathText(this.address, `${remote.url} · ${remote.type} API`);
  }
}
