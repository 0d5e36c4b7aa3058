/** A call made from this page, watched while it runs: the test call and the playground. */

import { type ReadonlySignal, signal } from "@preact/signals";
import { Refusal, callPlayground, callWithKey, fetchRequest } from "../api/client";
import type { RequestRecord } from "../api/types";
import { EventReader, type Format, errorOf, textOfAnswer, textOfEvent } from "../format/answer";
import { accessKey } from "./access_key";
import { isOwner } from "./session";

export interface Ask {
  format: Format;
  model: string;
  prompt: string;
  stream: boolean;
  /** A key's id that has to answer; null = whichever the proxy chooses. */
  target: string | null;
}

export type TrialPhase = "idle" | "running" | "answered" | "failed" | "stopped" | "unreachable";

export interface TrialState {
  phase: TrialPhase;
  /** Monotonic ms of the start. */
  startedAt: number;
  firstTextMs: number | null;
  totalMs: number | null;
  text: string;
  /** What was said against it, by the proxy or the provider. */
  error: string | null;
  status: number | null;
  /** What the proxy recorded of it, once it is over. */
  record: RequestRecord | null;
}

const IDLE: TrialState = {
  phase: "idle",
  startedAt: 0,
  firstTextMs: null,
  totalMs: null,
  text: "",
  error: null,
  status: null,
  record: null,
};

/** Enough for a hello, and a bound on what a playful model costs. */
const MAX_TOKENS = 1024;

export function bodyOf({ format, model, prompt, stream }: Ask): unknown {
  const messages = [{ role: "user", content: prompt }];
  switch (format) {
    case "chat":
      return { model, messages, stream };
    case "messages":
      return { model, messages, stream, max_tokens: MAX_TOKENS };
    case "responses":
      return { model, input: prompt, stream, store: false };
  }
}

const RECORD_TRIES = 8;
const RECORD_PAUSE_MS = 150;

/** The record appears a moment after the answer's end. */
async function recordOf(id: string | null): Promise<RequestRecord | null> {
  for (let tried = 0; id !== null && tried < RECORD_TRIES; tried += 1) {
    try {
      return await fetchRequest(id);
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 404) return null;
    }
    await new Promise((resolve) => setTimeout(resolve, RECORD_PAUSE_MS));
  }
  return null;
}

export class Trial {
  readonly #state = signal<TrialState>(IDLE);
  #stop: AbortController | null = null;

  get state(): ReadonlySignal<TrialState> {
    return this.#state;
  }

  stop(): void {
    this.#stop?.abort();
  }

  async run(ask: Ask): Promise<void> {
    this.stop();
    const stop = new AbortController();
    this.#stop = stop;
    this.#state.value = { ...IDLE, phase: "running", startedAt: performance.now() };
    let id: string | null = null;
    try {
      const answer = await this.#call(ask, stop.signal);
      id = answer.headers.get("x-llm-proxy-request-id");
      this.#set({ status: answer.status });
      await this.#read(answer, ask.format);
      this.#end(this.#state.peek().error === null && answer.ok ? "answered" : "failed");
    } catch {
      this.#end(stop.signal.aborted ? "stopped" : this.#state.peek().status === null ? "unreachable" : "failed");
    }
    const record = await recordOf(id);
    if (this.#stop === stop) this.#set({ record });
  }

  #call(ask: Ask, stop: AbortSignal): Promise<Response> {
    const key = accessKey.peek();
    if (isOwner.peek() || key === null) return callPlayground(ask.format, ask.target, bodyOf(ask), stop);
    return callWithKey(ask.format, key, bodyOf(ask), stop);
  }

  async #read(answer: Response, format: Format): Promise<void> {
    const isStream = answer.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
    if (!isStream) {
      const whole = await answer.text();
      let value: unknown = null;
      try {
        value = JSON.parse(whole);
      } catch {
        // not JSON: the status has to do
      }
      if (answer.ok) this.#add(textOfAnswer(format, value));
      else this.#set({ error: errorOf(value) ?? String(answer.status) });
      return;
    }
    const events = new EventReader();
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      for (const event of events.feed(part.value)) {
        const error = errorOf(event);
        if (error === null) this.#add(textOfEvent(format, event));
        else this.#set({ error });
      }
    }
  }

  #add(text: string): void {
    if (text === "") return;
    const { firstTextMs, startedAt, text: before } = this.#state.peek();
    this.#set({ text: before + text, firstTextMs: firstTextMs ?? performance.now() - startedAt });
  }

  #end(phase: TrialPhase): void {
    this.#set({ phase, totalMs: performance.now() - this.#state.peek().startedAt });
  }

  #set(changes: Partial<TrialState>): void {
    this.#state.value = { ...this.#state.peek(), ...changes };
  }
}
