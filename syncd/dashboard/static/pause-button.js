/** The button that pauses or resumes uploads. The API calls the paused state "stopped". */

import { api } from "./api.js";
import { appState, subscribe } from "./app-state.js";
import { h, icon, setAttributes, setText } from "./ui/dom.js";
import { runAction, showToast } from "./ui/toast.js";

const isPaused = () => appState.daemon?.state === "stopped";

/** Create a pause button that updates with the daemon's state. Call its `destroy()` when it is removed. */
export function pauseButton(className) {
  const label = h("span");
  const button = h("button", { class: className, onclick: () => togglePause(button) }, label);
  const update = () => {
    const action = isPaused() ? "resume" : "pause";
    if (button.dataset.action !== action) {
      button.dataset.action = action;
      setText(label, isPaused() ? "Resume uploads" : "Pause uploads");
      button.querySelector("svg")?.remove();
      button.prepend(icon(action));
      setAttributes(button, {
        title: isPaused()
          ? "Resume uploads (same as: syncd ctl start)"
          : "Pause uploads; new files are still detected (same as: syncd ctl stop)",
      });
    }
    button.disabled = appState.connection !== "open" || !appState.daemon || appState.daemon.state === "stopping";
  };
  button.destroy = subscribe("daemon connection", update);
  update();
  return button;
}

async function togglePause(button) {
  await runAction(button, async () => {
    if (isPaused()) {
      await api.resume();
      showToast("Uploads resumed.");
    } else {
      await api.pause();
      showToast("Paused. In-flight uploads will resume where they left off.");
    }
  });
}
