/** Asks once more for the access key, which the page does not keep beyond a reload. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { isAccessKey } from "../../api/client";
import { words } from "../../i18n";
import { accessKey } from "../../state/access_key";

export function KeyForm({ onDone }: { onDone: () => void }) {
  const said = words.value.setup;
  const input = useRef<HTMLInputElement>(null);
  const problem = useSignal<"wrong" | "failed" | null>(null);
  useEffect(() => input.current?.focus(), []);

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    const key = input.current?.value.trim() ?? "";
    if (key === "") return;
    try {
      problem.value = (await isAccessKey(key)) ? null : "wrong";
    } catch {
      problem.value = "failed";
    }
    if (problem.value !== null) return;
    accessKey.value = key;
    onDone();
  }

  return (
    <form class="key-form" onSubmit={(event) => void submit(event)}>
      <label for="key-again">{said.keyAgain}</label>
      <div class="field">
        <input id="key-again" ref={input} type="password" autocomplete="current-password" required />
        <button type="submit" class="button primary">
          {said.keyUse}
        </button>
        <button type="button" class="button quiet" onClick={onDone}>
          {said.keyCancel}
        </button>
      </div>
      <p class="problem" role="alert">
        {problem.value !== null && (problem.value === "wrong" ? words.value.signIn.wrong : words.value.signIn.unreachable)}
      </p>
    </form>
  );
}
