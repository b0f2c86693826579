/** The colour theme ("auto", "light" or "dark"), stored in this browser. */

const STORAGE_KEY = "syncd-theme";

export const theme = {
  get current() {
    return localStorage.getItem(STORAGE_KEY) ?? "auto";
  },

  select(name) {
    if (name === "auto") localStorage.removeItem(STORAGE_KEY);
    else localStorage.setItem(STORAGE_KEY, name);
    this.apply();
  },

  apply() {
    document.documentElement.dataset.theme = this.current;
  },
};
