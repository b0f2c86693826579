/** The control API: one function a question. Every failure is an ApiError whose message is one line for people. */

/** What the daemon refused, or why it could not be asked; `status` is 0 if nothing answered. */
export class ApiError extends Error {
  constructor(status, message, problems = []) {
    super(message);
    this.status = status;
    this.problems = problems;
  }
}

async function ask(method, path, { query = {}, body, signal } = {}) {
  const search = new URLSearchParams(
    Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== ""),
  );
  const options = { method, signal, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(search.size ? `${path}?${search}` : path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The daemon is not responding.");
  }
  const document = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(answer.status, sentence(document.error ?? answer.statusText), document.problems);
  return document;
}

const sentence = text => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

export const api = {
  status: () => ask("GET", "/v1/status"),
  start: () => ask("POST", "/v1/start", { body: {} }),
  stop: () => ask("POST", "/v1/stop", { body: {} }),
  rescan: uri => ask("POST", "/v1/rescan", { body: uri ? { path: uri } : {} }),
  reload: () => ask("POST", "/v1/reload", { body: {} }),
  jobs: (query, signal) => ask("GET", "/v1/jobs", { query, signal }),
  job: target => ask("GET", "/v1/job", { query: { target } }),
  retry: targets => ask("POST", "/v1/retry", { body: { targets } }),
  cancel: targets => ask("POST", "/v1/cancel", { body: { targets } }),
  verify: (targets, repair) => ask("POST", "/v1/verify", { body: { targets, repair } }),
  log: query => ask("GET", "/v1/log", { query }),
  settings: () => ask("GET", "/v1/settings"),
  change: body => ask("POST", "/v1/settings", { body }),
  throughput: () => ask("GET", "/v1/throughput"),
};

/** Where a small (320) or a large (1600) picture of a job's file is. */
export const previewUrl = (id, edge = 320) => `/v1/preview?job=${id}&size=${edge}`;

/** Where the file itself is. */
export const originalUrl = id => `/v1/original?job=${id}`;

const texts = new Map();
const MOST_TEXTS = 500;

/** The beginning of a text file; ApiError if there is none. What was asked for lately is remembered. */
export async function fetchTextPreview(job) {
  const key = `${job.id} ${job.updated_at}`;
  if (!texts.has(key)) {
    if (texts.size >= MOST_TEXTS) texts.delete(texts.keys().next().value);
    texts.set(key, fetchText(job.id));
    texts.get(key).catch(() => texts.delete(key));
  }
  return texts.get(key);
}

async function fetchText(id) {
  const answer = await fetch(previewUrl(id));
  if (!answer.ok) throw new ApiError(answer.status, "No preview is available.");
  return answer.text();
}

/**
 * Put a file into a watched folder. `progress` is called with the share that has gone, 0 to 1. Resolves to the answer.
 * XMLHttpRequest, as fetch does not tell how much of a body has gone.
 */
export function addToFolder(folder, file, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `/v1/drop?${new URLSearchParams({ folder, name: file.name })}`);
    request.responseType = "json";
    request.upload.addEventListener(
      "progress",
      event => event.lengthComputable && progress(event.loaded / event.total),
    );
    request.addEventListener("load", () => {
      if (request.status === 201) resolve(request.response);
      else reject(new ApiError(request.status, sentence(request.response?.error ?? "The file was rejected.")));
    });
    request.addEventListener("error", () => reject(new ApiError(0, "The connection was lost.")));
    request.addEventListener("abort", () => reject(new ApiError(0, "Cancelled.")));
    signal?.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
