/** The calls to the proxy's local API: relative to the page, never cached, refusals as `Refusal`. */

import type {
  Captured,
  ErrorsAnswer,
  FlightsAnswer,
  KeyAction,
  KeyTest,
  NumbersAnswer,
  RequestRecord,
  Session,
  SettingsAnswer,
  Span,
  Status,
} from "./types";

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

export const fetchNumbers = (span: Span): Promise<NumbersAnswer> =>
  read(`api/numbers?window=${span}`);

export const fetchFlights = (): Promise<FlightsAnswer> => read("api/in-flight");

export const fetchErrors = (span: Span): Promise<ErrorsAnswer> => read(`api/errors?window=${span}`);

export const fetchCaptured = async (): Promise<Captured[]> =>
  (await read<{ bodies: Captured[] }>("api/capture")).bodies;

export const fetchSettings = (): Promise<SettingsAnswer> => read("api/settings");

export interface RequestPage {
  requests: RequestRecord[];
  next: string | null;
  /** How far back the search looked, where it stopped early. */
  searched_to_ms?: number | null;
}

/** The newest requests that match, or those older than `before`. */
export function fetchRequests(
  limit: number,
  filters: URLSearchParams,
  before?: string,
): Promise<RequestPage> {
  const query = new URLSearchParams(filters);
  query.set("limit", String(limit));
  if (before !== undefined) query.set("before", before);
  return read(`api/requests?${query}`);
}

export const fetchRequest = (id: string): Promise<RequestRecord> =>
  read(`api/requests/${encodeURIComponent(id)}`);

/** Where the browser fetches every request that matches, as a file. */
export const exportAddress = (kind: "csv" | "jsonl", filters: URLSearchParams): string =>
  new URL(`api/export.${kind}?${filters}`, root).href;

export async function cancelFlight(id: string): Promise<void> {
  await call(`api/in-flight/${encodeURIComponent(id)}/cancel`, { method: "POST", headers: CHANGE });
}

/** A test may have to wait for the provider's connection as well as its answer. */
const KEY_TEST_TIMEOUT_MS = 60_000;

/** `keyId` as in the status: `upstream-1/key-1`. Only a test has something to tell. */
export async function actOnKey(keyId: string, action: KeyAction): Promise<KeyTest | null> {
  const slash = keyId.lastIndexOf("/");
  const [upstream, key] = [keyId.slice(0, slash), keyId.slice(slash + 1)].map(encodeURIComponent);
  const answer = await call(`api/upstreams/${upstream}/keys/${key}/${action}`, {
    method: "POST",
    headers: CHANGE,
    signal: AbortSignal.timeout(KEY_TEST_TIMEOUT_MS),
  });
  return action === "test" ? ((await answer.json()) as KeyTest) : null;
}

/** Keep bodies for so long; 0 ends it. */
export async function capture(minutes: number): Promise<void> {
  await call("api/capture", {
    method: "POST",
    headers: { ...CHANGE, "content-type": "application/json" },
    body: JSON.stringify({ minutes }),
  });
}

/** Whether the proxy knows this access key; it is sent in a header and kept nowhere. */
export async function isAccessKey(key: string): Promise<boolean> {
  try {
    await call("api/session", { headers: { "x-api-key": key } });
    return true;
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) return false;
    throw error;
  }
}

/**
 * Ask through the proxy as a client would; the answer comes as it is, errors included. `target`
 * names one key that has to answer.
 */
export function callPlayground(
  format: string,
  target: string | null,
  body: unknown,
  signal: AbortSignal,
): Promise<Response> {
  const query = new URLSearchParams({ format });
  if (target !== null) query.set("target", target);
  return fetch(new URL(`api/playground?${query}`, root), {
    method: "POST",
    cache: "no-store",
    credentials: "same-origin",
    headers: { ...CHANGE, "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
}

const PATHS: Record<string, string> = {
  chat: "v1/chat/completions",
  messages: "v1/messages",
  responses: "v1/responses",
};

/** Ask as a client, with an access key. */
export function callWithKey(format: string, key: string, body: unknown, signal: AbortSignal): Promise<Response> {
  return fetch(new URL(PATHS[format] ?? PATHS["chat"] ?? "", root), {
    method: "POST",
    cache: "no-store",
    credentials: "omit",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
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
