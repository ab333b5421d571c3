/**
 * An endpoint that pushed events are held at until the suite answers their calls. It asks for nothing: what is not there yet is
 * waited for.
 */
import { type CloudEventV1, HTTP } from "cloudevents";
import { LIMITS } from "../../../src/client/index.ts";
import { type Call, type CallAnswer, there, unique, until } from "../../conformance/kit.ts";
import { nativeOf, type Server, settingsOf } from "./server.ts";
import type { AtEnd, Got, Making } from "./through.ts";

/** An endpoint cannot ask whether there is something: it sees that nothing comes for so long. */
const SILENCE_MS = 500;
const RECEIVED_MAX = 10;
/** Calls at a time: more than any test holds. */
const CONCURRENCY = 16;

/** Longer than any test. */
const OPEN_MS_MAX = 600_000;

export class Endpoint {
  readonly group = unique("endpoint");
  /** Oldest first. */
  readonly #came: Got[] = [];
  /** By handle: calls, and what they are answered. */
  readonly #calls = new Map<string, CallAnswer | "open">();

  /** An endpoint of its own group, which the server of the topic calls until the test's end. */
  static async of(server: Server, topic: string, making: Making, atEnd: AtEnd): Promise<Endpoint> {
    const endpoint = new Endpoint();
    const { group } = endpoint;
    const listening = await server.listen((call) => endpoint.#take(call));
    const { groups } = nativeOf(server);
    const { invisibleMs = 30_000, ...settings } = settingsOf(making);
    await groups.put(topic, group, {
      ...settings,
      backoff: { delaysMs: [0] },
      push: {
        url: listening.url,
        format: "cloudevents-structured",
        concurrency: CONCURRENCY,
        // What is not answered by then has failed.
        timeoutMs: Math.min(invisibleMs, LIMITS.pushTimeoutMsMax),
      },
    });
    atEnd(async () => {
      endpoint.answer([...endpoint.#calls.keys()], { status: 204 });
      await groups.delete(topic, group);
      await listening.close();
    });
    return endpoint;
  }

  /** It looks for its answer, as the suite for calls: neither may wake the other's request in the Workers runtime. */
  #take({ headers, body }: Call): Promise<CallAnswer> {
    const event = HTTP.toEvent<unknown>({ headers: Object.fromEntries(headers), body });
    const handle = `call-${this.#calls.size}`;
    this.#calls.set(handle, "open");
    this.#came.push(gotOf(event as CloudEventV1<unknown>, headers, handle));
    const answered = (): CallAnswer | false => {
      const answer = there(this.#calls.get(handle));
      return answer !== "open" && answer;
    };
    return until("the call is answered", answered, OPEN_MS_MAX);
  }

  async receive(waitSeconds: number): Promise<readonly Got[]> {
    const waitMs = Math.max(waitSeconds * 1_000, SILENCE_MS);
    await until("an event comes", () => this.#came.length > 0, waitMs).catch(() => undefined);
    return this.#came.splice(0, RECEIVED_MAX);
  }

  /** The handles of calls that are not open. */
  answer(handles: readonly string[], answer: CallAnswer): readonly string[] {
    const open = handles.filter((handle) => this.#calls.get(handle) === "open");
    for (const handle of open) this.#calls.set(handle, answer);
    return handles.filter((handle) => !open.includes(handle));
  }
}

/** Attributes that say what a message is; all others are extensions. */
const KNOWN = new Set([
  "data",
  "data_base64",
  "datacontenttype",
  "expirytime",
  "id",
  "partitionkey",
  "source",
  "specversion",
  "time",
  "type",
]);

function gotOf(event: CloudEventV1<unknown>, headers: Headers, handle: string): Got {
  const { id, type, data, data_base64: base64 } = event;
  const extensions = Object.entries(event).filter(([name]) => !KNOWN.has(name));
  return {
    id,
    body:
      base64 === undefined
        ? (data as string)
        : Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)),
    properties: Object.fromEntries(extensions) as Record<string, string>,
    tag: type,
    attempt: Number(headers.get("halfmq-attempt")),
    handle,
  };
}
