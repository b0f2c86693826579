/** Where one is: "#/files?state=failed&job=17" is the view "files" with its choices, and the file 17 opened over it. */

/** The place that the address bar names: {view, params}. */
export function place() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { view: path, params: new URLSearchParams(query) };
}

/** The address of a view with choices; empty choices are left out. */
export function address(view, choices = {}) {
  const query = new URLSearchParams(
    Object.entries(choices).filter(([, value]) => value !== null && value !== undefined && value !== ""),
  );
  return query.size ? `#/${view}?${query}` : `#/${view}`;
}

/** The address of where one is, with some choices changed. */
export function changed(choices) {
  const { view, params } = place();
  return address(view, { ...Object.fromEntries(params), ...choices });
}

/** Go there without a step in the browser's history. */
export function replace(to) {
  history.replaceState(null, "", to);
  dispatchEvent(new HashChangeEvent("hashchange"));
}
