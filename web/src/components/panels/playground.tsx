/** Ask a model from the page, through any key, and see how its time passed. */

import { useSignal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import type { Status } from "../../api/types";
import { FORMATS, type Format } from "../../format/answer";
import { words } from "../../i18n";
import { Trial } from "../../state/trial";
import { Steps } from "../detail/steps";
import { Icon } from "../icon";
import { someFormat, someModel } from "../setup/setup_card";
import { TrialResult } from "../trial_result";

interface FieldsProps {
  status: Status;
  format: Format;
  onFormat: (format: Format) => void;
}

function Fields({ status, format, onFormat }: FieldsProps) {
  const said = words.value.playground;
  const keys = (status.upstreams ?? []).flatMap((upstream) => upstream.keys);
  return (
    <div class="selects">
      <label class="select">
        <span>{words.value.trial.model}</span>
        <input name="model" list="known-models" placeholder={someModel(status)} autocapitalize="off" spellcheck={false} />
      </label>
      <label class="select">
        <span>{said.through}</span>
        <select name="target">
          <option value="">{said.anyKey}</option>
          {keys.map((key) => (
            <option key={key.id} value={key.id}>
              {key.id.split("/")[0]} {key.label}
            </option>
          ))}
        </select>
      </label>
      <label class="select">
        <span>{said.format}</span>
        <select name="format" value={format} onChange={(event) => onFormat(event.currentTarget.value as Format)}>
          {FORMATS.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

export function Playground({ status }: { status: Status }) {
  const said = words.value.playground;
  const trial = useMemo(() => new Trial(), []);
  const form = useRef<HTMLFormElement>(null);
  const format = useSignal<Format>(useMemo(() => someFormat(status), []));
  const state = trial.state.value;
  const isRunning = state.phase === "running";

  function submit(event: Event): void {
    event.preventDefault();
    if (form.current === null || isRunning) return;
    const fields = new FormData(form.current);
    const text = (name: string) => String(fields.get(name) ?? "").trim();
    void trial.run({
      format: format.value,
      model: text("model") || someModel(status),
      prompt: text("prompt") || words.value.trial.hello,
      stream: fields.get("stream") !== null,
      target: text("target") || null,
    });
  }

  return (
    <details class="card folded">
      <summary>
        <Icon name="send" />
        <h2>{said.title}</h2>
        <Icon name="down" />
      </summary>
      <form class="playground" ref={form} onSubmit={submit}>
        <Fields status={status} format={format.value} onFormat={(chosen) => (format.value = chosen)} />
        <label class="prompt">
          <span>{said.prompt}</span>
          <textarea name="prompt" rows={3} placeholder={words.value.trial.hello} />
        </label>
        <div class="playground-row">
          <label class="check">
            <input type="checkbox" name="stream" defaultChecked /> {said.stream}
          </label>
          <button type="submit" class="button primary" disabled={isRunning}>
            <Icon name="send" />
            {said.send}
          </button>
          {isRunning && (
            <button type="button" class="button" onClick={() => trial.stop()}>
              {words.value.trial.stop}
            </button>
          )}
        </div>
      </form>
      <TrialResult state={state} />
      {state.record !== null && <Steps record={state.record} />}
    </details>
  );
}
