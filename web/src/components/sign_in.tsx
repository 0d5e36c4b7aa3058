/** Sign in with an access key, which is sent once and never stored. */

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { Refusal } from "../api/client";
import { words } from "../i18n";
import { signIn } from "../state/page";
import { session } from "../state/session";

/** Used where a refusal names no time. */
const WAIT_S = 60;

function refusalWords(error: unknown): string {
  const said = words.value.signIn;
  if (!(error instanceof Refusal)) return said.unreachable;
  if (error.status === 401) return said.wrong;
  if (error.status === 429) return said.throttled(error.retryAfterS ?? WAIT_S);
  return said.failed(error.status);
}

export function SignIn() {
  const said = words.value.signIn;
  const input = useRef<HTMLInputElement>(null);
  const isBusy = useSignal(false);
  /** Kept as the error, not its words, so that it follows the language. */
  const problem = useSignal<unknown>(null);

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    const field = input.current;
    if (field === null || isBusy.value || field.value.trim() === "") return;
    isBusy.value = true;
    problem.value = null;
    try {
      await signIn(field.value.trim());
    } catch (error) {
      problem.value = error;
      field.focus();
      field.select();
    } finally {
      isBusy.value = false;
    }
  }

  return (
    <section class="card sign-in" aria-labelledby="sign-in-title">
      <h2 id="sign-in-title">{said.title}</h2>
      <p>{session.value?.mode === "private" ? said.leadPrivate : said.lead}</p>
      <form onSubmit={(event) => void submit(event)}>
        <label for="access-key">{said.label}</label>
        <div class="field">
          <input
            id="access-key"
            ref={input}
            type="password"
            autocomplete="current-password"
            autocapitalize="off"
            spellcheck={false}
            required
            aria-describedby="access-key-hint"
            aria-invalid={problem.value !== null}
          />
          <button type="submit" class="button primary" disabled={isBusy.value}>
            {isBusy.value ? said.busy : said.submit}
          </button>
        </div>
        <p id="access-key-hint" class="note">
          {said.hint}
        </p>
        <p class="problem" role="alert">
          {problem.value !== null && refusalWords(problem.value)}
        </p>
      </form>
    </section>
  );
}
