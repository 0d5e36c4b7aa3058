/** The settings in force, to read: value, where it came from, and what is odd about them. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { SettingShown } from "../../api/types";
import { UNKNOWN } from "../../format/number";
import { words } from "../../i18n";
import { saidByProxy } from "../../i18n/sentences";
import { settings } from "../../state/panels";
import { language } from "../../state/preferences";
import { Icon } from "../icon";
import { StartCapture } from "./capture_banner";

function Row({ setting }: { setting: SettingShown }) {
  const said = words.value.settings;
  return (
    <tr class={setting.source === "default" ? "" : "is-set"}>
      <th scope="row">
        <code>{setting.name}</code>
      </th>
      <td>
        {setting.value === "" ? <span class="dim">{UNKNOWN}</span> : <code>{setting.value}</code>}
      </td>
      <td>
        {said.sources[setting.source] ?? setting.source}
        {setting.needs_restart && setting.source !== "default" && <span class="dim"> · {said.needsRestart}</span>}
      </td>
    </tr>
  );
}

function Lines({ title, lines, tone }: { title: string; lines: readonly string[]; tone: string }) {
  if (lines.length === 0) return null;
  return (
    <div class={`setting-lines tone-${tone}`}>
      <h3>{title}</h3>
      <ul>
        {lines.map((line) => (
          <li key={line}>{saidByProxy(line, language.value)}</li>
        ))}
      </ul>
    </div>
  );
}

/** Fetched when it is opened first; hidden from callers who may not read it. */
function Table() {
  const said = words.value.settings;
  useEffect(settings.watch, []);
  const onlySet = useSignal(true);
  const answer = settings.data.value;
  if (answer === null) return <p class="empty">{settings.isMissing.value ? said.missing : said.loading}</p>;
  const shown = answer.settings.filter((setting) => !onlySet.value || setting.source !== "default");
  return (
    <>
      <p class="note">
        {answer.file !== null && <>{said.file(answer.file)} · </>}
        {said.generation(answer.generation)}
      </p>
      <Lines title={said.warnings} lines={answer.warnings} tone="warn" />
      <Lines title={said.repairs} lines={answer.repairs} tone="calm" />
      <div class="chips">
        <button type="button" class="chip" aria-pressed={onlySet.value} onClick={() => (onlySet.value = true)}>
          {said.onlySet}
        </button>
        <button type="button" class="chip" aria-pressed={!onlySet.value} onClick={() => (onlySet.value = false)}>
          {said.all}
        </button>
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label={said.title}>
        <table class="settings">
          <thead>
            <tr>
              <th scope="col">{said.name}</th>
              <th scope="col">{said.value}</th>
              <th scope="col">{said.source}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((setting) => (
              <Row key={setting.name} setting={setting} />
            ))}
          </tbody>
        </table>
      </div>
      <StartCapture />
      {answer.upstreams.length > 0 && (
        <>
          <h3>{words.value.upstreams.title}</h3>
          <pre class="upstream-lines" tabIndex={0} aria-label={words.value.upstreams.title}>
            {answer.upstreams.join("\n")}
          </pre>
        </>
      )}
    </>
  );
}

export function Settings() {
  const said = words.value.settings;
  const isOpen = useSignal(false);
  if (settings.isMissing.value) return null;
  return (
    <details
      class="card folded"
      onToggle={(event) => {
        isOpen.value = event.currentTarget.open;
      }}
    >
      <summary>
        <Icon name="key" />
        <h2>{said.title}</h2>
        <Icon name="down" />
      </summary>
      {isOpen.value && <Table />}
    </details>
  );
}
