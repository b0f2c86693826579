/** Now: the state in words, what is in flight, how fast, what arrived, and how folders and servers are. */

import { createActiveUploads } from "../overview/active-uploads.js";
import { createSummary } from "../overview/summary.js";
import { createFoldersAndRemotes } from "../overview/folders-and-remotes.js";
import { createRecentUploads } from "../overview/recent-uploads.js";
import { createUploadSpeed } from "../overview/upload-speed.js";
import { h } from "../ui/dom.js";

export function overviewView() {
  const parts = [createSummary(), createActiveUploads(), createUploadSpeed(), createRecentUploads(), createFoldersAndRemotes()];
  const element = h(
    "div",
    { class: "now" },
    parts.map(part => part.element),
  );
  return { element, leave: () => parts.forEach(part => part.leave()) };
}
