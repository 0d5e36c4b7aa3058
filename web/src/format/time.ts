/** Durations, countdowns and clock times for people. */

import type { Language } from "../state/preferences";
import { UNKNOWN } from "./number";

/** How long something took: `812 ms`, `1.24 s`, `2 m 05 s`. */
export function took(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return UNKNOWN;
  if (ms > 0 && ms < 1) return "<1 ms";
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9_995) return `${(ms / 1000).toFixed(2)} s`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} m`;
}

/** What is left, as on a clock: `00:37`, `1:02:03`. Rounds up, so that 00:00 means now. */
export function countdown(seconds: number): string {
  const left = Math.max(0, Math.ceil(seconds - 1e-6));
  const two = (value: number) => String(value).padStart(2, "0");
  const tail = `${two(Math.floor((left % 3600) / 60))}:${two(left % 60)}`;
  return left >= 3600 ? `${Math.floor(left / 3600)}:${tail}` : tail;
}

const SPAN_UNITS: Record<Language, readonly [number, string][]> = {
  en: [
    [86_400, " d"],
    [3600, " h"],
    [60, " min"],
    [1, " s"],
  ],
  zh: [
    [86_400, " 天"],
    [3600, " 小时"],
    [60, " 分钟"],
    [1, " 秒"],
  ],
};

/** A long span in its two largest units: `3 d 4 h`. */
export function span(seconds: number, language: Language): string {
  const units = SPAN_UNITS[language];
  const whole = Math.max(0, Math.floor(seconds));
  const first = units.findIndex(([size]) => whole >= size);
  if (first === -1) return `0${units.at(-1)?.[1] ?? ""}`;
  const parts: string[] = [];
  let rest = whole;
  for (const [size, unit] of units.slice(first, first + 2)) {
    const amount = Math.floor(rest / size);
    rest %= size;
    if (amount > 0) parts.push(`${amount}${unit}`);
  }
  return parts.join(" ");
}

/** Clock time in the browser's zone; with the date when it was another day than `now`. */
export function clock(atMs: number, now: Date): string {
  const at = new Date(atMs);
  const two = (value: number) => String(value).padStart(2, "0");
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  if (at.toDateString() === now.toDateString()) return time;
  return `${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

/** The full date and time with its zone, for a tooltip. */
export function fullTime(atMs: number, language: Language): string {
  return new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en-GB", {
    dateStyle: "medium",
    timeStyle: "long",
  }).format(atMs);
}
