/** The latest requests: live while nobody looks closely, still while somebody does. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { words } from "../i18n";
import {
  chooseFilter,
  filter,
  hasOlder,
  isFocused,
  isHovered,
  isListKnown,
  list,
  loadOlder,
  showWaiting,
} from "../state/page";
import { FILTERS, PAGE, matches } from "../state/request_list";
import { COLUMNS, RequestRow } from "./request_row";

function Chips() {
  const said = words.value.requests;
  return (
    <div class="chips" role="group" aria-label={said.filterLabel}>
      {FILTERS.map((name) => (
        <button
          key={name}
          type="button"
          class="chip"
          aria-pressed={filter.value === name}
          onClick={() => chooseFilter(name)}
        >
          {said.filters[name]}
        </button>
      ))}
    </div>
  );
}

/** Its place is always kept, so that nothing moves when it comes. */
function Pill({ onShown }: { onShown: () => void }) {
  const waiting = list.value.waiting.filter((record) => matches(record, filter.value)).length;
  if (waiting === 0) return null;
  return (
    <button
      type="button"
      class="pill"
      title={words.value.requests.held}
      onClick={() => {
        showWaiting();
        onShown();
      }}
    >
      {words.value.requests.fresh(waiting >= PAGE ? `${PAGE}+` : String(waiting))}
    </button>
  );
}

function Older() {
  const said = words.value.requests;
  const state = useSignal<"idle" | "busy" | "failed">("idle");
  if (!hasOlder.value) return null;
  return (
    <div class="older">
      <button
        type="button"
        class="button"
        disabled={state.value === "busy"}
        onClick={async () => {
          state.value = "busy";
          try {
            await loadOlder();
            state.value = "idle";
          } catch {
            state.value = "failed";
          }
        }}
      >
        {said.older}
      </button>
      <span role="status">{state.value === "failed" && said.olderFailed}</span>
    </div>
  );
}

/** A click focuses too; only keyboard focus holds the list, the pointer holds it by hovering. */
const isKeyboardFocus = (target: EventTarget | null) =>
  target instanceof Element && target.matches(":focus-visible");

function Table() {
  const said = words.value.requests;
  const columns = Object.entries(said.columns);
  const today = new Date();
  const shown = list.value.shown.filter((record) => matches(record, filter.value));
  return (
    <table class="requests" role="table" aria-labelledby="requests-title">
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(([kind, name]) => (
            <th key={kind} role="columnheader" scope="col" class={`head-${kind}`}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {shown.length === 0 ? (
          <tr role="row">
            <td role="cell" colSpan={COLUMNS} class="empty">
              {!isListKnown.value
                ? said.loading
                : list.value.shown.length === 0
                  ? said.empty
                  : said.emptyFilter(list.value.shown.length)}
            </td>
          </tr>
        ) : (
          shown.map((record) => <RequestRow key={record.id} record={record} today={today} />)
        )}
      </tbody>
    </table>
  );
}

/** The whole panel holds the list, not the rows alone: on the way to the pill it must not jump. */
export function Requests() {
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(
    () => () => {
      // A panel that goes away, as on signing out, is told of no leaving.
      isHovered.value = false;
      isFocused.value = false;
    },
    [],
  );
  return (
    <section
      class="card"
      id="requests"
      aria-labelledby="requests-title"
      tabIndex={-1}
      onPointerEnter={(event) => {
        // A finger has left again before anything could be held.
        if (event.pointerType === "mouse") isHovered.value = true;
      }}
      onPointerLeave={() => {
        isHovered.value = false;
      }}
      onFocusIn={(event) => {
        isFocused.value = isKeyboardFocus(event.target);
      }}
      onFocusOut={() => {
        isFocused.value = false;
      }}
    >
      <div class="card-head requests-head">
        <h2 id="requests-title" ref={title} tabIndex={-1}>
          {words.value.requests.title}
        </h2>
        <Chips />
        <div class="pill-place">
          <Pill onShown={() => title.current?.focus({ preventScroll: true })} />
        </div>
      </div>
      <Table />
      <Older />
    </section>
  );
}
