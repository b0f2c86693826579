/** Where one is: "#/files?state=failed&job=17" is the view "files" with its choices, and the file 17 opened over it. */

/** The place that the address bar names: {view, params}. */
export function currentRoute() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { view: path, params: new URLSearchParams(query) };
}

/** The address of a view with choices; empty choices are left out. */
export function routeHref(view, choices = {}) {
  const query = new URLSearchParams(
    Object.entries(choices).filter(([, value]) => value !== null && value !== undefined && value !== ""),
  );
  return query.size ? `#/${view}?${query}` : `#/${view}`;
}

/** The address of where one is, with some choices changed. */
export function currentHrefWith(choices) {
  const { view, params } = currentRoute();
  return routeHref(view, { ...Object.fromEntries(params), ...choices });
}

/** Go there without a step in the browser's history. */
export function replaceRoute(to) {
  history.replaceState(null, "", to);
  dispatchEvent(new HashChangeEvent("hashchange"));
}
