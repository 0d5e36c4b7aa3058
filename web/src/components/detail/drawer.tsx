/** The open request beside the list: a dialog with an address of its own. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Refusal, fetchRequest } from "../../api/client";
import type { RequestRecord } from "../../api/types";
import { clock } from "../../format/time";
import { words } from "../../i18n";
import { addressWith } from "../../state/address";
import { closeRequest, list, openId, openRequest } from "../../state/requests";
import { CopyButton } from "../copy_button";
import { Icon } from "../icon";
import { OutcomeBadge } from "../outcome_badge";
import { RequestDetail } from "./request_detail";

type Found = RequestRecord | "loading" | "gone" | "failed";

/** The record from the list, else from the proxy. */
function useRecord(id: string): Found {
  const fetched = useSignal<{ id: string; found: Found } | null>(null);
  const known = [...list.value.shown, ...list.value.waiting].find((record) => record.id === id);
  const isKnown = known !== undefined;
  useEffect(() => {
    if (isKnown || fetched.peek()?.id === id) return;
    fetched.value = { id, found: "loading" };
    const answer = (found: Found) => {
      if (fetched.peek()?.id === id) fetched.value = { id, found };
    };
    fetchRequest(id).then(answer, (error: unknown) => {
      answer(error instanceof Refusal && error.status === 404 ? "gone" : "failed");
    });
  }, [id, isKnown]);
  if (known !== undefined) return known;
  return fetched.value?.id === id ? fetched.value.found : "loading";
}

/** To the newer or the older one in the list. */
function Step({ by, id }: { by: -1 | 1; id: string }) {
  const said = words.value.drawer;
  const { shown } = list.value;
  const at = shown.findIndex((record) => record.id === id);
  const next = at === -1 ? undefined : shown[at + by];
  const name = by === -1 ? said.newer : said.older;
  return (
    <button
      type="button"
      class="button quiet square"
      aria-label={name}
      title={name}
      disabled={next === undefined}
      onClick={() => next !== undefined && openRequest(next.id)}
    >
      <Icon name={by === -1 ? "up" : "down"} />
    </button>
  );
}

function Head({ id, found }: { id: string; found: Found }) {
  const said = words.value.drawer;
  const record = typeof found === "string" ? null : found;
  return (
    <header class="drawer-head">
      <h2 id="drawer-title">
        {record === null ? said.title : (record.model ?? record.path)}
        {record !== null && <small class="figures">{clock(record.at_ms, new Date())}</small>}
      </h2>
      {record !== null && <OutcomeBadge record={record} />}
      <div class="drawer-tools">
        <Step by={-1} id={id} />
        <Step by={1} id={id} />
        <CopyButton text={addressWith({ request: id }).href} what={said.link} label={said.link} icon="link" />
        <button type="button" class="button quiet square" aria-label={said.close} title={said.close} onClick={closeRequest}>
          <Icon name="cross" />
        </button>
      </div>
    </header>
  );
}

function Opened({ id }: { id: string }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const found = useRecord(id);
  useEffect(() => {
    const opened = dialog.current;
    const before = document.activeElement;
    opened?.showModal();
    return () => {
      opened?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  return (
    <dialog
      class="drawer"
      ref={dialog}
      aria-labelledby="drawer-title"
      onCancel={(event) => {
        event.preventDefault();
        closeRequest();
      }}
      onClick={(event) => {
        // Only what lies around the dialog is the dialog itself.
        if (event.target === dialog.current) closeRequest();
      }}
    >
      <div class="drawer-body">
        <Head id={id} found={found} />
        {typeof found === "string" ? (
          <p class="empty" role="status">
            {words.value.drawer[found]}
          </p>
        ) : (
          <RequestDetail record={found} />
        )}
      </div>
    </dialog>
  );
}

export function Drawer() {
  const id = openId.value;
  return id === null ? null : <Opened id={id} />;
}
