/** Settings: the configuration as it is, secrets masked; the bandwidth limit and the concurrency can be changed here. */

import { api } from "../api.js";
import { appState, subscribe } from "../app-state.js";
import { theme } from "../theme.js";
import { h, icon, setText } from "../ui/dom.js";
import { runAction, showToast } from "../ui/toast.js";

export function settingsView() {
  const view = new Settings();
  view.load();
  return view;
}

class Settings {
  constructor() {
    this.file = h("p", { class: "muted" });
    this.live = h("div");
    this.configured = h("div", { class: "configured" });
    this.element = h(
      "div",
      { class: "settings" },
      h("div", { class: "view-head" }, h("h1", {}, "Settings")),
      h(
        "section",
        { class: "panel" },
        h("h2", {}, "Temporary limits"),
        h(
          "p",
          { class: "muted" },
          "These apply until the next reload or restart. To make them permanent, set them in the configuration file.",
        ),
        this.live,
      ),
      h("section", { class: "panel" }, h("h2", {}, "Appearance"), themes()),
      h(
        "section",
        { class: "panel wide" },
        h(
          "div",
          { class: "panel-head" },
          h("h2", {}, "Configuration"),
          h(
            "button",
            { class: "small", onclick: event => runAction(event.currentTarget, () => this.reload()) },
            icon("retry"),
            "Reload",
          ),
        ),
        this.file,
        this.configured,
      ),
      h(
        "section",
        { class: "panel" },
        h("h2", {}, "For scripts and monitoring"),
        h(
          "ul",
          { class: "links" },
          [
            ["/v1/openapi.json", "API description (OpenAPI)"],
            ["/metrics", "Metrics for Prometheus"],
            ["/v1/status", "Status document (JSON)"],
          ].map(([href, words]) => h("li", {}, h("a", { href, target: "_blank", rel: "noopener" }, words))),
        ),
      ),
    );
    this.off = subscribe("connection", connection => connection === "open" && this.load());
  }

  leave() {
    this.off();
  }

  async load() {
    if (appState.connection !== "open") return;
    await runAction(null, async () => this.show(await api.settings()));
  }

  async reload() {
    const { messages } = await api.reload();
    showToast(messages.length ? `Applied: ${messages.join("; ")}` : "Reloaded. Nothing has changed.");
    await this.load();
  }

  show({ file, settings, live: now }) {
    setText(this.file, file ? `Read from ${file}. To change it, edit the file, then reload.` : "");
    this.live.replaceChildren(this.bandwidth(now), this.concurrency(now));
    this.configured.replaceChildren(...Object.entries(settings).map(([name, value]) => section(name, value)));
  }

  bandwidth({ bandwidth, changed }) {
    const unlimited = bandwidth === "unlimited";
    const [, number = "", unit = "MiB"] = /^([\d.]+)\s*([KMGT]?i?B)\/s$/.exec(bandwidth) ?? [];
    const amount = h("input", {
      type: "number",
      min: "0.1",
      step: "any",
      inputmode: "decimal",
      value: number || "2",
      "aria-label": "Bandwidth",
      class: "short",
    });
    const units = h(
      "select",
      { "aria-label": "Unit" },
      ["KiB", "MiB", "GiB"].map(name => h("option", { value: name, selected: name === unit }, `${name}/s`)),
    );
    const free = h("input", { type: "checkbox", checked: unlimited, onchange: () => follow() });
    const follow = () => {
      amount.disabled = units.disabled = free.checked;
    };
    follow();
    const apply = h("button", { class: "small primary", type: "submit" }, "Apply");
    return h(
      "form",
      {
        class: "setting",
        onsubmit: event =>
          this.change(event, apply, { bandwidth: free.checked ? "unlimited" : `${amount.value}${units.value}/s` }),
      },
      h("span", { class: "setting-name" }, "Bandwidth", mark(changed.includes("bandwidth"))),
      h("span", { class: "setting-value" }, h("label", {}, free, " unlimited"), amount, units, apply),
      h("small", { class: "muted" }, `Now: ${bandwidth}`),
    );
  }

  concurrency({ concurrency, changed }) {
    const auto = concurrency === "auto";
    const number = h("input", {
      type: "number",
      min: "1",
      max: "256",
      step: "1",
      value: auto ? "8" : String(concurrency),
      "aria-label": "Parallel requests",
      class: "short",
    });
    const box = h("input", { type: "checkbox", checked: auto, onchange: () => follow() });
    const follow = () => {
      number.disabled = box.checked;
    };
    follow();
    const apply = h("button", { class: "small primary", type: "submit" }, "Apply");
    return h(
      "form",
      {
        class: "setting",
        onsubmit: event => this.change(event, apply, { concurrency: box.checked ? "auto" : Number(number.value) }),
      },
      h("span", { class: "setting-name" }, "Parallel requests", mark(changed.includes("concurrency"))),
      h("span", { class: "setting-value" }, h("label", {}, box, " automatic"), number, apply),
      h("small", { class: "muted" }, `Now: ${concurrency}`),
    );
  }

  async change(event, button, wanted) {
    event.preventDefault();
    await runAction(button, async () => {
      this.show(await api.change(wanted));
      showToast("Changed until the next reload or restart.");
    });
  }
}

const mark = shown => shown && h("span", { class: "state waiting" }, "differs from the file");

function themes() {
  const choices = h("div", { class: "choices", role: "group", "aria-label": "Colours" });
  for (const [name, words] of [
    ["auto", "Same as the system"],
    ["light", "Light"],
    ["dark", "Dark"],
  ]) {
    const choose = event => {
      theme.choose(name);
      for (const other of choices.children) other.setAttribute("aria-pressed", String(other === event.currentTarget));
    };
    choices.append(h("button", { "aria-pressed": String(theme.chosen === name), onclick: choose }, words));
  }
  return choices;
}

/** A part of the configuration, as nested lists of names and values. */
function section(name, value) {
  if (value === null || typeof value !== "object")
    return h("dl", { class: "facts" }, h("dt", {}, name), h("dd", {}, h("code", {}, plain(value))));
  const entries = Array.isArray(value)
    ? value.map((one, index) => [one?.path ?? String(index + 1), one])
    : Object.entries(value);
  if (!entries.length) return section(name, "none");
  if (entries.every(([, one]) => one === null || typeof one !== "object")) {
    const list = Array.isArray(value)
      ? [h("dt", {}, name), h("dd", {}, h("code", {}, value.map(plain).join(", ")))]
      : null;
    if (list) return h("dl", { class: "facts" }, list);
  }
  const simple = entries.filter(
    ([, one]) =>
      one === null || typeof one !== "object" || (Array.isArray(one) && one.every(part => typeof part !== "object")),
  );
  const nested = entries.filter(entry => !simple.includes(entry));
  return h(
    "details",
    { open: true },
    h("summary", {}, name),
    h(
      "dl",
      { class: "facts" },
      simple.map(([key, one]) => [
        h("dt", {}, key),
        h("dd", {}, h("code", {}, Array.isArray(one) ? one.map(plain).join(", ") || "none" : plain(one))),
      ]),
    ),
    nested.map(([key, one]) => section(key, one)),
  );
}

const plain = value => (value === null ? "–" : value === true ? "yes" : value === false ? "no" : String(value));
