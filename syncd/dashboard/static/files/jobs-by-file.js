/** Groups jobs by file. The API has one job per file and remote; the page shows one entry per file. */

const RETRYABLE_STATES = ["failed", "waiting", "skipped"];
const CANCELLABLE_STATES = ["queued", "uploading", "waiting", "failed"];
const EVENT_FIELDS = ["state", "outcome", "detail", "size", "updated_at"]; // fields that a job event can change

export const isRetryable = job => RETRYABLE_STATES.includes(job.state);
export const isCancellable = job => CANCELLABLE_STATES.includes(job.state);

/** Return the jobs that "Retry" applies to: those that failed or wait, or, if there are none, the skipped ones. */
export function retryableJobs(file) {
  const unsuccessful = file.jobs.filter(job => isRetryable(job) && job.state !== "skipped");
  return unsuccessful.length ? unsuccessful : file.jobs.filter(isRetryable);
}

/** Return the jobs that "Cancel" applies to. */
export const cancellableJobs = file => file.jobs.filter(isCancellable);

/** Return when any of the file's jobs changed last. */
export const lastChangedAt = file => file.jobs.map(job => job.updated_at).sort().at(-1);

/** Return the reasons for the states of a file's jobs in one line, with the remotes' names if they differ. */
export function detailText(file) {
  const explained = file.jobs.filter(job => job.detail);
  const same = explained.length === file.jobs.length && new Set(explained.map(job => job.detail)).size === 1;
  if (same) return explained[0].detail;
  return explained.map(job => (file.jobs.length > 1 ? `${job.remote}: ${job.detail}` : job.detail)).join(" · ");
}

/** Files as {key, path, folder, jobs}, in the order of their first job. `key` is the file's URI. */
export class JobsByFile {
  constructor() {
    this.byKey = new Map();
    this.byPath = new Map();
    this.byJob = new Map(); // job id → file
  }

  get files() {
    return [...this.byKey.values()];
  }

  /** Add jobs from the API's list. A job replaces an earlier one with the same id. */
  add(jobs) {
    for (const job of jobs) this.upsert(job);
  }

  upsert(job) {
    const previous = this.byJob.get(job.id);
    if (previous && previous.key !== job.uri) this.remove(job.id, previous); // the file was renamed
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

  /** Apply a job event. Returns false if its file is not in this list. */
  applyEvent(event) {
    const file = this.byJob.get(event.id) ?? this.byPath.get(event.path);
    if (!file) return false;
    const job = file.jobs.find(other => other.id === event.id);
    if (job) for (const name of EVENT_FIELDS) job[name] = event[name];
    else this.upsert({ ...event, uri: file.key });
    return true;
  }
}
