/** Money for people: US dollars from the proxy's billionths; unknown is "–". */

import { UNKNOWN } from "./number";

/** `$12.40`, `$0.0031`: at least three digits that say something. */
export function dollars(nano: number | null | undefined): string {
  if (nano === null || nano === undefined) return UNKNOWN;
  const value = nano / 1e9;
  if (value === 0) return "$0";
  if (value < 0.000_001) return "<$0.000001";
  const decimals = value >= 1 ? 2 : Math.min(6, 2 - Math.floor(Math.log10(value)));
  return `$${value.toLocaleString("en-US", { minimumFractionDigits: Math.min(decimals, 2), maximumFractionDigits: decimals })}`;
}
