/** How a call from this page goes and ends: ticking, its text, then a verdict with what to do. */

import type { RequestRecord } from "../api/types";
import { took } from "../format/time";
import { words } from "../i18n";
import { faultWords } from "../i18n/faults";
import { saidByProxy } from "../i18n/sentences";
import { language } from "../state/preferences";
import { openRequest } from "../state/requests";
import type { TrialState } from "../state/trial";
import { Elapsed } from "./countdown";
import { Icon } from "./icon";

/** `upstream-1 key-1 …ab12` */
function byWhom(record: RequestRecord | null): string | null {
  return record?.upstream === undefined ? null : `${record.upstream} ${record.key ?? ""}`.trim();
}

function Works({ state }: { state: TrialState }) {
  const said = words.value.trial;
  const { record } = state;
  const tries = record?.attempts?.length ?? 0;
  return (
    <p class="verdict tone-ok">
      <Icon name="check" />
      <strong>{said.works(took(record?.total_ms ?? state.totalMs), byWhom(record))}</strong>
      {tries > 1 && <span>{said.rescued(tries - 1)}</span>}
    </p>
  );
}

function Fails({ state }: { state: TrialState }) {
  const said = words.value.trial;
  const fault = state.record?.attempts?.at(-1)?.fault;
  const cause = fault === undefined ? null : faultWords(fault, language.value);
  const key = byWhom(state.record) ?? state.record?.attempts?.at(-1)?.key ?? null;
  const detail = state.record?.error ?? state.error;
  return (
    <>
      <p class="verdict tone-bad">
        <Icon name="cross" />
        <strong>{cause === null ? said.fails(state.status) : said.failsBy(cause.says, key)}</strong>
      </p>
      {detail !== null && detail !== undefined && <blockquote>{saidByProxy(detail, language.value)}</blockquote>}
      {cause?.advice !== undefined && (
        <p class="advice">
          <strong>{words.value.detail.advice}</strong> {cause.advice}
        </p>
      )}
    </>
  );
}

function Verdict({ state }: { state: TrialState }) {
  const said = words.value.trial;
  switch (state.phase) {
    case "idle":
      return null;
    case "running":
      return (
        <p class="verdict tone-calm">
          <Icon name="clock" />
          {state.text === "" ? said.waiting : said.streaming}{" "}
          <span aria-hidden="true">
            <Elapsed seconds={0} at={state.startedAt} />
          </span>
        </p>
      );
    case "answered":
      return <Works state={state} />;
    case "failed":
      return <Fails state={state} />;
    case "stopped":
      return <p class="verdict tone-calm">{said.stopped}</p>;
    case "unreachable":
      return <p class="verdict tone-bad">{words.value.signIn.unreachable}</p>;
  }
}

export function TrialResult({ state }: { state: TrialState }) {
  const { record } = state;
  return (
    <div class="trial-result">
      <div role="status">
        <Verdict state={state} />
      </div>
      {state.text !== "" && (
        <pre class="answer-text" tabIndex={0} aria-label={words.value.trial.answer}>
          {state.text}
        </pre>
      )}
      {record !== null && (
        <button type="button" class="text-button" onClick={() => openRequest(record.id)}>
          {words.value.trial.details}
        </button>
      )}
    </div>
  );
}
