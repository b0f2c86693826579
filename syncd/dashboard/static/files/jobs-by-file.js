/** Jobs gathered by file: a file that goes to several servers is one entry, with a job for each of them. */

/** Whether a job can be tried again, or cancelled. */
export const isRetryable = job => ["failed", "waiting", "skipped"].includes(job.state);
export const isCancellable = job => ["queued", "uploading", "waiting", "failed"].includes(job.state);

/** The jobs of a file that "Retry" is about: those in trouble, or else those that were skipped. */
export function retryableJobs(file) {
  const troubled = file.jobs.filter(job => isRetryable(job) && job.state !== "skipped");
  return troubled.length ? troubled : file.jobs.filter(isRetryable);
}

/** The jobs of a file that "Cancel" is about. */
export const cancellableJobs = file => file.jobs.filter(isCancellable);

/** When a job of the file changed last. */
export const lastChangedAt = file => file.jobs.map(job => job.updated_at).sort().at(-1);

/** Why the file's jobs are where they are, in one line; with the server's name where it matters. */
export function detailText(file) {
  const told = file.jobs.filter(job => job.detail);
  const same = told.length === file.jobs.length && new Set(told.map(job => job.detail)).size === 1;
  if (same) return told[0].detail;
  return told.map(job => (file.jobs.length > 1 ? `${job.remote}: ${job.detail}` : job.detail)).join(" · ");
}

const LIVE = ["state", "outcome", "detail", "size", "updated_at"];

/** Files in the order in which the first job of each came. A file: {key, path, folder, jobs}, the jobs by server. */
export class JobsByFile {
  constructor() {
    this.byKey = new Map();
    this.byPath = new Map();
    this.byJob = new Map();
  }

  get files() {
    return [...this.byKey.values()];
  }

  /** Take jobs as the API lists them. One that is known by its id takes the place of what was known. */
  add(jobs) {
    for (const job of jobs) this.put(job);
  }

  put(job) {
    const before = this.byJob.get(job.id);
    if (before && before.key !== job.uri) this.remove(job.id, before); // the file was renamed
    let file = this.byKey.get(job.uri);
    if (!file) {
      file = { key: job.uri, path: job.path, folder: job.folder, jobs: [] };
      this.byKey.set(file.key, file);
      this.byPath.set(file.path, file);
    }
    this.byJob.set(job.id, file);
    file.jobs = [...file.jobs.filter(other => other.id !== job.id), job].sort((a, b) => (a.remote < b.remote ? -1 : 1));
  }

  remove(id, file) {
    file.jobs = file.jobs.filter(job => job.id !== id);
    if (file.jobs.length) return;
    this.byKey.delete(file.key);
    this.byPath.delete(file.path);
  }

  /** Bring a job up to date by an event; false if the event is about a file that is not here. */
  follow(event) {
    const file = this.byJob.get(event.id) ?? this.byPath.get(event.path);
    if (!file) return false;
    const known = file.jobs.find(job => job.id === event.id);
    if (known) for (const name of LIVE) known[name] = event[name];
    else this.put({ ...event, uri: file.key });
    return true;
  }
}
