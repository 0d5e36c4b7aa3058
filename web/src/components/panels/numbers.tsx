/** What happened in the chosen span: each number with its course and the change, one of them drawn large. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import type { NumbersAnswer, Span, Sums, Totals as AllTotals } from "../../api/types";
import { type Change, points, relative } from "../../format/change";
import { METRICS, type Metric, sparkOf, successOf } from "../../format/metrics";
import { dollars } from "../../format/money";
import { count, share } from "../../format/number";
import { took } from "../../format/time";
import { words } from "../../i18n";
import { SPANS, chooseSpan, numbers, span } from "../../state/panels";
import { language, rememberChoice, rememberedChoice } from "../../state/preferences";
import { Icon } from "../icon";
import { Sparkline } from "../sparkline";
import { Chart } from "./chart";
import { Totals, TotalsTiles } from "./totals";

interface Reading {
  value: ComponentChildren;
  note: string;
  change: Change | null;
  tone?: "merit" | "bad";
}

const short = (value: number) => count(value, language.value);

/** A time the proxy estimated. */
const about = (ms: number | null) => (ms === null ? took(null) : `~${took(ms)}`);

function readingOf(metric: Metric, now: Sums, before: Sums): Reading {
  const said = words.value.numbers;
  switch (metric) {
    case "requests":
      return {
        value: short(now.requests),
        note: said.requestsNote(short(now.client_errors), short(now.client_gone)),
        change: relative(now.requests, before.requests),
      };
    case "success":
      return {
        value: share(now.ok, now.requests - now.client_gone - now.client_errors),
        note: said.failedOf(short(now.failed)),
        change: points(successOf(now), successOf(before)),
        ...(now.failed > 0 ? { tone: "bad" as const } : {}),
      };
    case "rescued":
      return {
        value: short(now.rescued),
        note: said.rescuedNote,
        change: relative(now.rescued, before.rescued),
        ...(now.rescued > 0 ? { tone: "merit" as const } : {}),
      };
    case "limits":
      return {
        value: short(now.rate_limits_met),
        note: said.limitsNote(short(now.rate_limited)),
        change: relative(now.rate_limits_met, before.rate_limits_met),
      };
    case "firstToken":
      return {
        value: about(now.first_token_p50_ms),
        note: said.p95(about(now.first_token_p95_ms)),
        change: relative(now.first_token_p50_ms, before.first_token_p50_ms),
      };
    case "tokens":
      return {
        value: short(now.input_tokens + now.output_tokens),
        note: said.tokensNote(short(now.input_tokens), short(now.output_tokens), short(now.cached_tokens)),
        change: relative(now.input_tokens + now.output_tokens, before.input_tokens + before.output_tokens),
      };
    case "cost":
      return {
        value: now.priced === 0 && !now.cost_nano ? dollars(null) : dollars(now.cost_nano),
        note: said.unpriced(now.unpriced === 0 ? null : short(now.unpriced)),
        change: relative(now.cost_nano, before.cost_nano),
      };
  }
}

function ChangeMark({ change, than }: { change: Change; than: string }) {
  return (
    <span class="change figures" title={than}>
      {change.direction !== "same" && <Icon name={change.direction === "up" ? "up" : "down"} />}
      {change.text}
      <span class="visually-hidden"> {than}</span>
    </span>
  );
}

interface TileProps {
  metric: Metric;
  answer: NumbersAnswer;
  isChosen: boolean;
  onChoose: () => void;
}

function Tile({ metric, answer, isChosen, onChoose }: TileProps) {
  const said = words.value.numbers;
  const reading = readingOf(metric, answer.totals, answer.before);
  return (
    <li class={`tile ${reading.tone === undefined ? "" : `tile-${reading.tone}`}`}>
      <button type="button" class="tile-button" aria-pressed={isChosen} onClick={onChoose} title={said.help[metric]}>
        <span class="tile-name">{said.metrics[metric]}</span>
        <span class="tile-line">
          <span class="value figures">{reading.value}</span>
          {reading.change !== null && <ChangeMark change={reading.change} than={said.than[answer.window]} />}
        </span>
        <span class="note">{reading.note}</span>
        <Sparkline values={sparkOf(metric, answer.series)} />
      </button>
    </li>
  );
}

/** `all` has no course: it is everything the records hold. */
type Shown = Span | "all";

function Spans({ shown, onChoose }: { shown: Shown; onChoose: (chosen: Shown) => void }) {
  const said = words.value.numbers;
  return (
    <div class="chips" role="group" aria-label={said.spanLabel}>
      {[...SPANS, "all" as const].map((name) => (
        <button key={name} type="button" class="chip" aria-pressed={shown === name} onClick={() => onChoose(name)}>
          {said.spans[name]}
        </button>
      ))}
    </div>
  );
}

function Course({ answer }: { answer: NumbersAnswer }) {
  const remembered = METRICS.find((name) => name === rememberedChoice("metric"));
  const metric = useSignal<Metric>(remembered ?? "requests");
  // Costs are the owner's business; to others there is no such tile.
  const shown = METRICS.filter((name) => name !== "cost" || answer.totals.cost_nano !== null || answer.totals.unpriced > 0);
  return (
    <>
      <ul class="tiles">
        {shown.map((name) => (
          <Tile
            key={name}
            metric={name}
            answer={answer}
            isChosen={metric.value === name}
            onChoose={() => {
              metric.value = name;
              rememberChoice("metric", name);
            }}
          />
        ))}
      </ul>
      <Chart answer={answer} metric={metric.value} />
    </>
  );
}

export function Numbers({ totals }: { totals: AllTotals }) {
  const said = words.value.numbers;
  useEffect(numbers.watch, []);
  const isAll = useSignal(false);
  if (numbers.isMissing.value) return <Totals totals={totals} />;
  const answer = numbers.data.value;
  return (
    <section class="card numbers" aria-labelledby="numbers-title">
      <div class="card-head">
        <h2 id="numbers-title">{said.title}</h2>
        <Spans
          shown={isAll.value ? "all" : span.value}
          onChoose={(chosen) => {
            isAll.value = chosen === "all";
            if (chosen !== "all") chooseSpan(chosen);
          }}
        />
      </div>
      {isAll.value ? (
        <TotalsTiles totals={totals} />
      ) : answer === null ? (
        <div class="numbers-wait" />
      ) : (
        <Course answer={answer} />
      )}
    </section>
  );
}
