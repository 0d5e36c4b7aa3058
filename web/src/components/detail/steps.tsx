/** A request's attempts, one below the other on one time scale, with words for each. */

import type { Attempt, RequestRecord } from "../../api/types";
import { took } from "../../format/time";
import { WIDTH, gapsOf, scaleOf, segmentsOf, ticksOf } from "../../format/time_bar";
import { whyWords, words } from "../../i18n";
import { faultWords } from "../../i18n/faults";
import { saidByProxy } from "../../i18n/sentences";
import { language } from "../../state/preferences";
import { leaveFor } from "../../state/requests";
import { Icon, type IconName } from "../icon";

const BAR_HEIGHT = 14;

function TimeBar({ attempt, record, scale }: { attempt: Attempt; record: RequestRecord; scale: number }) {
  const token =
    attempt.fault === undefined && record.first_token_ms !== undefined
      ? Math.min((record.first_token_ms / scale) * WIDTH, WIDTH - 3)
      : null;
  return (
    <svg
      class="time-bar"
      viewBox={`0 0 ${WIDTH} ${BAR_HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <rect class="phase-track" width={WIDTH} height={BAR_HEIGHT} />
      {segmentsOf(attempt, scale).map((segment) => (
        <rect
          key={`${segment.phase}${segment.from}`}
          class={`phase-${segment.phase}`}
          x={segment.from}
          y={segment.phase === "wait" ? 5 : segment.phase === "connect" ? 3 : 0}
          width={segment.length}
          height={segment.phase === "wait" ? 4 : segment.phase === "connect" ? 8 : BAR_HEIGHT}
        />
      ))}
      {token !== null && <rect class="phase-token" x={token} width={3} height={BAR_HEIGHT} />}
    </svg>
  );
}

/** The time scale all bars share, and what lay before the first attempt. */
function Ruler({ record, scale }: { record: RequestRecord; scale: number }) {
  const ticks = ticksOf(scale);
  const { queue } = gapsOf(record);
  return (
    <div class="ruler" aria-hidden="true">
      <svg class="ruler-line" viewBox={`0 0 ${WIDTH} 8`} preserveAspectRatio="none">
        <rect class="phase-track" y={6} width={WIDTH} height={2} />
        {queue > 0 && <rect class="phase-wait" y={4} width={Math.max((queue / scale) * WIDTH, 2)} height={4} />}
        {ticks.map((tick) => (
          <rect key={tick} class="ruler-tick" x={Math.min((tick / scale) * WIDTH, WIDTH - 1.5)} width={1.5} height={8} />
        ))}
      </svg>
      <div class="ruler-words figures">
        <span>0</span>
        <span>{took(scale)}</span>
      </div>
    </div>
  );
}

/** Faults that are nobody's failure look milder than the others. */
const FAULT_LOOKS: Record<string, { tone: string; icon: IconName }> = {
  rate_limited: { tone: "warn", icon: "clock" },
  client_gone: { tone: "calm", icon: "leave" },
  client_fault: { tone: "calm", icon: "warn" },
};

function Result({ attempt }: { attempt: Attempt }) {
  const said = words.value.detail;
  const status = attempt.status === undefined ? said.noHead : `HTTP ${attempt.status}`;
  if (attempt.fault === undefined) {
    return (
      <span class="badge tone-ok">
        <Icon name="check" />
        {said.answered} · {status}
      </span>
    );
  }
  const { tone, icon } = FAULT_LOOKS[attempt.fault] ?? { tone: "bad", icon: "cross" };
  return (
    <span class={`badge tone-${tone}`} title={attempt.fault}>
      <Icon name={icon} />
      {faultWords(attempt.fault, language.value).says} · {status}
    </span>
  );
}

const isCost = (cost: string): cost is "none" | "unknown" | "partial" =>
  ["none", "unknown", "partial"].includes(cost);

function asidesOf(attempt: Attempt, number: number): string[] {
  const said = words.value.detail;
  const asides: string[] = [];
  if (attempt.wait_ms) asides.push(said.waited(took(attempt.wait_ms)));
  if (attempt.why !== undefined) {
    const begins = number === 1 ? said.whyFirst : said.whyNext;
    asides.push(`${begins}${language.value === "zh" ? "" : " "}${whyWords(attempt.why)}`);
  }
  if (attempt.cool_s !== undefined) asides.push(said.rests(took(attempt.cool_s * 1000)));
  if (attempt.fault !== undefined && attempt.cost !== undefined && isCost(attempt.cost)) {
    asides.push(said.cost[attempt.cost]);
  }
  return asides;
}

interface StepProps {
  attempt: Attempt;
  /** Four attempts may meet the same; one way to its like is enough. */
  isFirstOfItsFault: boolean;
  number: number;
  record: RequestRecord;
  scale: number;
}

function Step({ attempt, isFirstOfItsFault, number, record, scale }: StepProps) {
  const said = words.value.detail;
  const fault = attempt.fault === undefined ? null : faultWords(attempt.fault, language.value);
  const asides = asidesOf(attempt, number);
  return (
    <li class="step">
      <div class="step-head">
        <strong>{said.attempt(number)}</strong>
        <span>
          {attempt.upstream} <span class="dim">{attempt.key}</span>
        </span>
        {attempt.model !== undefined && <code>{attempt.model}</code>}
        <Result attempt={attempt} />
        <span class="figures step-time">{took(attempt.total_ms ?? 0)}</span>
      </div>
      <TimeBar attempt={attempt} record={record} scale={scale} />
      {asides.length > 0 && <p class="note">{asides.join(" · ")}</p>}
      {attempt.reason !== undefined && (
        <blockquote>
          <span class="visually-hidden">{said.says}: </span>
          {saidByProxy(attempt.reason, language.value)}
        </blockquote>
      )}
      {fault?.advice !== undefined && (
        <p class="advice">
          <strong>{said.advice}</strong> {fault.advice}
        </p>
      )}
      {attempt.fault !== undefined && isFirstOfItsFault && (
        <button
          type="button"
          class="text-button"
          onClick={() => leaveFor({ fault: attempt.fault ?? null })}
        >
          {said.sameFault}
        </button>
      )}
    </li>
  );
}

function Legend() {
  const said = words.value.detail.legend;
  const phases = ["wait", "connect", "think", "answer", "failed", "token"] as const;
  return (
    <ul class="legend">
      {phases.map((phase) => (
        <li key={phase}>
          <svg class={`legend-phase legend-${phase}`} viewBox="0 0 12 12" aria-hidden="true">
            <rect
              class={`phase-${phase}`}
              x={phase === "token" ? 5 : 0}
              y={phase === "wait" ? 4.5 : phase === "connect" ? 3 : 0}
              width={phase === "token" ? 3 : 12}
              height={phase === "wait" ? 3 : phase === "connect" ? 6 : 12}
            />
          </svg>
          {said[phase]}
        </li>
      ))}
    </ul>
  );
}

export function Steps({ record }: { record: RequestRecord }) {
  const said = words.value.detail;
  const attempts = record.attempts ?? [];
  const scale = scaleOf(record);
  if (attempts.length === 0) return <p class="dim">{said.none}</p>;
  return (
    <>
      <Legend />
      <Ruler record={record} scale={scale} />
      <ol class="steps">
        {attempts.map((attempt, at) => (
          <Step
            key={at}
            attempt={attempt}
            isFirstOfItsFault={attempts.findIndex((one) => one.fault === attempt.fault) === at}
            number={at + 1}
            record={record}
            scale={scale}
          />
        ))}
      </ol>
    </>
  );
}
