/**
 * Keeps the page up to date: one event stream, polling where that fails.
 *
 * The proxy sends a status at least every 5 s, so a stream that says nothing for longer than
 * `SILENCE_MS` is dead even if the browser still believes in it.
 */

import { Refusal, eventsAddress, fetchStatus } from "./client";
import type { RequestRecord, Status } from "./types";

export type Link = "connecting" | "live" | "polling" | "lost";

export interface Listener {
  link(link: Link): void;
  status(status: Status): void;
  request(record: RequestRecord): void;
  /** Records may have been missed: fetch the list. */
  resync(): void;
  /** Another session than before, or none: ask who we are. */
  sessionChanged(): void;
}

const POLL_MS = 5_000;
const REOPEN_MS = 15_000;
const SILENCE_MS = 20_000;

export class Live {
  #stream: EventSource | null = null;
  #poll: ReturnType<typeof setTimeout> | undefined;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #reopen: ReturnType<typeof setTimeout> | undefined;
  /** Counts starts and stops, so that an answer that was under way at a stop is dropped. */
  #generation = 0;
  readonly #listener: Listener;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  /** Open the stream anew, with whatever session there is now. */
  start(): void {
    this.stop();
    this.#listener.link("connecting");
    this.#open();
  }

  stop(): void {
    this.#generation += 1;
    this.#close();
    clearTimeout(this.#poll);
    clearTimeout(this.#reopen);
    this.#poll = undefined;
  }

  #open(): void {
    this.#close();
    const stream = new EventSource(eventsAddress);
    this.#stream = stream;
    stream.addEventListener("open", () => this.#listener.resync());
    stream.addEventListener("status", (event) => {
      this.#alive();
      this.#listener.status(JSON.parse(event.data) as Status);
    });
    stream.addEventListener("request", (event) => {
      this.#alive();
      this.#listener.request(JSON.parse(event.data) as RequestRecord);
    });
    stream.addEventListener("resync", () => {
      this.#alive();
      this.#listener.resync();
    });
    stream.addEventListener("error", () => this.#broken());
    this.#watch();
  }

  #close(): void {
    this.#stream?.close();
    this.#stream = null;
    clearTimeout(this.#watchdog);
  }

  #alive(): void {
    clearTimeout(this.#poll);
    this.#poll = undefined;
    this.#watch();
    this.#listener.link("live");
  }

  #watch(): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      this.#close();
      this.#broken();
    }, SILENCE_MS);
  }

  /** The browser reopens a stream that broke, but not one that was refused or has gone silent. */
  #broken(): void {
    if (this.#stream === null || this.#stream.readyState === EventSource.CLOSED) {
      clearTimeout(this.#reopen);
      this.#reopen = setTimeout(() => this.#open(), REOPEN_MS);
    }
    if (this.#poll === undefined) void this.#ask(this.#generation);
  }

  async #ask(generation: number): Promise<void> {
    this.#poll = setTimeout(() => void this.#ask(generation), POLL_MS);
    try {
      const status = await fetchStatus();
      if (generation !== this.#generation) return;
      this.#listener.link("polling");
      this.#listener.status(status);
      this.#listener.resync();
    } catch (error) {
      if (generation !== this.#generation) return;
      if (error instanceof Refusal && error.status === 401) {
        this.stop();
        this.#listener.sessionChanged();
      } else {
        this.#listener.link("lost");
      }
    }
  }
}
