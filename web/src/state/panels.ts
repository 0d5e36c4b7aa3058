/** The data of the panels that the event stream does not carry. */

import { computed, effect } from "@preact/signals";
import { fetchErrors, fetchFlights, fetchNumbers, fetchSettings } from "../api/client";
import type { Span } from "../api/types";
import { query, setQuery } from "./address";
import { Resource } from "./resource";

export const SPANS: readonly Span[] = ["15m", "1h", "24h", "30d"];

export const span = computed<Span>(
  () => SPANS.find((name) => name === query.value["window"]) ?? "1h",
);

export function chooseSpan(chosen: Span): void {
  setQuery({ window: chosen });
}

export const numbers = new Resource(() => fetchNumbers(span.peek()), 5_000);
export const errors = new Resource(() => fetchErrors(span.peek()), 10_000);
export const flights = new Resource(fetchFlights, 1_000);
export const settings = new Resource(fetchSettings, null);

const ALL: readonly Resource<unknown>[] = [numbers, errors, flights, settings];

export function forgetPanels(): void {
  for (const panel of ALL) panel.forget();
}

/** Requests finish by the hundred; the numbers follow this often. */
const FOLLOW_MS = 1_000;
let following: ReturnType<typeof setTimeout> | undefined;

/** Requests have finished: the numbers have changed. */
export function followRequests(): void {
  following ??= setTimeout(() => {
    following = undefined;
    numbers.refreshIfWatched();
  }, FOLLOW_MS);
}

let isFirst = true;
effect(() => {
  void span.value;
  if (!isFirst) {
    numbers.refreshIfWatched();
    errors.refreshIfWatched();
  }
  isFirst = false;
});
