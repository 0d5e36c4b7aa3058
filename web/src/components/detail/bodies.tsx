/** What was sent and answered, where the owner has it kept just now. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { fetchCaptured } from "../../api/client";
import type { Captured } from "../../api/types";
import { words } from "../../i18n";
import { snapshot } from "../../state/page";
import { isOwner } from "../../state/session";

function Body({ name, text }: { name: string; text: string }) {
  return (
    <>
      <h4>{name}</h4>
      <pre class="body" tabIndex={0} aria-label={name}>
        {text}
      </pre>
    </>
  );
}

export function Bodies({ id }: { id: string }) {
  const said = words.value.capture;
  const kept = useSignal<Captured | null>(null);
  const isKept = isOwner.value && Boolean(snapshot.value?.status.capture_until_ms);
  useEffect(() => {
    kept.value = null;
    if (!isKept) return;
    fetchCaptured().then(
      (bodies) => {
        kept.value = bodies.find((one) => one.id === id) ?? null;
      },
      () => undefined, // ended meanwhile: there is nothing to show
    );
  }, [id, isKept]);
  if (kept.value === null) return null;
  return (
    <div class="bodies">
      <h3>{said.bodies}</h3>
      {kept.value.is_cut && <p class="note">{said.cut}</p>}
      <Body name={said.request} text={kept.value.request} />
      <Body name={said.answer} text={kept.value.answer} />
    </div>
  );
}
