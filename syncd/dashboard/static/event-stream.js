/**
 * A connection to the daemon's event stream that reconnects automatically and remembers the current state.
 *
 * It runs in a shared worker, so that all open pages use one connection. Browsers without shared workers run it in
 * each page.
 */

const EVENT_KINDS = ["daemon", "folder", "remote", "job", "progress", "log", "lost"];
const RECONNECT_DELAYS_MS = [500, 1000, 2000, 5000];

export class EventStream {
  /**
   * Connect. `onEvent(kind, data)` is called for each event of the API, and with kind "connection" when the connection
   * becomes "connecting", "open", "lost" or "logged_out".
   */
  constructor(onEvent) {
    this.onEvent = onEvent;
    this.connection = "connecting";
    this.latest = new Map(); // what the event is about → [kind, data]
    this.failures = 0;
    this.connect();
  }

  connect() {
    this.source = new EventSource("/v1/events");
    this.source.addEventListener("open", () => {
      this.failures = 0;
      this.latest.clear();
      this.setConnection("open");
    });
    this.source.addEventListener("error", () => this.reconnect());
    for (const kind of EVENT_KINDS) {
      this.source.addEventListener(kind, event => this.receive(kind, JSON.parse(event.data)));
    }
  }

  receive(kind, event) {
    // The time of receipt is the start of the countdown `retry_in_seconds`.
    const data = kind === "remote" ? { ...event, received_at: Date.now() } : event;
    if (kind === "daemon") this.forgetRemoved(data);
    if (kind === "daemon" || kind === "progress") this.latest.set(kind, [kind, data]);
    else if (kind === "folder") this.latest.set(`folder ${data.path}`, [kind, data]);
    else if (kind === "remote") this.latest.set(`remote ${data.name}`, [kind, data]);
    this.onEvent(kind, data);
  }

  /** Drop the events of folders and remotes that are no longer configured. */
  forgetRemoved({ folders, remotes }) {
    for (const [key, [kind, data]] of this.latest) {
      const removed =
        (kind === "folder" && !folders.includes(data.path)) || (kind === "remote" && !remotes.includes(data.name));
      if (removed) this.latest.delete(key);
    }
  }

  /** Retry until the daemon responds. EventSource itself retries after some failures only, depending on the browser. */
  async reconnect() {
    this.source.close();
    this.setConnection("lost");
    const delay = RECONNECT_DELAYS_MS[Math.min(this.failures, RECONNECT_DELAYS_MS.length - 1)];
    this.failures += 1;
    await new Promise(resolve => setTimeout(resolve, delay));
    const response = await fetch("/v1/status").catch(() => null);
    if (response?.status === 401) this.setConnection("logged_out");
    if (response?.ok) this.connect();
    else this.reconnect();
  }

  setConnection(connection) {
    if (this.connection === "logged_out" && connection === "lost") return; // keep the more specific state
    this.connection = connection;
    this.onEvent("connection", connection);
  }

  /** Yield the current state as [kind, data] events, for a page that connects later. */
  *replay() {
    yield ["connection", this.connection];
    yield* this.latest.values();
  }
}
