/** What happened to one request: its attempts on a time bar, words for each, and the facts. */

import type { ComponentChildren } from "preact";
import type { Attempt, RequestRecord } from "../api/types";
import { bytes, exact } from "../format/number";
import { took } from "../format/time";
import { WIDTH, scaleOf, segmentsOf } from "../format/time_bar";
import { whyWords, words } from "../i18n";
import { faultWords } from "../i18n/faults";
import { language } from "../state/preferences";
import { CopyButton } from "./copy_button";
import { Icon, type IconName } from "./icon";

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

interface StepProps {
  attempt: Attempt;
  number: number;
  record: RequestRecord;
  scale: number;
}

function Step({ attempt, number, record, scale }: StepProps) {
  const said = words.value.detail;
  const fault = attempt.fault === undefined ? null : faultWords(attempt.fault, language.value);
  const asides: string[] = [];
  if (attempt.wait_ms) asides.push(said.waited(took(attempt.wait_ms)));
  if (attempt.why !== undefined) {
    asides.push(`${number === 1 ? said.whyFirst : said.whyNext}${language.value === "zh" ? "" : " "}${whyWords(attempt.why)}`);
  }
  if (attempt.cool_s !== undefined) asides.push(said.rests(took(attempt.cool_s * 1000)));
  if (fault !== null && attempt.cost !== undefined && isCost(attempt.cost)) {
    asides.push(said.cost[attempt.cost]);
  }
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
          {attempt.reason}
        </blockquote>
      )}
      {fault?.advice !== undefined && (
        <p class="advice">
          <strong>{said.advice}</strong> {fault.advice}
        </p>
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

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function usageWords(record: RequestRecord): string | null {
  const names = words.value.detail.usage;
  const kinds = ["input", "cache_read", "cache_write", "output", "reasoning"] as const;
  const parts = kinds.flatMap((kind) => {
    const tokens = record.usage?.[kind];
    return tokens === undefined ? [] : [`${names[kind]} ${exact(tokens)}`];
  });
  return parts.length > 0 ? parts.join(" · ") : null;
}

function Facts({ record }: { record: RequestRecord }) {
  const said = words.value.detail;
  const usage = usageWords(record);
  return (
    <dl class="detail-facts">
      <Fact name={said.call}>
        <code>
          {record.method} {record.path}
        </code>{" "}
        · {record.format} · {record.stream ? said.streamed : said.notStreamed}
      </Fact>
      {usage !== null && <Fact name={said.tokens}>{usage}</Fact>}
      <Fact name={said.size}>
        {said.sizes(bytes(record.bytes_up ?? 0), bytes(record.bytes_down ?? 0))}
      </Fact>
      {record.client !== undefined && <Fact name={said.client}>{record.client}</Fact>}
      {record.notice !== undefined && (
        <Fact name={said.notice}>{said.notices[record.notice] ?? record.notice}</Fact>
      )}
      <Fact name={said.id}>
        <span class="copyable">
          <code>{record.id}</code>
          <CopyButton text={record.id} what={said.id} />
        </span>
      </Fact>
    </dl>
  );
}

export function RequestDetail({ record }: { record: RequestRecord }) {
  const said = words.value.detail;
  const attempts = record.attempts ?? [];
  const scale = scaleOf(record);
  return (
    <div class="detail-body">
      {record.error !== undefined && (
        <p class="error-line">
          <Icon name="stop" />
          <strong>{said.error}</strong> {record.error}
        </p>
      )}
      {(record.broken_events ?? 0) > 0 && <p>{said.broken(record.broken_events ?? 0)}</p>}
      <div class="detail-head">
        <h3>{said.timeline}</h3>
        {attempts.length > 0 && <Legend />}
      </div>
      {attempts.length === 0 ? (
        <p class="dim">{said.none}</p>
      ) : (
        <ol class="steps">
          {attempts.map((attempt, at) => (
            <Step key={at} attempt={attempt} number={at + 1} record={record} scale={scale} />
          ))}
        </ol>
      )}
      <Facts record={record} />
    </div>
  );
}
