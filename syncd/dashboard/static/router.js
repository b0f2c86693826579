/** Routes in the URL's hash. "#/files?state=failed&job=17" is the view "files" with the dialog for job 17 open. */

/** Return the current route as {view, params}. */
export function currentRoute() {
  const [view, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { view, params: new URLSearchParams(query) };
}

/** Return the link to a view. Empty parameters are left out. */
export function routeHref(view, params = {}) {
  const query = new URLSearchParams(
    Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== ""),
  );
  return query.size ? `#/${view}?${query}` : `#/${view}`;
}

/** Return the link to the current route with some parameters changed. */
export function currentHrefWith(changes) {
  const { view, params } = currentRoute();
  return routeHref(view, { ...Object.fromEntries(params), ...changes });
}

/** Go to a route without adding an entry to the browser's history. */
export function replaceRoute(href) {
  history.replaceState(null, "", href);
  dispatchEvent(new HashChangeEvent("hashchange"));
}
