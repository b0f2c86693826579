/** Light, dark, or as the system has it; remembered in this browser. */

const KEY = "syncd-theme";

export const theme = {
  get chosen() {
    return localStorage.getItem(KEY) ?? "auto";
  },

  choose(name) {
    if (name === "auto") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, name);
    this.apply();
  },

  apply() {
    document.documentElement.dataset.theme = this.chosen;
  },
};
