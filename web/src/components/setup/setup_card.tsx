/** How to connect a client: addresses as this browser sees them, the key, one tab per client, a test. */

import { useSignal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import { root } from "../../api/client";
import type { Status } from "../../api/types";
import { FORMATS, type Format } from "../../format/answer";
import { words } from "../../i18n";
import { accessKey, maskOf } from "../../state/access_key";
import { list } from "../../state/requests";
import { isOwner } from "../../state/session";
import { rememberFold, rememberedFold } from "../../state/preferences";
import { Trial } from "../../state/trial";
import { CopyButton } from "../copy_button";
import { Icon } from "../icon";
import { TrialResult } from "../trial_result";
import { ClientTabs } from "./client_tabs";
import { KeyForm } from "./key_form";

const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** A model name that can be asked for: a configured one, else the last one that was answered. */
export function someModel(status: Status): string {
  const configured = (status.upstreams ?? []).flatMap((upstream) => upstream.models);
  const named = configured.find((model) => !model.includes("*"));
  const records = list.value.shown;
  const worked = records.find((record) => record.model && record.outcome === "ok") ?? records.find((record) => record.model);
  return named ?? worked?.model ?? "gpt-5";
}

/** The format that most upstreams take as it is. */
export function someFormat(status: Status): Format {
  const spoken = (status.upstreams ?? []).map((upstream) => upstream.formats);
  const takes = (format: Format) => spoken.some((formats) => formats.length === 0 || formats.includes(format));
  return FORMATS.find(takes) ?? "chat";
}

function Address({ name, address, note }: { name: string; address: string; note: string }) {
  return (
    <div class="address">
      <h3>{name}</h3>
      <div class="copyable">
        <code>{address}</code>
        <CopyButton text={address} what={name} />
      </div>
      <p class="note">{note}</p>
    </div>
  );
}

function TestCall({ status, model, onKeyWanted }: { status: Status; model: string; onKeyWanted: () => void }) {
  const said = words.value.trial;
  const trial = useMemo(() => new Trial(), []);
  const input = useRef<HTMLInputElement>(null);
  const state = trial.state.value;
  const isRunning = state.phase === "running";

  function submit(event: Event): void {
    event.preventDefault();
    if (!isOwner.value && accessKey.value === null) {
      onKeyWanted();
      return;
    }
    void trial.run({
      format: someFormat(status),
      model: input.current?.value.trim() || model,
      prompt: said.hello,
      stream: true,
      target: null,
    });
  }

  return (
    <form class="test-call" onSubmit={submit}>
      <div class="test-call-row">
        <label for="test-model">{said.model}</label>
        <input id="test-model" ref={input} list="known-models" placeholder={model} autocapitalize="off" spellcheck={false} />
        <button type="submit" class="button primary" disabled={isRunning}>
          <Icon name="send" />
          {said.test}
        </button>
        {isRunning && (
          <button type="button" class="button quiet" onClick={() => trial.stop()}>
            {said.stop}
          </button>
        )}
      </div>
      <TrialResult state={state} />
    </form>
  );
}

/** Model names seen or configured, for the fields that ask for one. */
function KnownModels({ status }: { status: Status }) {
  const configured = (status.upstreams ?? []).flatMap((upstream) => upstream.models);
  const seen = list.value.shown.flatMap((record) => record.model ?? []);
  const names = [...new Set([...configured, ...seen])].filter((name) => !name.includes("*")).slice(0, 50);
  return (
    <datalist id="known-models">
      {names.map((name) => (
        <option key={name} value={name} />
      ))}
    </datalist>
  );
}

export function SetupCard({ status }: { status: Status }) {
  const said = words.value.connect;
  const base = root.href.replace(/\/$/, "");
  const model = someModel(status);
  const hint = maskOf(status.key_hint);
  const isKeyAsked = useSignal(false);
  const askKey = () => {
    isKeyAsked.value = true;
  };
  // Unfolded until the first success, then as it was left; what it says must not vanish meanwhile.
  const wasOpen = useMemo(() => rememberedFold("connect") ?? status.totals.ok === 0, []);
  const isOpen = useSignal(wasOpen);
  return (
    <details
      class="card connect"
      open={isOpen.value}
      onToggle={(event) => {
        if (event.currentTarget.open === isOpen.value) return;
        isOpen.value = event.currentTarget.open;
        rememberFold("connect", isOpen.value);
      }}
    >
      <summary>
        <Icon name="plug" />
        <h2>{said.title}</h2>
        <code class="glance">{base}/v1</code>
        <Icon name="down" />
      </summary>
      <KnownModels status={status} />
      <div class="connect-body">
        <Address name={said.withV1} address={`${base}/v1`} note={said.withV1For} />
        <Address name={said.withoutV1} address={base} note={said.withoutV1For} />
        <div class="address">
          <h3>{said.key}</h3>
          <div class="copyable">
            <code>{hint}</code>
            <CopyButton
              what={said.key}
              text={() => {
                if (accessKey.value === null) askKey();
                return accessKey.value;
              }}
            />
          </div>
          <p class="note">{said.keyFor}</p>
        </div>
      </div>
      {isKeyAsked.value && (
        <KeyForm
          onDone={() => {
            isKeyAsked.value = false;
          }}
        />
      )}
      {LOOPBACK.has(root.hostname) && (
        <p class="note loopback">
          {said.loopback} <code>{root.hostname}</code>
        </p>
      )}
      <TestCall status={status} model={model} onKeyWanted={askKey} />
      <ClientTabs base={base} model={model} hint={hint} onKeyWanted={askKey} />
    </details>
  );
}
