/** The button that starts or stops uploading. */

import { api } from "./api.js";
import { live, on } from "./app-state.js";
import { h, icon, say, set } from "./ui/dom.js";
import { attempt, toast } from "./ui/toast.js";

/** Make one; it follows what the daemon says until its `leave` is called. */
export function switchButton(className) {
  const words = h("span");
  const button = h("button", { class: className, onclick: () => turn(button) }, words);
  const follow = () => {
    const stopped = live.daemon?.state === "stopped";
    const action = stopped ? "Start" : "Stop";
    if (words.textContent !== action) {
      say(words, action);
      button.querySelector("svg")?.remove();
      button.prepend(icon(stopped ? "play" : "stop"));
      button.dataset.action = action.toLowerCase();
      set(button, { title: stopped ? "Resume uploading" : "Stop uploading; new files are still detected" });
    }
    button.disabled = live.connection !== "open" || !live.daemon || live.daemon.state === "stopping";
  };
  button.leave = on("daemon connection", follow);
  follow();
  return button;
}

async function turn(button) {
  const stopped = live.daemon.state === "stopped";
  await attempt(button, async () => {
    await (stopped ? api.start() : api.stop());
    toast(stopped ? "Uploading resumed." : "Stopped. Unfinished uploads continue where they left off after Start.");
  });
}
