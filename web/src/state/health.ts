/** What the status line says, worked out from a status; words come later. */

import type { KeyStatus, Status } from "../api/types";

export type Tone = "ok" | "warn" | "bad";

export type Health =
  | { kind: "working" | "no_upstream" | "cooling_bare" | "down_bare"; tone: Tone }
  | { kind: "draining"; tone: Tone; inFlight: number }
  | { kind: "cooling" | "resting" | "down"; tone: Tone; resting: number; keys: number; next: KeyStatus | null };

/** Whether requests may go to the key now. */
export function isUsable(key: KeyStatus): boolean {
  return key.state === "ready" || key.state === "half_open";
}

/** The key that comes back first; null when none says when. */
function soonest(keys: readonly KeyStatus[]): KeyStatus | null {
  let first: KeyStatus | null = null;
  for (const key of keys) {
    if (key.back_in_s === null) continue;
    if (first === null || key.back_in_s < (first.back_in_s ?? 0)) first = key;
  }
  return first;
}

export function healthOf(status: Status): Health {
  if (status.state === "draining") {
    return { kind: "draining", tone: "warn", inFlight: status.in_flight ?? 0 };
  }
  if (status.upstreams === undefined) {
    if (status.state === "down") return { kind: "down_bare", tone: "bad" };
    if (status.state === "cooling") return { kind: "cooling_bare", tone: "warn" };
    return { kind: "working", tone: "ok" };
  }
  const keys = status.upstreams.flatMap((upstream) => upstream.keys);
  if (keys.length === 0) return { kind: "no_upstream", tone: "bad" };
  const resting = keys.filter((key) => !isUsable(key));
  const counts = { resting: resting.length, keys: keys.length, next: soonest(resting) };
  if (resting.length === keys.length) return { kind: "down", tone: "bad", ...counts };
  if (resting.length === 0) return { kind: "working", tone: "ok" };
  const allCooling = resting.every((key) => key.state === "cooling");
  return { kind: allCooling ? "cooling" : "resting", tone: "warn", ...counts };
}
