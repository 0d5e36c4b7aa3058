/** The numbers worth watching: how each is read from sums, for a tile, its sparkline and the chart. */

import type { Sums } from "../api/types";

export const METRICS = ["requests", "success", "rescued", "limits", "firstToken", "tokens", "cost"] as const;
export type Metric = (typeof METRICS)[number];

/** A line of the chart. */
export type LineName =
  | "requests"
  | "rescued"
  | "failed"
  | "success"
  | "met"
  | "reached"
  | "p50"
  | "p95"
  | "input"
  | "output"
  | "cached"
  | "cost";

/** Success as the clients saw it, 0–1; null where nobody's request counts. */
export function successOf(sums: Sums): number | null {
  const counted = sums.requests - sums.client_gone - sums.client_errors;
  return counted > 0 ? sums.ok / counted : null;
}

const READ: Record<LineName, (sums: Sums) => number | null> = {
  requests: (sums) => sums.requests,
  rescued: (sums) => sums.rescued,
  failed: (sums) => sums.failed,
  success: successOf,
  met: (sums) => sums.rate_limits_met,
  reached: (sums) => sums.rate_limited,
  p50: (sums) => sums.first_token_p50_ms,
  p95: (sums) => sums.first_token_p95_ms,
  input: (sums) => sums.input_tokens,
  output: (sums) => sums.output_tokens,
  cached: (sums) => sums.cached_tokens,
  cost: (sums) => (sums.cost_nano === null ? null : sums.cost_nano / 1e9),
};

/** The first one is the metric itself, the one of its sparkline. */
export const LINES: Record<Metric, readonly LineName[]> = {
  requests: ["requests", "rescued", "failed"],
  success: ["success"],
  rescued: ["rescued"],
  limits: ["met", "reached"],
  firstToken: ["p50", "p95"],
  tokens: ["input", "output", "cached"],
  cost: ["cost"],
};

export function readLine(line: LineName, sums: Sums): number | null {
  return READ[line](sums);
}

/** The sparkline's values, oldest first. */
export function sparkOf(metric: Metric, series: readonly Sums[]): (number | null)[] {
  const [first = "requests"] = LINES[metric];
  return series.map((bucket) => readLine(first, bucket));
}
