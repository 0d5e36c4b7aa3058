/** The last attempts as a strip, newest on the right; the shape tells the result, not the colour alone. */

import { words } from "../../i18n";

const SLOTS = 60;
const STEP = 6;
const BAR = 4;
const HEIGHT = 22;

/** 0 ok: a full bar; 1 rate limited: half a bar; 2 failed: a bar with a gap. */
function Bar({ result, x }: { result: number; x: number }) {
  if (result === 0) return <rect class="bar-ok" x={x} y={0} width={BAR} height={HEIGHT} rx={1} />;
  if (result === 1) {
    return <rect class="bar-limited" x={x} y={HEIGHT / 2} width={BAR} height={HEIGHT / 2} rx={1} />;
  }
  return (
    <>
      <rect class="bar-failed" x={x} y={0} width={BAR} height={8} rx={1} />
      <rect class="bar-failed" x={x} y={HEIGHT - 8} width={BAR} height={8} rx={1} />
    </>
  );
}

export function Strip({ recent }: { recent: readonly number[] }) {
  const last = recent.slice(-SLOTS);
  const counts = [0, 1, 2].map((result) => last.filter((one) => one === result).length);
  const empty = SLOTS - last.length;
  return (
    <svg
      class="strip"
      viewBox={`0 0 ${SLOTS * STEP - (STEP - BAR)} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={words.value.upstreams.strip(counts[0] ?? 0, counts[1] ?? 0, counts[2] ?? 0)}
    >
      {Array.from({ length: empty }, (_, at) => (
        <rect key={at} class="bar-none" x={at * STEP} y={HEIGHT - 2} width={BAR} height={2} />
      ))}
      {last.map((result, at) => (
        <Bar key={empty + at} result={result} x={(empty + at) * STEP} />
      ))}
    </svg>
  );
}

export function StripLegend() {
  const said = words.value.upstreams.legend;
  const entries = [said.ok, said.limited, said.failed];
  return (
    <ul class="legend">
      {entries.map((entry, result) => (
        <li key={entry}>
          <svg class="legend-bar" viewBox={`0 0 ${BAR} ${HEIGHT}`} aria-hidden="true">
            <Bar result={result} x={0} />
          </svg>
          {entry}
        </li>
      ))}
    </ul>
  );
}
