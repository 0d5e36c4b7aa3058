/** Upstreams and their keys: state, until when, why, and how the last attempts went. */

import type { KeyState, KeyStatus, UpstreamStatus } from "../../api/types";
import { count, exact, share } from "../../format/number";
import { took } from "../../format/time";
import { words } from "../../i18n";
import { isUsable } from "../../state/health";
import type { Snapshot } from "../../state/page";
import { language, rememberFold, rememberedFold } from "../../state/preferences";
import { isOwner } from "../../state/session";
import { Icon, type IconName } from "../icon";
import { KeyActions } from "./key_actions";
import { KeyCause } from "./key_cause";
import { Strip, StripLegend } from "./strip";

const STATES: Record<KeyState, { tone: "ok" | "warn" | "bad" | "calm"; icon: IconName }> = {
  ready: { tone: "ok", icon: "check" },
  half_open: { tone: "warn", icon: "rescue" },
  cooling: { tone: "warn", icon: "clock" },
  open: { tone: "bad", icon: "stop" },
  refused: { tone: "bad", icon: "cross" },
  no_credit: { tone: "bad", icon: "cross" },
  paused: { tone: "calm", icon: "pause" },
};

/** Every further number of a key: name, words, and all its digits. */
function countsOf(status: KeyStatus): [name: string, value: string, title: string][] {
  const said = words.value.upstreams;
  const short = (value: number) => count(value, language.value);
  const answered = status.attempts - status.failures - status.in_flight;
  const ended = status.attempts - status.in_flight;
  return [
    [said.inFlight, short(status.in_flight), exact(status.in_flight)],
    [said.success, share(Math.max(0, answered), ended), said.attemptsOf(exact(status.attempts))],
    [said.limited, short(status.rate_limited), exact(status.rate_limited)],
    [said.firstToken, took(status.first_token_ms), said.firstTokenHelp],
  ];
}

function Key({ status, at }: { status: KeyStatus; at: number }) {
  const said = words.value.upstreams;
  const { tone, icon } = STATES[status.state] ?? STATES.half_open;
  return (
    <li class="key">
      <div class="key-name">
        <code>{status.label}</code>
      </div>
      <div class="key-state">
        <span class={`badge tone-${tone}`}>
          <Icon name={icon} />
          {said.states[status.state] ?? status.state}
        </span>
      </div>
      <Strip recent={status.recent} />
      <dl class="key-counts">
        {countsOf(status).map(([name, value, title]) => (
          <div key={name} title={title}>
            <dt>{name}</dt>
            <dd class="figures">{value}</dd>
          </div>
        ))}
      </dl>
      <KeyCause status={status} at={at} />
      {isOwner.value && <KeyActions status={status} />}
    </li>
  );
}

function Traits({ upstream }: { upstream: UpstreamStatus }) {
  const said = words.value.upstreams;
  const models =
    upstream.models.length === 0
      ? said.allModels
      : upstream.models.length <= 3
        ? upstream.models.join(", ")
        : said.models(upstream.models.length);
  return (
    <span class="traits">
      {upstream.formats.length === 0 ? (
        <span class="trait">{said.allFormats}</span>
      ) : (
        upstream.formats.map((format) => (
          <span key={format} class="trait">
            {format}
          </span>
        ))
      )}
      <span class="trait" title={upstream.models.join(", ") || undefined}>
        {models}
      </span>
    </span>
  );
}

/** More upstreams than this begin folded, but those in trouble. */
const OPEN_AT_MOST = 6;

function Upstream({ upstream, at, isAlone }: { upstream: UpstreamStatus; at: number; isAlone: boolean }) {
  const said = words.value.upstreams;
  const usable = upstream.keys.filter(isUsable).length;
  const all = upstream.keys.length;
  const name = `upstream.${upstream.name}`;
  const isOpen = rememberedFold(name) ?? (isAlone || usable < all);
  const tone = usable === all ? "ok" : usable === 0 ? "bad" : "warn";
  return (
    <li class="upstream">
      <details
        open={isOpen}
        onToggle={(event) => {
          if (event.currentTarget.open !== isOpen) rememberFold(name, event.currentTarget.open);
        }}
      >
        <summary class="upstream-head">
          <h3>{upstream.name}</h3>
          <span class={`badge tone-${tone}`}>
            <Icon name={tone === "ok" ? "check" : tone === "bad" ? "stop" : "clock"} />
            {said.usable(usable, all)}
          </span>
          {upstream.address && <code class="dim">{upstream.address}</code>}
          <Traits upstream={upstream} />
          <Icon name="down" />
        </summary>
        <ul class="keys">
          {upstream.keys.map((key) => (
            <Key key={key.id} status={key} at={at} />
          ))}
        </ul>
      </details>
    </li>
  );
}

export function Upstreams({ snapshot }: { snapshot: Snapshot }) {
  const said = words.value.upstreams;
  const upstreams = snapshot.status.upstreams ?? [];
  return (
    <section class="card" aria-labelledby="upstreams-title">
      <div class="card-head">
        <h2 id="upstreams-title">{said.title}</h2>
        {upstreams.length > 0 && (
          <div class="card-side">
            <span class="dim">{said.recent}</span>
            <StripLegend />
          </div>
        )}
      </div>
      {upstreams.length === 0 ? (
        <p class="empty">{said.empty}</p>
      ) : (
        <ul class="upstream-list">
          {upstreams.map((upstream) => (
            <Upstream
              key={upstream.name}
              upstream={upstream}
              at={snapshot.at}
              isAlone={upstreams.length <= OPEN_AT_MOST}
            />
          ))}
        </ul>
      )}
    </section>
  );
}
