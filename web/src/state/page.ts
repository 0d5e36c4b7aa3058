/** What the page knows of the proxy: the last snapshot and how it comes; fed by `Live`. */

import { signal } from "@preact/signals";
import * as api from "../api/client";
import type { Link } from "../api/live";
import { SharedLive } from "../api/shared_live";
import type { RequestRecord, Status } from "../api/types";
import { accessKey } from "./access_key";
import { followRequests, forgetPanels } from "./panels";
import { forgetRequests, refreshList, takeIn } from "./requests";
import { isLocked, isSignedIn, session } from "./session";

/** A status and the moment it came (monotonic ms); countdowns and ages start there. */
export interface Snapshot {
  status: Status;
  at: number;
}

export const snapshot = signal<Snapshot | null>(null);
export const link = signal<Link>("connecting");

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
    if (queued.length > 0) {
      takeIn(queued);
      followRequests();
    }
    latest = null;
    queued = [];
  }, RENDER_MS);
}

/** Under load a busy proxy asks for it with every tick; more than this shows nobody more. */
const RESYNC_MS = 2_000;
let nextResync: ReturnType<typeof setTimeout> | undefined;
let resyncedAt = Number.NEGATIVE_INFINITY;

function forgetPrivate(): void {
  clearTimeout(nextResync);
  queued = [];
  latest = null;
  resyncedAt = Number.NEGATIVE_INFINITY;
  accessKey.value = null;
  if (snapshot.peek()?.status.signed_in || isLocked.peek()) snapshot.value = null;
  forgetRequests();
  forgetPanels();
}

const live = new SharedLive({
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
  sessionChanged: () => void refreshSession(),
});

function resyncSoon(): void {
  if (!isSignedIn.peek()) return; // strangers see no list, and must not be made to wait for theirs
  clearTimeout(nextResync);
  const wait = Math.max(0, resyncedAt + RESYNC_MS - performance.now());
  nextResync = setTimeout(() => void resync(), wait);
}

async function resync(): Promise<void> {
  resyncedAt = performance.now();
  try {
    await refreshList();
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
    if (isSignedIn.peek()) resyncSoon();
  } catch {
    link.value = "lost";
    setTimeout(() => void refreshSession(), RETRY_MS);
  }
}

export async function signIn(key: string): Promise<void> {
  await api.signIn(key);
  accessKey.value = key;
  live.tellOthers();
  await refreshSession();
}

export async function signOut(): Promise<void> {
  await api.signOut();
  live.tellOthers();
  await refreshSession();
}
