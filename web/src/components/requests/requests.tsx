/** The latest requests: live while nobody looks closely, still while somebody does. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { exportAddress } from "../../api/client";
import { clock } from "../../format/time";
import { words } from "../../i18n";
import { asParameters, filters, isFiltered } from "../../state/filters";
import { isPlainKey } from "../../state/keyboard";
import { PAGE } from "../../state/request_list";
import {
  isFocused,
  isHovered,
  isListKnown,
  isPaused,
  list,
  loadOlder,
  older,
  searchedTo,
  showWaiting,
  togglePause,
} from "../../state/requests";
import { Icon } from "../icon";
import { FilterBar } from "./filter_bar";
import { COLUMNS, RequestRow } from "./request_row";

/** Its place is always kept, so that nothing moves when it comes. */
function Pill({ onShown }: { onShown: () => void }) {
  const waiting = list.value.waiting.length;
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

const PAUSE_KEY = "p";

function Pause() {
  const said = words.value.requests;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (isPlainKey(event, PAUSE_KEY)) togglePause();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  return (
    <button
      type="button"
      class="button quiet"
      aria-pressed={isPaused.value}
      aria-keyshortcuts={PAUSE_KEY}
      title={said.pauseHelp}
      onClick={togglePause}
    >
      <Icon name={isPaused.value ? "play" : "pause"} />
      {isPaused.value ? said.goOn : said.pause}
    </button>
  );
}

function Export() {
  const said = words.value.requests;
  const wanted = asParameters(filters.value);
  return (
    <div class="export" role="group" aria-label={said.exportLabel}>
      {(["csv", "jsonl"] as const).map((kind) => (
        <a key={kind} class="button quiet" href={exportAddress(kind, wanted)} download="" title={said.exportHelp}>
          <Icon name="download" />
          {said.exports[kind]}
        </a>
      ))}
    </div>
  );
}

function Older() {
  const said = words.value.requests;
  const state = useSignal<"idle" | "busy" | "failed">("idle");
  if (older.value === null) return null;
  const reached = searchedTo.value;
  return (
    <div class="older">
      {reached !== null && <span class="dim">{said.searchedTo(clock(reached, new Date()))}</span>}
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
        {reached === null ? said.older : said.searchOn}
      </button>
      <span role="status">{state.value === "failed" && said.olderFailed}</span>
    </div>
  );
}

/** A click focuses too; only keyboard focus holds the list, the pointer holds it by hovering. */
const isKeyboardFocus = (target: EventTarget | null) =>
  target instanceof Element && target.matches(":focus-visible");

function emptyWords(): string {
  const said = words.value.requests;
  if (!isListKnown.value) return said.loading;
  return isFiltered.value ? said.emptyFilter : said.empty;
}

function Table() {
  const said = words.value.requests;
  const columns = Object.entries(said.columns);
  const today = new Date();
  const { shown } = list.value;
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
              {emptyWords()}
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
        <div class="pill-place">
          <Pill onShown={() => title.current?.focus({ preventScroll: true })} />
        </div>
        <div class="requests-tools">
          <Pause />
          <Export />
        </div>
      </div>
      <FilterBar />
      <Table />
      <Older />
    </section>
  );
}
