/** Says, as long as it lasts, that what people write is being kept, and ends it. */

import { useSignal } from "@preact/signals";
import { endCapture } from "../../api/client";
import type { Snapshot } from "../../state/page";
import { words } from "../../i18n";
import { now } from "../../state/clock";
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
            endCapture().then(
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
