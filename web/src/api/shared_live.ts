/**
 * One event stream for all tabs of this browser that show the page, and none while all are hidden.
 *
 * The tab that holds a lock has the stream and tells the others what comes; when it is hidden or
 * closed, the next visible one gets the lock. Browsers have locks on https and on this machine
 * only; elsewhere every visible tab has a stream of its own.
 */

import { root } from "./client";
import { type Listener, type Link, Live } from "./live";
import type { RequestRecord, Status } from "./types";

type Message =
  | { kind: "link"; link: Link }
  | { kind: "status"; status: Status }
  | { kind: "request"; record: RequestRecord }
  | { kind: "resync" }
  /** A tab that has just come asks for the last status. */
  | { kind: "hello" }
  | { kind: "session" };

const NAME = `llm-proxy-live ${root.pathname}`;

export class SharedLive {
  readonly #listener: Listener;
  readonly #live: Live;
  readonly #channel: BroadcastChannel | null;
  /** What a newcomer is told. */
  #status: Status | null = null;
  #link: Link = "connecting";
  #hasStream = false;
  #isWanted = false;
  #release: () => void = () => undefined;
  #wish: AbortController | null = null;

  constructor(listener: Listener) {
    this.#listener = listener;
    this.#live = new Live(this.#relaying());
    this.#channel = "BroadcastChannel" in window && "locks" in navigator ? new BroadcastChannel(NAME) : null;
    this.#channel?.addEventListener("message", (event: MessageEvent<Message>) => this.#hear(event.data));
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#leave();
      else if (this.#isWanted) this.#join();
    });
  }

  /** Follow what happens, with whatever session there is now. */
  start(): void {
    this.#isWanted = true;
    this.#leave();
    if (!document.hidden) this.#join();
  }

  stop(): void {
    this.#isWanted = false;
    this.#leave();
  }

  /** This browser's session has changed: the other tabs have to ask anew. */
  tellOthers(): void {
    this.#post({ kind: "session" });
  }

  #join(): void {
    if (this.#channel === null) {
      this.#live.start();
      return;
    }
    this.#listener.link("connecting");
    this.#post({ kind: "hello" });
    const wish = new AbortController();
    this.#wish = wish;
    navigator.locks
      .request(NAME, { signal: wish.signal }, () => {
        if (wish.signal.aborted) return undefined;
        this.#hasStream = true;
        this.#live.start();
        return new Promise<void>((resolve) => {
          this.#release = resolve;
        });
      })
      .catch(() => undefined); // the wish was withdrawn
  }

  #leave(): void {
    this.#wish?.abort();
    this.#wish = null;
    this.#hasStream = false;
    this.#status = null;
    this.#link = "connecting";
    this.#live.stop();
    this.#release();
  }

  #hear(message: Message): void {
    if (message.kind === "session") {
      this.#listener.sessionChanged();
      return;
    }
    if (this.#hasStream) {
      if (message.kind === "hello" && this.#status !== null) {
        this.#post({ kind: "status", status: this.#status });
        this.#post({ kind: "link", link: this.#link });
      }
      return;
    }
    if (this.#wish === null) return; // hidden, or not signed in
    if (message.kind === "link") this.#listener.link(message.link);
    if (message.kind === "status") this.#listener.status(message.status);
    if (message.kind === "request") this.#listener.request(message.record);
    if (message.kind === "resync") this.#listener.resync();
  }

  #post(message: Message): void {
    this.#channel?.postMessage(message);
  }

  /** Hears the stream for this tab and all others. */
  #relaying(): Listener {
    return {
      link: (link) => {
        if (link === this.#link) return; // said with every event
        this.#link = link;
        this.#listener.link(link);
        this.#post({ kind: "link", link });
      },
      status: (status) => {
        this.#status = status;
        this.#listener.status(status);
        this.#post({ kind: "status", status });
      },
      request: (record) => {
        this.#listener.request(record);
        this.#post({ kind: "request", record });
      },
      resync: () => {
        this.#listener.resync();
        this.#post({ kind: "resync" });
      },
      sessionChanged: () => {
        this.#listener.sessionChanged();
        this.tellOthers();
      },
    };
  }
}
