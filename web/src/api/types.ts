/**
 * What the proxy's local API sends. Times are milliseconds since 1970, durations say their unit.
 * Records leave out every field that has its default value, so all but a few are optional.
 */

export type Outcome =
  | "ok"
  | "client_error"
  | "rate_limited"
  | "upstream_error"
  | "cut"
  | "client_gone"
  | "refused";

export interface Attempt {
  upstream: string;
  key: string;
  model?: string;
  status?: number;
  fault?: string;
  reason?: string;
  why?: string;
  start_ms?: number;
  connect_ms?: number;
  first_byte_ms?: number;
  total_ms?: number;
  wait_ms?: number;
  cool_s?: number;
  cost?: string;
}

export interface Usage {
  input?: number;
  cache_read?: number;
  cache_write?: number;
  output?: number;
  reasoning?: number;
}

export interface RequestRecord {
  id: string;
  at_ms: number;
  format: string;
  method: string;
  path: string;
  outcome: Outcome;
  status?: number;
  caller?: string;
  client?: string;
  model?: string;
  served?: string;
  upstream?: string;
  key?: string;
  stream?: boolean;
  error?: string;
  attempts?: Attempt[];
  first_token_ms?: number;
  total_ms?: number;
  usage?: Usage;
  bytes_up?: number;
  bytes_down?: number;
  notice?: string;
  broken_events?: number;
}

export type KeyState = "ready" | "cooling" | "refused" | "no_credit" | "open" | "half_open";

export interface KeyStatus {
  id: string;
  label: string;
  state: KeyState;
  back_in_s: number | null;
  cause: string | null;
  source: "header" | "body" | "guess" | null;
  models: Record<string, number>;
  in_flight: number;
  attempts: number;
  failures: number;
  rate_limited: number;
  /** The last 60 attempts, oldest first: 0 ok, 1 rate limited, 2 failed. */
  recent: number[];
}

export interface UpstreamStatus {
  name: string;
  /** Empty or absent for callers who may not see it. */
  address?: string | null;
  formats: string[];
  models: string[];
  keys: KeyStatus[];
}

export interface Totals {
  requests: number;
  ok: number;
  rescued: number;
  client_errors: number;
  failed: number;
  rate_limited: number;
  rate_limits_met: number;
  client_gone: number;
  attempts: number;
  input_tokens: number;
  output_tokens: number;
}

export interface StoreStatus {
  kind: "sqlite" | "memory";
  state: "ok" | "degraded";
  problem: string | null;
  path: string | null;
  free_bytes: number | null;
  queued: number;
  written: number;
  dropped: number;
}

export interface Status {
  version: string;
  now_ms: number;
  started_at_ms: number;
  uptime_s: number;
  state: "working" | "cooling" | "down" | "draining";
  totals: Totals;
  signed_in: boolean;
  store?: StoreStatus;
  generation?: number;
  upstreams?: UpstreamStatus[];
  in_flight?: number;
  repairs?: string[];
  warnings?: string[];
  listen?: string;
  key_hint?: string;
}

export interface Session {
  mode: "summary" | "private";
  signed_in: boolean;
  caller: string | null;
  is_owner: boolean;
}
