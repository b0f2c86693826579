/**
 * The stream of events from the daemon, kept up: one connection, made again when it breaks, and the state that it has
 * told so far. Runs in a shared worker, so that any number of open pages cost one connection, or in the page itself
 * where there are no shared workers.
 */

const PAUSES = [500, 1000, 2000, 5000];

export class Stream {
  /** `tell(kind, data)` is called with each event, and with "connection": "connecting", "open", "lost" or "locked". */
  constructor(tell) {
    this.tell = tell;
    this.connection = "connecting";
    this.known = new Map();
    this.failures = 0;
    this.connect();
  }

  connect() {
    this.source = new EventSource("/v1/events");
    this.source.addEventListener("open", () => {
      this.failures = 0;
      this.known.clear();
      this.become("open");
    });
    this.source.addEventListener("error", () => this.lost());
    for (const kind of ["daemon", "folder", "remote", "job", "progress", "log", "lost"]) {
      this.source.addEventListener(kind, event => this.take(kind, JSON.parse(event.data)));
    }
  }

  take(kind, data) {
    if (kind === "daemon") {
      this.known.set("daemon", [kind, data]);
      for (const [key, [of, known]] of this.known) {
        if (
          (of === "folder" && !data.folders.includes(known.path)) ||
          (of === "remote" && !data.remotes.includes(known.name))
        ) {
          this.known.delete(key);
        }
      }
    } else if (kind === "folder") this.known.set(`folder ${data.path}`, [kind, data]);
    else if (kind === "remote") this.known.set(`remote ${data.name}`, [kind, { ...data, seen: Date.now() }]);
    else if (kind === "progress") this.known.set("progress", [kind, data]);
    this.tell(kind, kind === "remote" ? { ...data, seen: Date.now() } : data);
  }

  /** A browser tries again by itself after some failures and never after others: so it is done here, for all. */
  async lost() {
    this.source.close();
    this.become("lost");
    const pause = PAUSES[Math.min(this.failures, PAUSES.length - 1)];
    this.failures += 1;
    await new Promise(resolve => setTimeout(resolve, pause));
    const answer = await fetch("/v1/status").catch(() => null);
    if (answer?.status === 401) this.become("locked");
    if (answer?.ok) this.connect();
    else this.lost();
  }

  become(connection) {
    if (this.connection === "locked" && connection === "lost") return;
    this.connection = connection;
    this.tell("connection", connection);
  }

  /** All that is known now, as events, for one who comes later. */
  *recap() {
    yield ["connection", this.connection];
    yield* this.known.values();
  }
}
