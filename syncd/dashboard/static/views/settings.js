/** The Settings view: limits that can be changed at run time, the theme, and the configuration (read-only). */

import { api } from "../api.js";
import { appState, subscribe } from "../app-state.js";
import { theme } from "../theme.js";
import { h, icon, setText } from "../ui/dom.js";
import { runAction, showToast } from "../ui/toast.js";

const DEFAULT_BANDWIDTH_MIB = "2";
const DEFAULT_CONCURRENCY = "8";
const MAX_CONCURRENCY = "256";
const BANDWIDTH_UNITS = ["KiB", "MiB", "GiB"];
const THEMES = { auto: "Same as system", light: "Light", dark: "Dark" };
const API_LINKS = {
  "/v1/openapi.json": "API description (OpenAPI)",
  "/metrics": "Metrics for Prometheus",
  "/v1/status": "Status document (JSON)",
};

export function settingsView() {
  const view = new SettingsView();
  view.load();
  return view;
}

class SettingsView {
  constructor() {
    this.fileText = h("p", { class: "muted" });
    this.limits = h("div");
    this.configuration = h("div", { class: "configuration" });
    this.element = h(
      "div",
      { class: "settings" },
      h("div", { class: "view-head" }, h("h1", {}, "Settings")),
      panel(
        "Temporary limits",
        h(
          "p",
          { class: "muted" },
          "Changes apply until the next reload or restart. For permanent changes, edit the configuration file.",
        ),
        this.limits,
      ),
      panel("Theme", themeButtons()),
      this.configurationPanel(),
      panel("API and monitoring", apiLinks()),
    );
    this.destroy = subscribe("connection", connection => connection === "open" && this.load());
  }

  configurationPanel() {
    const reload = event => runAction(event.currentTarget, () => this.reload());
    return h(
      "section",
      { class: "panel full-width" },
      h(
        "div",
        { class: "panel-head" },
        h("h2", {}, "Configuration"),
        h("button", { class: "small", onclick: reload }, icon("retry"), "Reload configuration"),
      ),
      this.fileText,
      this.configuration,
    );
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

  show({ file, settings, live }) {
    setText(this.fileText, file ? `Read from ${file}. To change it, edit the file, then reload it.` : "");
    this.limits.replaceChildren(this.bandwidthForm(live), this.concurrencyForm(live));
    this.configuration.replaceChildren(...Object.entries(settings).map(([name, value]) => section(name, value)));
  }

  bandwidthForm({ bandwidth, changed }) {
    const [, number = "", currentUnit = "MiB"] = /^([\d.]+)\s*([KMGT]?i?B)\/s$/.exec(bandwidth) ?? [];
    const amount = h("input", {
      type: "number",
      min: "0.1",
      step: "any",
      inputmode: "decimal",
      value: number || DEFAULT_BANDWIDTH_MIB,
      "aria-label": "Bandwidth limit",
      class: "narrow-input",
    });
    const unit = h(
      "select",
      { "aria-label": "Unit" },
      BANDWIDTH_UNITS.map(name => h("option", { value: name, selected: name === currentUnit }, `${name}/s`)),
    );
    return this.limitForm({
      title: "Bandwidth limit",
      current: bandwidth,
      changed: changed.includes("bandwidth"),
      automaticLabel: " unlimited",
      automatic: bandwidth === "unlimited",
      inputs: [amount, unit],
      toSettings: unlimited => ({ bandwidth: unlimited ? "unlimited" : `${amount.value}${unit.value}/s` }),
    });
  }

  concurrencyForm({ concurrency, changed }) {
    const automatic = concurrency === "auto";
    const number = h("input", {
      type: "number",
      min: "1",
      max: MAX_CONCURRENCY,
      step: "1",
      value: automatic ? DEFAULT_CONCURRENCY : String(concurrency),
      "aria-label": "Parallel requests",
      class: "narrow-input",
    });
    return this.limitForm({
      title: "Parallel requests",
      current: concurrency,
      changed: changed.includes("concurrency"),
      automaticLabel: " automatic",
      automatic,
      inputs: [number],
      toSettings: auto => ({ concurrency: auto ? "auto" : Number(number.value) }),
    });
  }

  /** Create the form of a limit. Its checkbox disables the inputs; `toSettings(checked)` returns the API's body. */
  limitForm({ title, current, changed, automaticLabel, automatic, inputs, toSettings }) {
    const checkbox = h("input", { type: "checkbox", checked: automatic, onchange: () => update() });
    const update = () => {
      for (const input of inputs) input.disabled = checkbox.checked;
    };
    update();
    const apply = h("button", { class: "small primary", type: "submit" }, "Apply");
    const onsubmit = event => {
      event.preventDefault();
      runAction(apply, () => this.changeSettings(toSettings(checkbox.checked)));
    };
    const badge = h("span", { class: "state-badge waiting" }, "differs from the configuration file");
    return h(
      "form",
      { class: "setting", onsubmit },
      h("span", { class: "setting-name" }, title, changed && badge),
      h("span", { class: "setting-value" }, h("label", {}, checkbox, automaticLabel), inputs, apply),
      h("small", { class: "muted" }, `Current: ${current}`),
    );
  }

  async changeSettings(settings) {
    this.show(await api.changeSettings(settings));
    showToast("Applied until the next reload or restart.");
  }
}

const panel = (title, ...content) => h("section", { class: "panel" }, h("h2", {}, title), content);

function themeButtons() {
  const buttons = h("div", { class: "button-group", role: "group", "aria-label": "Theme" });
  for (const [name, label] of Object.entries(THEMES)) {
    const select = event => {
      theme.select(name);
      for (const other of buttons.children) other.setAttribute("aria-pressed", String(other === event.currentTarget));
    };
    buttons.append(h("button", { "aria-pressed": String(theme.current === name), onclick: select }, label));
  }
  return buttons;
}

const apiLinks = () =>
  h(
    "ul",
    { class: "links" },
    Object.entries(API_LINKS).map(([href, text]) =>
      h("li", {}, h("a", { href, target: "_blank", rel: "noopener" }, text)),
    ),
  );

/** Render a part of the configuration: a single value or list as one property, an object as a collapsible section. */
function section(name, value) {
  if (!isObject(value)) return properties([[name, value]]);
  const entries = Array.isArray(value)
    ? value.map((item, index) => [item?.path ?? String(index + 1), item])
    : Object.entries(value);
  if (!entries.length) return properties([[name, "none"]]);
  if (Array.isArray(value) && !value.some(isObject)) return properties([[name, value]]);
  const isSimple = item => !isObject(item) || (Array.isArray(item) && !item.some(isObject));
  return h(
    "details",
    { open: true },
    h("summary", {}, name),
    properties(entries.filter(([, item]) => isSimple(item))),
    entries.filter(([, item]) => !isSimple(item)).map(([key, item]) => section(key, item)),
  );
}

const isObject = value => value !== null && typeof value === "object";

const properties = entries =>
  h(
    "dl",
    { class: "properties" },
    entries.map(([name, value]) => [h("dt", {}, name), h("dd", {}, h("code", {}, formatValue(value)))]),
  );

function formatValue(value) {
  if (Array.isArray(value)) return value.map(formatValue).join(", ") || "none";
  if (value === null) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return String(value);
}
