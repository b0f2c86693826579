/** Shows the number of failed uploads outside the page: in the tab's icon, the window's title and the app's badge. */

import { setAttributes } from "./ui/dom.js";
import { formatCount } from "./ui/format.js";

const ICON = "/static/icon.svg";
const ATTENTION_ICON = "/static/icon-attention.svg";

let shownBadge = null;

/** Return the window's title for a title of the page. The number comes first, because a narrow tab cuts off the end. */
export const titleWithCount = (title, failed) => (failed ? `(${formatCount(failed)}) ${title}` : title);

/** Mark the tab's icon and the installed app. `failed` is the number; without one, the badge is a dot. */
export function showBadge({ failed, needsAttention }) {
  const link = document.querySelector('link[rel="icon"]');
  const href = needsAttention ? ATTENTION_ICON : ICON;
  if (link.getAttribute("href") !== href) setAttributes(link, { href });
  const badge = needsAttention ? failed || "dot" : 0;
  if (badge === shownBadge) return;
  shownBadge = badge;
  // Only an installed app has a badge: in a tab, the browser may refuse.
  if (!badge) navigator.clearAppBadge?.().catch(() => {});
  else if (failed) navigator.setAppBadge?.(failed).catch(() => {});
  else navigator.setAppBadge?.().catch(() => {});
}
