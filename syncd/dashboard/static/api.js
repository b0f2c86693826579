/** Client of the control API: one function per route. Every failure is an ApiError with a message for the user. */

import { toSentence } from "./ui/format.js";

const TEXT_CACHE_ENTRIES = 500;

/** An error reply of the daemon, or `status` 0 if there was no reply. `problems` lists errors in the configuration. */
class ApiError extends Error {
  constructor(status, message, problems = []) {
    super(message);
    this.status = status;
    this.problems = problems;
  }
}

async function request(method, path, { query = {}, body, signal } = {}) {
  const search = new URLSearchParams(
    Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== ""),
  );
  const options = { method, signal, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(search.size ? `${path}?${search}` : path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The daemon is not responding. Check that it is running.");
  }
  const reply = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new ApiError(response.status, toSentence(reply.error ?? response.statusText), reply.problems);
  }
  return reply;
}

export const api = {
  resume: () => request("POST", "/v1/start", { body: {} }),
  pause: () => request("POST", "/v1/stop", { body: {} }),
  rescan: uri => request("POST", "/v1/rescan", { body: uri ? { path: uri } : {} }),
  probe: remote => request("POST", "/v1/probe", { body: { remote } }),
  reload: () => request("POST", "/v1/reload", { body: {} }),
  jobs: (query, signal) => request("GET", "/v1/jobs", { query, signal }),
  job: target => request("GET", "/v1/job", { query: { target } }),
  retry: targets => request("POST", "/v1/retry", { body: { targets } }),
  cancel: targets => request("POST", "/v1/cancel", { body: { targets } }),
  verify: (targets, repair) => request("POST", "/v1/verify", { body: { targets, repair } }),
  log: query => request("GET", "/v1/log", { query }),
  settings: () => request("GET", "/v1/settings"),
  changeSettings: body => request("POST", "/v1/settings", { body }),
  throughput: () => request("GET", "/v1/throughput"),
};

/**
 * Return the URL of a WebP preview of a job's file. `edge` is its longest edge in pixels, 320 or 1600.
 *
 * Without a preview, the response is an empty 204: the browser would report a 404 as an error of the page.
 */
export const previewUrl = (id, edge = 320) => `/v1/preview?job=${id}&size=${edge}&missing=204`;

/** Return the URL of a job's original file, for an image. If the file is gone, the response is an empty 204. */
export const originalImageUrl = id => `/v1/original?job=${id}&missing=204`;

/** Return the URL of a job's original file, for a link. */
export const originalUrl = id => `/v1/original?job=${id}`;

const textCache = new Map();

/** Return the beginning of a job's text file. Results are cached; throws ApiError if there is no preview. */
export async function fetchTextPreview(job) {
  const key = `${job.id} ${job.updated_at}`;
  if (!textCache.has(key)) {
    if (textCache.size >= TEXT_CACHE_ENTRIES) textCache.delete(textCache.keys().next().value);
    textCache.set(key, fetchText(job.id));
    textCache.get(key).catch(() => textCache.delete(key));
  }
  return textCache.get(key);
}

async function fetchText(id) {
  const response = await fetch(previewUrl(id));
  if (response.status !== 200) throw new ApiError(response.status, "No preview is available.");
  return response.text();
}

/**
 * Write `file` into a watched folder, given by its URI. Resolves to the API's reply.
 *
 * `onProgress` receives the part that has been sent, from 0 to 1. This uses XMLHttpRequest because fetch reports no
 * upload progress.
 */
export function addToFolder(folderUri, file, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open("PUT", `/v1/drop?${new URLSearchParams({ folder: folderUri, name: file.name })}`);
    xhr.responseType = "json";
    xhr.upload.addEventListener(
      "progress",
      event => event.lengthComputable && onProgress(event.loaded / event.total),
    );
    xhr.addEventListener("load", () => {
      if (xhr.status === 201) resolve(xhr.response);
      else reject(new ApiError(xhr.status, toSentence(xhr.response?.error ?? "the file was rejected")));
    });
    xhr.addEventListener("error", () => reject(new ApiError(0, "Connection lost. Add the file again.")));
    xhr.addEventListener("abort", () => reject(new ApiError(0, "Cancelled.")));
    signal?.addEventListener("abort", () => xhr.abort());
    xhr.send(file);
  });
}
