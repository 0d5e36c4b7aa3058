/** The requests under way. It never shrinks, and grows only while nobody reads the list below. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { cancelFlight } from "../../api/client";
import type { Flight } from "../../api/types";
import { UNKNOWN, bytes, exact } from "../../format/number";
import { countdown } from "../../format/time";
import { words } from "../../i18n";
import { now } from "../../state/clock";
import { flights } from "../../state/panels";
import { isHeld } from "../../state/requests";
import { isOwner } from "../../state/session";
import { Icon } from "../icon";

function Age({ ms, at }: { ms: number; at: number }) {
  const seconds = (ms + Math.max(0, now.value - at)) / 1000;
  return <span class="figures">{countdown(Math.floor(seconds))}</span>;
}

function Cancel({ flight }: { flight: Flight }) {
  const said = words.value.flights;
  const state = useSignal<"idle" | "busy" | "failed">("idle");
  return (
    <button
      type="button"
      class="button quiet"
      aria-label={said.cancelWhat(flight.model ?? flight.path)}
      disabled={state.value === "busy"}
      onClick={async () => {
        state.value = "busy";
        try {
          await cancelFlight(flight.id);
        } catch {
          state.value = "failed"; // mostly: it is over already
        }
        void flights.refresh();
      }}
    >
      <Icon name="cross" />
      {state.value === "failed" ? said.cancelFailed : said.cancel}
    </button>
  );
}

function Row({ flight, at }: { flight: Flight; at: number }) {
  const said = words.value.flights;
  const attempt = flight.attempt === 0 ? null : said.attempt(flight.attempt, flight.max_attempts);
  return (
    <li class="flight">
      <span class="flight-age">
        <Age ms={flight.age_ms} at={at} />
      </span>
      <span class="flight-model">{flight.model ?? flight.path}</span>
      <span class="flight-target">
        {flight.upstream ?? UNKNOWN} <span class="dim">{flight.key}</span>
      </span>
      <span class="flight-phase">
        {said.phases[flight.phase] ?? flight.phase}
        {attempt !== null && <span class="dim"> · {attempt}</span>}
      </span>
      <span class="flight-bytes figures">
        {flight.has_first_byte ? bytes(flight.bytes_down) : <span class="dim">{said.noByte}</span>}
      </span>
      {isOwner.value && <Cancel flight={flight} />}
    </li>
  );
}

const MOST_ROWS = 4;

/** How many rows there is room for. */
function useRows(wanted: number): number {
  const rows = useSignal(1);
  const isStill = isHeld.value;
  useEffect(() => {
    if (!isStill && wanted > rows.peek()) rows.value = Math.min(wanted, MOST_ROWS);
  }, [wanted, isStill]);
  return rows.value;
}

export function InFlight() {
  const said = words.value.flights;
  useEffect(flights.watch, []);
  const answer = flights.data.value;
  const rows = useRows(answer?.in_flight.length ?? 0);
  if (flights.isMissing.value) return null;
  const shown = answer?.in_flight ?? [];
  return (
    <section class="card flights" aria-labelledby="flights-title">
      <h2 id="flights-title">
        {said.title} <small class="figures">{answer === null ? UNKNOWN : exact(answer.total)}</small>
      </h2>
      <ul class={`flight-list rows-${rows}`} tabIndex={0} aria-labelledby="flights-title">
        {answer !== null && shown.length === 0 && <li class="flight-none dim">{said.none}</li>}
        {shown.map((flight) => (
          <Row key={flight.id} flight={flight} at={flights.at.value} />
        ))}
      </ul>
    </section>
  );
}
