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
  /** Billionths of a US dollar; left out where unknown. */
  cost_nano?: number;
}

export type KeyState =
  | "ready"
  | "cooling"
  | "refused"
  | "no_credit"
  | "open"
  | "half_open"
  | "paused";

/** What the provider's header fields said is left of a limit. */
export interface Quota {
  left: number;
  limit: number | null;
  reset_s: number | null;
}

export interface KeyStatus {
  id: string;
  label: string;
  state: KeyState;
  back_in_s: number | null;
  cause: string | null;
  source: "header" | "body" | "guess" | null;
  models: Record<string, number>;
  /** Models left alone as they keep failing, with seconds left. */
  failing?: Record<string, number>;
  in_flight: number;
  attempts: number;
  failures: number;
  rate_limited: number;
  /** The last 60 attempts, oldest first: 0 ok, 1 rate limited, 2 failed. */
  recent: number[];
  /** By kind: `requests`, `tokens`, …. */
  quota?: Record<string, Quota>;
  first_token_ms?: number | null;
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
  /** While request and answer bodies are kept: until when. */
  capture_until_ms?: number | null;
}

export interface Session {
  mode: "summary" | "private";
  signed_in: boolean;
  caller: string | null;
  is_owner: boolean;
}

export type Span = "15m" | "1h" | "24h" | "30d";

/** Counts of a span of time. */
export interface Sums extends Totals {
  cached_tokens: number;
  /** Billionths of a US dollar; null for who may not know. */
  cost_nano: number | null;
  priced: number;
  unpriced: number;
  first_token_p50_ms: number | null;
  first_token_p95_ms: number | null;
}

export interface Bucket extends Sums {
  at_ms: number;
}

export interface NumbersAnswer {
  window: Span;
  from_ms: number;
  to_ms: number;
  bucket_s: number;
  totals: Sums;
  /** Of the span of the same length before. */
  before: Sums;
  series: Bucket[];
}

export type FlightPhase = "waiting" | "trying" | "resting" | "answering";

/** A request under way. */
export interface Flight {
  id: string;
  at_ms: number;
  age_ms: number;
  format: string;
  path: string;
  caller: string | null;
  client: string | null;
  model: string | null;
  stream: boolean;
  phase: FlightPhase;
  upstream: string | null;
  key: string | null;
  attempt: number;
  max_attempts: number;
  has_first_byte: boolean;
  bytes_down: number;
}

export interface FlightsAnswer {
  in_flight: Flight[];
  total: number;
}

/** All failed attempts with one cause. */
export interface ErrorGroup {
  fault: string;
  count: number;
  rescued: number;
  last_ms: number;
  keys: { upstream: string; key: string; count: number; last_ms: number }[];
  says: string;
}

export interface ErrorsAnswer {
  window: Span;
  from_ms: number;
  errors: ErrorGroup[];
}

export interface SettingShown {
  name: string;
  value: string;
  source: string;
  needs_restart: boolean;
}

export interface SettingsAnswer {
  generation: number;
  file: string | null;
  settings: SettingShown[];
  upstreams: string[];
  repairs: string[];
  warnings: string[];
}

/** What a test of a key found: levels `ok`, `note`, `warn`, `FAIL`. */
export interface KeyTest {
  ok: boolean;
  ms: number;
  findings: [level: string, text: string][];
}

/** A request's bodies, kept for a while at the owner's wish. */
export interface Captured {
  id: string;
  request: string;
  answer: string;
  is_cut: boolean;
}

export type KeyAction = "test" | "reset" | "pause" | "resume";
