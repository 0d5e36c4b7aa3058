/** What the owner can do with a key: test it, end its rest, leave it out for a while. */

import { useSignal } from "@preact/signals";
import { Refusal, actOnKey } from "../../api/client";
import type { KeyAction, KeyStatus, KeyTest } from "../../api/types";
import { took } from "../../format/time";
import { words } from "../../i18n";
import { saidByProxy } from "../../i18n/sentences";
import { language } from "../../state/preferences";
import { Icon, type IconName } from "../icon";

const LEVELS: Record<string, { tone: string; icon: IconName }> = {
  ok: { tone: "ok", icon: "check" },
  note: { tone: "calm", icon: "eye" },
  warn: { tone: "warn", icon: "warn" },
  FAIL: { tone: "bad", icon: "cross" },
};

/** The actions that make sense for a key in its state. */
function actionsFor(status: KeyStatus): KeyAction[] {
  if (status.state === "paused") return ["test", "resume"];
  const models = { ...status.models, ...status.failing };
  const rests = status.state !== "ready" || Object.keys(models).length > 0;
  return rests ? ["test", "reset", "pause"] : ["test", "pause"];
}

type Result = KeyTest | { done: KeyAction } | { refused: string };

function Outcome({ result }: { result: Result }) {
  const said = words.value.upstreams;
  if ("done" in result) return <>{said.done[result.done]}</>;
  if ("refused" in result) {
    return (
      <span class="verdict tone-bad">
        <Icon name="cross" /> {result.refused}
      </span>
    );
  }
  return (
    <>
      <span class={`verdict tone-${result.ok ? "ok" : "bad"}`}>
        <Icon name={result.ok ? "check" : "cross"} />
        {result.ok ? said.tested(took(result.ms)) : said.testFailed}
      </span>
      <ul class="findings">
        {result.findings.map(([level, text]) => (
          <li key={text} class={`tone-${LEVELS[level]?.tone ?? "calm"}`}>
            <Icon name={LEVELS[level]?.icon ?? "eye"} /> {saidByProxy(text, language.value)}
          </li>
        ))}
      </ul>
    </>
  );
}

const LOOKS: Record<KeyAction, IconName> = { test: "send", reset: "rescue", pause: "pause", resume: "play" };

/** The row's last line: buttons, and what the last of them brought. */
export function KeyActions({ status }: { status: KeyStatus }) {
  const said = words.value.upstreams;
  const busy = useSignal<KeyAction | null>(null);
  const result = useSignal<Result | null>(null);

  async function act(action: KeyAction): Promise<void> {
    busy.value = action;
    result.value = null;
    try {
      result.value = (await actOnKey(status.id, action)) ?? { done: action };
    } catch (error) {
      const why = error instanceof Refusal ? saidByProxy(error.detail, language.peek()) || String(error.status) : said.actionFailed;
      result.value = { refused: why };
    } finally {
      busy.value = null;
    }
  }

  return (
    <>
      <div class="key-actions" role="group" aria-label={said.actionsOf(status.label)}>
        {actionsFor(status).map((action) => (
          <button
            key={action}
            type="button"
            class="button quiet"
            title={said.actionHelp[action]}
            disabled={busy.value !== null}
            onClick={() => void act(action)}
          >
            <Icon name={LOOKS[action]} />
            {busy.value === action ? said.busy : said.actions[action]}
          </button>
        ))}
      </div>
      <div class="key-result" role="status">
        {result.value !== null && <Outcome result={result.value} />}
      </div>
    </>
  );
}
