/** Numbers for people: short, never rounded into something untrue, unknown is "–". */

import type { Language } from "../state/preferences";

export const UNKNOWN = "–";

const UNITS: Record<Language, readonly (readonly [number, string])[]> = {
  en: [
    [1e9, "B"],
    [1e6, "M"],
    [1e3, "K"],
  ],
  zh: [
    [1e8, "亿"],
    [1e4, "万"],
  ],
};

/** Below this a count is written out. */
const EXACT_BELOW = 10_000;

/** Cut `value` to three digits, not rounding up: 999 999 is 999K, never 1000K. */
function threeDigits(value: number): string {
  const decimals = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  const cut = Math.floor(value * 10 ** decimals + 1e-9) / 10 ** decimals;
  return String(cut);
}

/** `12.3K` or `1.23万`; small counts in full, with separators. */
export function count(value: number | null | undefined, language: Language): string {
  if (value === null || value === undefined) return UNKNOWN;
  if (value < EXACT_BELOW) return exact(value);
  for (const [size, unit] of UNITS[language]) {
    if (value >= size) {
      const scaled = value / size;
      return (scaled >= EXACT_BELOW ? exact(Math.floor(scaled)) : threeDigits(scaled)) + unit;
    }
  }
  return exact(value);
}

/** Every digit, in groups of three. */
export function exact(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/**
 * `99.98%`, cut and not rounded: 100% is said only when nothing failed. Unknown without a whole.
 */
export function share(part: number, whole: number): string {
  if (whole <= 0) return UNKNOWN;
  const percent = (part / whole) * 100;
  const decimals = percent >= 99 && percent < 100 ? 2 : 1;
  const cut = Math.floor(percent * 10 ** decimals + 1e-9) / 10 ** decimals;
  return `${cut}%`;
}

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Decimal units, as disks are sold: `120 MB`. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN;
  let scaled = value;
  let unit = 0;
  while (scaled >= 1000 && unit < BYTE_UNITS.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(scaled) : threeDigits(scaled)} ${BYTE_UNITS[unit]}`;
}
