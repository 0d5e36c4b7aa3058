/** The list of requests as it is on the screen: what is found, what is held back, what is open. */

import { computed, effect, signal, untracked } from "@preact/signals";
import * as api from "../api/client";
import type { RequestRecord } from "../api/types";
import { query, setQuery } from "./address";
import { asParameters, filters, matches } from "./filters";
import { EMPTY, PAGE, type RequestList, arrive, extend, release, resync } from "./request_list";
import { isSignedIn } from "./session";

export const list = signal<RequestList>(EMPTY);
/** Whether the list was fetched for these filters: an empty list before that means nothing. */
export const isListKnown = signal(false);
/** Where the proxy goes on with older ones; null = there are none. */
export const older = signal<string | null>(null);
/** How far back the proxy looked, ms since 1970, where it stopped early; else null. */
export const searchedTo = signal<number | null>(null);

export const isPaused = signal(false);
export const isHovered = signal(false);
export const isFocused = signal(false);
/** The open request's id: a part of the page's address. */
export const openId = computed(() => query.value["request"] ?? null);
export const isHeld = computed(
  () => isPaused.value || isHovered.value || isFocused.value || openId.value !== null,
);

effect(() => {
  if (!isHeld.value) list.value = release(list.peek());
});

export function showWaiting(): void {
  list.value = release(list.peek());
}

export function togglePause(): void {
  isPaused.value = !isPaused.value;
}

/** Whether the open request was opened here, so that going back closes it. */
let isOpenedHere = false;

export function openRequest(id: string): void {
  // Stepping from one to the next leaves one way back: out of the drawer.
  setQuery({ request: id }, openId.peek() === null ? "push" : "replace");
  isOpenedHere = true;
}

export function closeRequest(): void {
  if (openId.peek() === null) return;
  if (isOpenedHere) history.back();
  else setQuery({ request: null });
  isOpenedHere = false;
}

/** Close the drawer and look for something else in one step: going back undoes both. */
export function leaveFor(changes: Record<string, string | null>): void {
  setQuery({ request: null, ...changes }, openId.peek() === null ? "push" : "replace");
  isOpenedHere = false;
}

/** Take in requests that have just finished. */
export function takeIn(records: readonly RequestRecord[]): void {
  const wanted = records.filter((record) => matches(record, filters.peek()));
  list.value = arrive(list.peek(), wanted, isHeld.peek());
}

/** Counts the questions, so that a late answer for other filters is dropped. */
let asked = 0;

async function fetchPage(before?: string): Promise<api.RequestPage | null> {
  asked += 1;
  const mine = asked;
  const wanted = filters.peek();
  const page = await api.fetchRequests(PAGE, asParameters(wanted), before);
  if (mine !== asked) return null;
  return { ...page, requests: page.requests.filter((record) => matches(record, wanted)) };
}

function goOnWith(page: api.RequestPage): void {
  older.value = page.next;
  searchedTo.value = page.searched_to_ms ?? null;
}

/** Close the gap after a pause in the events; the rows do not move while they are held. */
export async function refreshList(): Promise<void> {
  if (!isSignedIn.peek()) return;
  const page = await fetchPage();
  if (page === null) return;
  const hadOlderPages = list.peek().shown.length > PAGE;
  if (!isListKnown.peek()) list.value = EMPTY;
  list.value = resync(list.peek(), page.requests, isListKnown.peek() && isHeld.peek());
  if (!hadOlderPages) goOnWith(page);
  isListKnown.value = true;
}

export async function loadOlder(): Promise<void> {
  const { shown, limit } = list.peek();
  // A full list may have dropped rows at its end as new ones came.
  const isFull = shown.length >= limit;
  const before = isFull ? shown.at(-1)?.id : (older.peek() ?? undefined);
  if (before === undefined) return;
  const page = await fetchPage(before);
  if (page === null) return;
  list.value = extend(list.peek(), page.requests);
  goOnWith(page);
}

export function forgetRequests(): void {
  asked += 1;
  list.value = EMPTY;
  isListKnown.value = false;
  older.value = null;
  searchedTo.value = null;
}

const RETYPE_MS = 250;
let soon: ReturnType<typeof setTimeout> | undefined;
let isFirst = true;

// Other filters: what is known is sifted at once, the proxy's answer then replaces it.
effect(() => {
  const wanted = filters.value;
  if (isFirst) {
    isFirst = false;
    return;
  }
  untracked(() => {
    asked += 1;
    isListKnown.value = false;
    older.value = null;
    searchedTo.value = null;
    list.value = { ...EMPTY, shown: list.value.shown.filter((one) => matches(one, wanted)) };
  });
  clearTimeout(soon);
  soon = setTimeout(() => void refreshList().catch(() => undefined), RETYPE_MS);
});
