/** Keeping what people write: begun by the owner, said on the page as long as it lasts, ended. */

import { useSignal } from "@preact/signals";
import { capture } from "../../api/client";
import { words } from "../../i18n";
import { now } from "../../state/clock";
import { type Snapshot, snapshot } from "../../state/page";
import { isOwner } from "../../state/session";
import { Countdown } from "../countdown";
import { Icon } from "../icon";

export function CaptureBanner({ snapshot: { status, at } }: { snapshot: Snapshot }) {
  const said = words.value.capture;
  const hasFailed = useSignal(false);
  const until = status.capture_until_ms;
  if (until === null || until === undefined) return null;
  const endsAt = at + (until - status.now_ms);
  if (endsAt <= now.value) return null;
  return (
    <section class="card banner tone-warn" aria-label={said.title}>
      <Icon name="eye" />
      <p>
        <strong>{said.title}</strong> <Countdown until={endsAt} before={said.ends} />
      </p>
      {isOwner.value && (
        <button
          type="button"
          class="button"
          onClick={() => {
            capture(0).then(
              () => (hasFailed.value = false),
              () => (hasFailed.value = true),
            );
          }}
        >
          {said.end}
        </button>
      )}
      <span role="status">{hasFailed.value && words.value.signIn.unreachable}</span>
    </section>
  );
}

/** Long enough to see what a client does, short enough to be forgotten. */
const MINUTES = 15;

/** The switch among the settings; gone while it is on, as the banner then ends it. */
export function StartCapture() {
  const said = words.value.capture;
  const hasFailed = useSignal(false);
  if (!isOwner.value || snapshot.value?.status.capture_until_ms !== null) return null;
  return (
    <div class="start-capture">
      <button
        type="button"
        class="button"
        onClick={() => {
          capture(MINUTES).then(
            () => (hasFailed.value = false),
            () => (hasFailed.value = true),
          );
        }}
      >
        <Icon name="eye" />
        {said.start(MINUTES)}
      </button>
      <span class="note">{said.startNote}</span>
      <span role="status">{hasFailed.value && words.value.signIn.unreachable}</span>
    </div>
  );
}
