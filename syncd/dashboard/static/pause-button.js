/** The button that starts or stops uploading. */

import { api } from "./api.js";
import { appState, subscribe } from "./app-state.js";
import { h, icon, setAttributes, setText } from "./ui/dom.js";
import { runAction, showToast } from "./ui/toast.js";

/** Make one; it follows what the daemon says until its `leave` is called. */
export function pauseButton(className) {
  const words = h("span");
  const button = h("button", { class: className, onclick: () => turn(button) }, words);
  const follow = () => {
    const stopped = appState.daemon?.state === "stopped";
    const action = stopped ? "Start" : "Stop";
    if (words.textContent !== action) {
      setText(words, action);
      button.querySelector("svg")?.remove();
      button.prepend(icon(stopped ? "play" : "stop"));
      button.dataset.action = action.toLowerCase();
      setAttributes(button, { title: stopped ? "Resume uploading" : "Stop uploading; new files are still detected" });
    }
    button.disabled = appState.connection !== "open" || !appState.daemon || appState.daemon.state === "stopping";
  };
  button.leave = subscribe("daemon connection", follow);
  follow();
  return button;
}

async function turn(button) {
  const stopped = appState.daemon.state === "stopped";
  await runAction(button, async () => {
    await (stopped ? api.start() : api.stop());
    showToast(stopped ? "Uploading resumed." : "Stopped. Unfinished uploads continue where they left off after Start.");
  });
}
