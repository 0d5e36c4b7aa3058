/** What the page knows: session, last snapshot, requests; fed by `Live`, read by components. */

import { computed, effect, signal } from "@preact/signals";
import * as api from "../api/client";
import { type Link, Live } from "../api/live";
import type { RequestRecord, Session, Status } from "../api/types";
import {
  EMPTY,
  FILTERS,
  type Filter,
  type RequestList,
  PAGE,
  arrive,
  extend,
  release,
  resync,
} from "./request_list";

/** A status and the moment it came (monotonic ms); countdowns and ages start there. */
export interface Snapshot {
  status: Status;
  at: number;
}

export const session = signal<Session | null>(null);
export const snapshot = signal<Snapshot | null>(null);
export const link = signal<Link>("connecting");

/** Whether only the sign-in form may be shown. */
export const isLocked = computed(
  () => session.value?.mode === "private" && !session.value.signed_in,
);
export const isSignedIn = computed(() => session.value?.signed_in ?? false);

export const list = signal<RequestList>(EMPTY);
/** Whether there may be requests older than the last one shown. */
export const hasOlder = signal(false);
/** Whether the list was fetched at least once: an empty list before that means nothing. */
export const isListKnown = signal(false);

const firstFilter = new URLSearchParams(location.search).get("show");
export const filter = signal<Filter>(FILTERS.find((name) => name === firstFilter) ?? "all");

export const openRows = signal<ReadonlySet<string>>(new Set());
export const isHovered = signal(false);
export const isFocused = signal(false);
export const isHeld = computed(
  () => isHovered.value || isFocused.value || openRows.value.size > 0,
);

effect(() => {
  if (!isHeld.value) list.value = release(list.peek());
});

export function showWaiting(): void {
  list.value = release(list.peek());
}

export function toggleRow(id: string): void {
  const rows = new Set(openRows.peek());
  if (!rows.delete(id)) rows.add(id);
  openRows.value = rows;
}

export function chooseFilter(chosen: Filter): void {
  filter.value = chosen;
  const address = new URL(location.href);
  if (chosen === "all") address.searchParams.delete("show");
  else address.searchParams.set("show", chosen);
  history.replaceState(null, "", address);
}

export async function loadOlder(): Promise<void> {
  const last = list.peek().shown.at(-1);
  if (last === undefined) return;
  const page = await api.fetchRequests(PAGE, last.id);
  list.value = extend(list.peek(), page.requests);
  hasOlder.value = page.next !== null;
}

/** At most four renders a second, however fast requests finish. */
const RENDER_MS = 250;
let queued: RequestRecord[] = [];
let latest: Snapshot | null = null;
let flushing = false;

function flushSoon(): void {
  if (flushing) return;
  flushing = true;
  setTimeout(() => {
    flushing = false;
    if (latest !== null) snapshot.value = latest;
    if (queued.length > 0) list.value = arrive(list.peek(), queued, isHeld.peek());
    latest = null;
    queued = [];
  }, RENDER_MS);
}

/** Under load a busy proxy asks for it with every tick; more than this shows nobody more. */
const RESYNC_MS = 2_000;
let nextResync: ReturnType<typeof setTimeout> | undefined;
let resyncedAt = Number.NEGATIVE_INFINITY;

function forgetPrivate(): void {
  queued = [];
  latest = null;
  resyncedAt = Number.NEGATIVE_INFINITY;
  if (snapshot.peek()?.status.signed_in || isLocked.peek()) snapshot.value = null;
  list.value = EMPTY;
  isListKnown.value = false;
  openRows.value = new Set();
}

const live = new Live({
  link: (state) => {
    link.value = state;
  },
  status: (status) => {
    latest = { status, at: performance.now() };
    // The first one shows at once; so does one that tells of an ended session.
    const before = snapshot.peek();
    if (before === null) snapshot.value = latest;
    if (before !== null && before.status.signed_in && !status.signed_in) void refreshSession();
    flushSoon();
  },
  request: (record) => {
    queued.push(record);
    flushSoon();
  },
  resync: resyncSoon,
  signedOut: () => void refreshSession(),
});

function resyncSoon(): void {
  clearTimeout(nextResync);
  const wait = Math.max(0, resyncedAt + RESYNC_MS - performance.now());
  nextResync = setTimeout(() => void refreshList(), wait);
}

async function refreshList(): Promise<void> {
  if (!isSignedIn.peek()) return;
  resyncedAt = performance.now();
  try {
    const page = await api.fetchRequests(PAGE);
    const shownBefore = list.peek().shown.length;
    list.value = resync(list.peek(), page.requests, isHeld.peek());
    if (shownBefore <= PAGE) hasOlder.value = page.next !== null;
    isListKnown.value = true;
  } catch (error) {
    // The link's own state tells of an unreachable proxy; a refusal means the session ended.
    if (error instanceof api.Refusal && error.status === 401) await refreshSession();
  }
}

const RETRY_MS = 3_000;

/** Ask who we are, then follow what we may see. Tries again until the proxy answers. */
export async function refreshSession(): Promise<void> {
  live.stop();
  try {
    const answer = await api.fetchSession();
    if (!answer.signed_in) forgetPrivate();
    session.value = answer;
    if (!isLocked.peek()) live.start();
  } catch {
    link.value = "lost";
    setTimeout(() => void refreshSession(), RETRY_MS);
  }
}

export async function signIn(key: string): Promise<void> {
  await api.signIn(key);
  await refreshSession();
}

export async function signOut(): Promise<void> {
  await api.signOut();
  await refreshSession();
}
