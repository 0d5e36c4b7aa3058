/** Times that tick: each reads the clock itself, so that nothing around it renders again. */

import { countdown, span } from "../format/time";
import { words } from "../i18n";
import { now } from "../state/clock";
import { language } from "../state/preferences";

/** What is left until `until` (monotonic ms). An estimate carries "~". */
export function Countdown({ until, estimated = false }: { until: number; estimated?: boolean }) {
  const left = (until - now.value) / 1000;
  if (left <= 0) return <span>{words.value.upstreams.backNow}</span>;
  return (
    <span class="figures">
      {estimated ? "~" : ""}
      {countdown(left)}
    </span>
  );
}

/** The time since something that was `seconds` ago at `at` (monotonic ms). */
export function Elapsed({ seconds, at }: { seconds: number; at: number }) {
  const more = Math.max(0, now.value - at) / 1000;
  return <span class="figures">{span(seconds + more, language.value)}</span>;
}
