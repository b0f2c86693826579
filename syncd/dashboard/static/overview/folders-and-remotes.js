/** Folders and servers, each with its state and what to do about it. */

import { api } from "../api.js";
import { chooseFiles } from "../add-files.js";
import { live, on } from "../app-state.js";
import { h, icon, say, sayPath } from "../ui/dom.js";
import { base, counted } from "../ui/format.js";
import { attempt, toast } from "../ui/toast.js";
import { folderWords, listed, remoteWords } from "../status-text.js";

export function places() {
  const folders = new Rows(folder => new FolderRow(folder));
  const remotes = new Rows(remote => new RemoteRow(remote));
  const follow = () => {
    folders.follow(live.folders);
    remotes.follow(live.remotes);
  };
  const off = on("folder remote daemon", follow);
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
    say(this.state, text);
    sayPath(this.hint, hint);
    this.hint.hidden = !hint;
  }
}

class FolderRow extends Row {
  constructor(folder) {
    super("folder", base(folder.path), folder.path);
    sayPath(this.note, folder.path);
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
    await attempt(button, async () => {
      await api.rescan(this.folder.uri);
      toast("Scanning the folder.");
    });
  }

  follow(folder) {
    this.folder = folder;
    this.tell(folderWords(folder));
    say(this.facts, `${counted(folder.files, "file")}, uploaded to ${listed(folder.remotes)}`);
  }
}

class RemoteRow extends Row {
  constructor(remote) {
    super("server", remote.name, remote.url);
  }

  follow(remote) {
    this.tell(remoteWords(remote));
    sayPath(this.note, remote.url);
    say(this.facts, `${remote.type} API`);
  }
}
