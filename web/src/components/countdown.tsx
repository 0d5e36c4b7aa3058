/** Times that tick: each reads the clock itself, so that nothing around it renders again. */

import { countdown, span } from "../format/time";
import { now } from "../state/clock";
import { language } from "../state/preferences";

interface CountdownProps {
  /** Monotonic ms. */
  until: number;
  /** Whether to mark it with "~". */
  estimated?: boolean;
  /** Words in front of what is left. */
  before?: string;
  /** Words that stand alone once nothing is left. */
  over?: string;
}

export function Countdown({ until, estimated = false, before = "", over }: CountdownProps) {
  const left = (until - now.value) / 1000;
  if (left <= 0 && over !== undefined) return <span>{over}</span>;
  return (
    <>
      {before}{" "}
      <span class="figures">
        {estimated ? "~" : ""}
        {countdown(left)}
      </span>
    </>
  );
}

/** The time since something that was `seconds` ago at `at` (monotonic ms). */
export function Elapsed({ seconds, at }: { seconds: number; at: number }) {
  const more = Math.max(0, now.value - at) / 1000;
  return <span class="figures">{span(seconds + more, language.value)}</span>;
}
