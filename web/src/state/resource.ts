/**
 * What one panel shows: fetched while the panel is on the screen and the page is visible.
 *
 * A proxy that does not have the address, or does not give it to this caller, hides the panel; one
 * that fails for a moment leaves the last answer where it is.
 */

import { type ReadonlySignal, signal } from "@preact/signals";
import { Refusal } from "../api/client";

/** Not there (404, 405, 501) or not for this caller (401, 403). */
const MISSING = new Set([401, 403, 404, 405, 501]);

export class Resource<T> {
  readonly #data = signal<T | null>(null);
  readonly #isMissing = signal(false);
  readonly #at = signal(0);
  readonly #ask: () => Promise<T>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #watchers = 0;
  /** Counts what was asked, so that a late answer to an old question is dropped. */
  #asked = 0;

  constructor(
    ask: () => Promise<T>,
    /** Time between two questions; null = asked once, and when told to. */
    readonly everyMs: number | null,
  ) {
    this.#ask = ask;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.#watchers > 0) void this.refresh();
    });
  }

  /** The last answer; null before the first. */
  get data(): ReadonlySignal<T | null> {
    return this.#data;
  }

  /** Monotonic ms of the last answer. */
  get at(): ReadonlySignal<number> {
    return this.#at;
  }

  /** Whether the proxy has no such thing for this caller. */
  get isMissing(): ReadonlySignal<boolean> {
    return this.#isMissing;
  }

  /** Fetch from now on; call what is returned to stop. For `useEffect`. */
  watch = (): (() => void) => {
    this.#watchers += 1;
    if (this.#watchers === 1) void this.refresh();
    return () => {
      this.#watchers -= 1;
      if (this.#watchers === 0) clearTimeout(this.#timer);
    };
  };

  /** Forget everything, as at a sign-out. */
  forget(): void {
    this.#asked += 1;
    this.#data.value = null;
    this.#isMissing.value = false;
  }

  /** Ask now if anybody looks. */
  refreshIfWatched(): void {
    if (this.#watchers > 0) void this.refresh();
  }

  /** Ask now. */
  async refresh(): Promise<void> {
    clearTimeout(this.#timer);
    this.#asked += 1;
    const asked = this.#asked;
    try {
      const answer = await this.#ask();
      if (asked !== this.#asked) return;
      this.#at.value = performance.now();
      this.#data.value = answer;
      this.#isMissing.value = false;
    } catch (error) {
      if (asked !== this.#asked) return;
      // Anything else passes: the link's own state tells of an unreachable proxy.
      if (error instanceof Refusal && MISSING.has(error.status)) {
        this.#isMissing.value = true;
        this.#data.value = null;
        return;
      }
    }
    if (this.everyMs !== null && this.#watchers > 0 && !document.hidden) {
      this.#timer = setTimeout(() => void this.refresh(), this.everyMs);
    }
  }
}
