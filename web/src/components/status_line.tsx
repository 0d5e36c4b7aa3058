/** One sentence that says whether it works, and the facts around it. */

import type { ComponentChildren } from "preact";
import type { Status, StoreStatus } from "../api/types";
import { bytes, exact } from "../format/number";
import { words } from "../i18n";
import { saidByProxy } from "../i18n/sentences";
import { now } from "../state/clock";
import { type Health, healthOf } from "../state/health";
import { type Snapshot, link } from "../state/page";
import { language } from "../state/preferences";
import { Countdown, Elapsed } from "./countdown";
import { Icon, type IconName } from "./icon";

const TONE_ICONS: Record<Health["tone"], IconName> = { ok: "check", warn: "clock", bad: "stop" };

function sentence(health: Health): string {
  const said = words.value.state;
  switch (health.kind) {
    case "working":
      return said.working;
    case "no_upstream":
      return said.noUpstream;
    case "cooling_bare":
      return said.coolingBare;
    case "down_bare":
      return said.downBare;
    case "draining":
      return said.draining(health.inFlight);
    case "cooling":
      return said.cooling(health.resting, health.keys);
    case "resting":
      return said.resting(health.resting, health.keys);
    case "down":
      return said.down(health.keys);
  }
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** `/data` of `/data/llm-proxy.sqlite3`; null where this caller may not know. */
function folderOf(path: string | null): string | null {
  return path === null ? null : path.replace(/[/\\][^/\\]*$/, "") || "/";
}

function storeWords(store: StoreStatus): string {
  const said = words.value.facts;
  const parts: string[] = [];
  if (store.state === "degraded") parts.push(said.degraded);
  else if (store.kind === "memory") parts.push(said.memory);
  else parts.push(said.saved(folderOf(store.path), store.free_bytes === null ? null : bytes(store.free_bytes)));
  // A few records always wait for the next batch; many are news.
  if (store.queued >= 1000) parts.push(said.queued(exact(store.queued)));
  if (store.dropped > 0) parts.push(said.dropped(exact(store.dropped)));
  return parts.join(" · ");
}

function StoreFact({ store }: { store: StoreStatus }) {
  const isFine = store.state === "ok" && store.kind !== "memory" && store.dropped === 0;
  const words_ = storeWords(store);
  return (
    <Fact name={words.value.facts.records}>
      <span class={isFine ? "" : "tone-warn"} title={store.path ?? undefined}>
        {!isFine && <Icon name="warn" />} {words_}
      </span>
      {store.problem !== null && <span class="sub">{saidByProxy(store.problem, language.value)}</span>}
    </Fact>
  );
}

/** Older than this, the age of what is shown stands beside it. */
const FRESH_MS = 12_000;

function LinkFact({ at }: { at: number }) {
  const said = words.value.link;
  const isStale = now.value - at > FRESH_MS;
  return (
    <span class={`link link-${link.value}`}>
      <span class="dot" aria-hidden="true" />
      {said[link.value]}
      {isStale && (
        <>
          {" · "}
          {said.age} <Elapsed seconds={0} at={at} />
        </>
      )}
    </span>
  );
}

function Facts({ status, at }: { status: Status; at: number }) {
  const said = words.value.facts;
  return (
    <dl class="facts">
      <Fact name={said.uptime}>
        <Elapsed seconds={status.uptime_s} at={at} />
      </Fact>
      {status.in_flight !== undefined && (
        <Fact name={said.inFlight}>
          <span class="figures">{exact(status.in_flight)}</span>
        </Fact>
      )}
      {status.store !== undefined && <StoreFact store={status.store} />}
      {(status.generation ?? 1) > 1 && (
        <Fact name={said.generation}>{said.generationNumber(status.generation ?? 1)}</Fact>
      )}
    </dl>
  );
}

function Notices({ status }: { status: Status }) {
  const said = words.value.notices;
  const groups = [
    { lines: status.warnings ?? [], title: said.warnings, open: true, tone: "tone-warn" },
    { lines: status.repairs ?? [], title: said.repairs, open: false, tone: "" },
  ].filter((group) => group.lines.length > 0);
  return (
    <>
      {groups.map((group) => (
        <details class="notices" open={group.open} key={group.tone}>
          <summary class={group.tone}>
            <Icon name={group.open ? "warn" : "check"} />
            {group.title(group.lines.length)}
            <Icon name="down" />
          </summary>
          <ul>
            {group.lines.map((line) => (
              <li key={line}>{saidByProxy(line, language.value)}</li>
            ))}
          </ul>
        </details>
      ))}
    </>
  );
}

export function StatusLine({ snapshot }: { snapshot: Snapshot }) {
  const { status, at } = snapshot;
  const health = healthOf(status);
  const isLost = link.value === "lost";
  const tone = isLost ? "bad" : health.tone;
  const said = isLost ? words.value.state.unreachable : sentence(health);
  const next = "next" in health ? health.next : null;
  return (
    <section class={`card status tone-${tone}`} aria-labelledby="status-title">
      <div class="headline">
        <span class="badge-icon">
          <Icon name={TONE_ICONS[tone]} />
        </span>
        <h1 id="status-title">
          {said}
          {!isLost && next !== null && next.back_in_s !== null && (
            <small>
              <Countdown
                until={at + next.back_in_s * 1000}
                estimated={next.source === "guess"}
                before={words.value.state.nextBack}
                over={words.value.state.nextBackNow}
              />
            </small>
          )}
        </h1>
        <LinkFact at={at} />
      </div>
      <Facts status={status} at={at} />
      <Notices status={status} />
      {/* Speaks only when the sentence changes, never for a tick. */}
      <p class="visually-hidden" role="status">
        {said}
      </p>
    </section>
  );
}
