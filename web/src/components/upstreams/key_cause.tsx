/** Why a key rests and until when, by whose word; for a ready one what is left of its quota. */

import type { KeyStatus, Quota } from "../../api/types";
import { count } from "../../format/number";
import { words } from "../../i18n";
import { faultWords } from "../../i18n/faults";
import { language } from "../../state/preferences";
import { Countdown } from "../countdown";

function Until({ status, at, seconds }: { status: KeyStatus; at: number; seconds: number }) {
  const said = words.value.upstreams;
  return (
    <strong>
      <Countdown
        until={at + seconds * 1000}
        estimated={status.source === "guess"}
        before={said.backIn}
        over={said.backNow}
      />
    </strong>
  );
}

function Cause({ status, at }: { status: KeyStatus; at: number }) {
  const said = words.value.upstreams;
  const cause = status.cause === null ? null : faultWords(status.cause, language.value);
  // A key on probation has no time to wait for: the next request asks it.
  const isWaiting = status.back_in_s !== null && status.state !== "half_open";
  if (cause === null && !isWaiting) return null;
  return (
    <>
      <p class="cause">
        {isWaiting && status.back_in_s !== null && <Until status={status} at={at} seconds={status.back_in_s} />}
        {cause !== null && <span>{cause.says}</span>}
        {isWaiting && status.source !== null && <span class="dim">{said.source[status.source]}</span>}
      </p>
      {cause?.advice !== undefined && <p class="cause">{cause.advice}</p>}
    </>
  );
}

function Models({ why, left, at }: { why: string; left: Record<string, number>; at: number }) {
  const models = Object.entries(left);
  if (models.length === 0) return null;
  return (
    <p class="cause">
      <span class="dim">{why}</span>
      {models.map(([model, seconds]) => (
        <span key={model} class="limited-model">
          <code>{model}</code> <Countdown until={at + seconds * 1000} />
        </span>
      ))}
    </p>
  );
}

function remaining({ left: rest, limit }: Quota): string {
  const short = (value: number) => count(value, language.value);
  return limit === null ? short(rest) : `${short(rest)} / ${short(limit)}`;
}

function QuotaLeft({ quota }: { quota: Record<string, Quota> }) {
  const said = words.value.upstreams;
  const kinds = Object.entries(quota);
  if (kinds.length === 0) return null;
  return (
    <p class="cause dim">
      {said.quotaLeft}
      {kinds.map(([kind, one]) => (
        <span key={kind} class="figures">
          {said.quotaKinds[kind] ?? kind} {remaining(one)}
        </span>
      ))}
    </p>
  );
}

export function KeyCause({ status, at }: { status: KeyStatus; at: number }) {
  const said = words.value.upstreams;
  const failing = status.failing ?? {};
  const resting = Object.keys(status.models).length + Object.keys(failing).length;
  const isReady = status.state === "ready" && resting === 0;
  return (
    <div class="key-cause">
      <Cause status={status} at={at} />
      <Models why={said.modelLimited} left={status.models} at={at} />
      <Models why={said.modelFailing} left={failing} at={at} />
      <QuotaLeft quota={status.quota ?? {}} />
      {isReady && Object.keys(status.quota ?? {}).length === 0 && (
        <p class="cause dim">{said.noQuota}</p>
      )}
    </div>
  );
}
