/** Upstreams and their keys: state, until when, why, and how the last attempts went. */

import type { KeyState, KeyStatus, UpstreamStatus } from "../api/types";
import { count, exact } from "../format/number";
import { words } from "../i18n";
import { faultWords } from "../i18n/faults";
import type { Snapshot } from "../state/page";
import { language } from "../state/preferences";
import { Countdown } from "./countdown";
import { Icon, type IconName } from "./icon";
import { Strip, StripLegend } from "./strip";

const STATES: Record<KeyState, { tone: "ok" | "warn" | "bad"; icon: IconName }> = {
  ready: { tone: "ok", icon: "check" },
  half_open: { tone: "warn", icon: "rescue" },
  cooling: { tone: "warn", icon: "clock" },
  open: { tone: "bad", icon: "stop" },
  refused: { tone: "bad", icon: "cross" },
  no_credit: { tone: "bad", icon: "cross" },
};

/** Why the key rests and until when; nothing for a ready one. */
function Cause({ status, at }: { status: KeyStatus; at: number }) {
  const said = words.value.upstreams;
  const cause = status.cause === null ? null : faultWords(status.cause, language.value);
  // A key on probation has no time to wait for: the next request asks it.
  const isWaiting = status.back_in_s !== null && status.state !== "half_open";
  if (cause === null && !isWaiting) return null;
  return (
    <>
      <p class="cause">
        {isWaiting && status.back_in_s !== null && (
          <strong>
            <Countdown
              until={at + status.back_in_s * 1000}
              estimated={status.source === "guess"}
              before={said.backIn}
              over={said.backNow}
            />
          </strong>
        )}
        {cause !== null && <span>{cause.says}</span>}
        {isWaiting && status.source !== null && <span class="dim">{said.source[status.source]}</span>}
      </p>
      {cause?.advice !== undefined && <p class="cause">{cause.advice}</p>}
    </>
  );
}

function LimitedModels({ status, at }: { status: KeyStatus; at: number }) {
  const models = Object.entries(status.models);
  if (models.length === 0) return null;
  return (
    <p class="cause">
      <span class="dim">{words.value.upstreams.modelLimited}</span>
      {models.map(([model, seconds]) => (
        <span key={model} class="limited-model">
          <code>{model}</code> <Countdown until={at + seconds * 1000} />
        </span>
      ))}
    </p>
  );
}

function Key({ status, at }: { status: KeyStatus; at: number }) {
  const said = words.value.upstreams;
  const { tone, icon } = STATES[status.state] ?? STATES.half_open;
  const short = (value: number) => count(value, language.value);
  const counts: [string, number][] = [
    [said.inFlight, status.in_flight],
    [said.attempts, status.attempts],
    [said.limited, status.rate_limited],
    [said.failures, status.failures],
  ];
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
        {counts.map(([name, value]) => (
          <div key={name} title={exact(value)}>
            <dt>{name}</dt>
            <dd class="figures">{short(value)}</dd>
          </div>
        ))}
      </dl>
      <div class="key-cause">
        <Cause status={status} at={at} />
        <LimitedModels status={status} at={at} />
      </div>
    </li>
  );
}

function Upstream({ upstream, at }: { upstream: UpstreamStatus; at: number }) {
  const said = words.value.upstreams;
  const models =
    upstream.models.length === 0
      ? said.allModels
      : upstream.models.length <= 3
        ? upstream.models.join(", ")
        : said.models(upstream.models.length);
  return (
    <li class="upstream">
      <div class="upstream-head">
        <h3>{upstream.name}</h3>
        {upstream.address && <code class="dim">{upstream.address}</code>}
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
      </div>
      <ul class="keys">
        {upstream.keys.map((key) => (
          <Key key={key.id} status={key} at={at} />
        ))}
      </ul>
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
            <Upstream key={upstream.name} upstream={upstream} at={snapshot.at} />
          ))}
        </ul>
      )}
    </section>
  );
}
