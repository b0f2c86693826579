/** Folders and servers, each with its state and what to do about it. */

import { api } from "../api.js";
import { chooseFiles } from "../add-files.js";
import { appState, subscribe } from "../app-state.js";
import { h, icon, setPathText, setText } from "../ui/dom.js";
import { baseName, pluralize } from "../ui/format.js";
import { runAction, showToast } from "../ui/toast.js";
import { folderStatus, joinNames, remoteStatus } from "../status-text.js";

export function createFoldersAndRemotes() {
  const folders = new Rows(folder => new FolderRow(folder));
  const remotes = new Rows(remote => new RemoteRow(remote));
  const follow = () => {
    folders.follow(appState.folders);
    remotes.follow(appState.remotes);
  };
  const off = subscribe("folder remote daemon", follow);
  const ticking = setInterval(follow, 1000); // the time to the next try
  follow();
  return {
    element: h(
      "section",
      { class: "panel places-panel" },
      h("h2", {}, "Folders"),
      folders.element,
      h("h2", {}, "Servers"),
      remotes.element,
    ),
    leave() {
      off();
      clearInterval(ticking);
    },
  };
}

/** A row for each entry of a Map, as it comes and goes. */
class Rows {
  constructor(make) {
    this.make = make;
    this.rows = new Map();
    this.element = h("ul", { class: "places" });
  }

  follow(known) {
    for (const [name, row] of this.rows) {
      if (!known.has(name)) {
        row.element.remove();
        this.rows.delete(name);
      }
    }
    for (const [name, value] of known) {
      if (!this.rows.has(name)) {
        this.rows.set(name, this.make(value));
        this.element.append(this.rows.get(name).element);
      }
      this.rows.get(name).follow(value);
    }
  }
}

class Row {
  constructor(sign, name, whole) {
    this.state = h("span", { class: "place-state" });
    this.note = h("small", { class: "place-note" });
    this.facts = h("small", { class: "place-facts" });
    this.hint = h("p", { class: "place-hint", hidden: true });
    this.actions = h("span", { class: "place-actions" });
    this.element = h(
      "li",
      {},
      icon(sign),
      h("span", { class: "place-name", title: whole }, name),
      this.state,
      this.note,
      this.facts,
      this.actions,
      this.hint,
    );
  }

  tell({ tone, text, hint }) {
    this.element.dataset.tone = tone;
    setText(this.state, text);
    setPathText(this.hint, hint);
    this.hint.hidden = !hint;
  }
}

class FolderRow extends Row {
  constructor(folder) {
    super("folder", baseName(folder.path), folder.path);
    setPathText(this.note, folder.path);
    this.folder = folder;
    const rescan = h(
      "button",
      { class: "quiet", title: "Scan the folder now", onclick: event => this.rescan(event.currentTarget) },
      icon("retry"),
      "Rescan",
    );
    const add = h(
      "button",
      { class: "quiet", title: "Add files to this folder", onclick: () => chooseFiles(this.folder) },
      icon("add"),
      "Add files",
    );
    this.actions.append(add, rescan);
  }

  async rescan(button) {
    await runAction(button, async () => {
      await api.rescan(this.folder.uri);
      showToast("Scanning the folder.");
    });
  }

  follow(folder) {
    this.folder = folder;
    this.tell(folderStatus(folder));
    setText(this.facts, `${pluralize(folder.files, "file")}, uploaded to ${joinNames(folder.remotes)}`);
  }
}

class RemoteRow extends Row {
  constructor(remote) {
    super("server", remote.name, remote.url);
  }

  follow(remote) {
    this.tell(remoteStatus(remote));
    setPathText(this.note, remote.url);
    setText(this.facts, `${remote.type} API`);
  }
}
