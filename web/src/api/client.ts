/** The calls to the proxy's local API: relative to the page, never cached, refusals as `Refusal`. */

import type { RequestRecord, Session, Status } from "./types";

// Vite would take `new URL("…", import.meta.url)` for an asset, hence the variable. Built scripts
// lie in `<root>/dashboard/assets/`, sources in `<root>/src/api/`: the root is two up from both.
const here = import.meta.url;

/** Where the proxy is, as this browser sees it; ends in a slash. */
export const root = new URL("../../", here);

/** The proxy answered, but with an error. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    /** Seconds to wait before another try; null when the proxy did not say. */
    readonly retryAfterS: number | null,
  ) {
    super(`${status} ${detail}`);
  }
}

/** Long enough for a slow line, short enough to notice a proxy that no longer answers. */
const TIMEOUT_MS = 10_000;

async function call(path: string, init: RequestInit = {}): Promise<Response> {
  const answer = await fetch(new URL(path, root), {
    cache: "no-store",
    credentials: "same-origin",
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...init,
  });
  if (answer.ok) return answer;
  const retryAfter = Number(answer.headers.get("retry-after") ?? Number.NaN);
  const detail = await answer.json().then(
    (problem: { detail?: string; title?: string }) => problem.detail ?? problem.title ?? "",
    () => "", // not a problem document: the status has to do
  );
  throw new Refusal(answer.status, detail, Number.isFinite(retryAfter) ? retryAfter : null);
}

async function read<T>(path: string): Promise<T> {
  return (await call(path)).json() as Promise<T>;
}

/** Header without which the proxy takes no change from a cookie. */
const CHANGE = { "x-llm-proxy-csrf": "1" };

export const fetchSession = (): Promise<Session> => read("api/session");

export const fetchStatus = (): Promise<Status> => read("api/status");

export interface RequestPage {
  requests: RequestRecord[];
  next: string | null;
}

/** The newest requests, or those older than `before`. */
export function fetchRequests(limit: number, before?: string): Promise<RequestPage> {
  const query = new URLSearchParams({ limit: String(limit) });
  if (before !== undefined) query.set("before", before);
  return read(`api/requests?${query}`);
}

export async function signIn(key: string): Promise<void> {
  await call("api/session", {
    method: "POST",
    headers: { ...CHANGE, "content-type": "application/json" },
    body: JSON.stringify({ key }),
  });
}

export async function signOut(): Promise<void> {
  await call("api/session", { method: "DELETE", headers: CHANGE });
}

export const eventsAddress = new URL("api/events", root);
