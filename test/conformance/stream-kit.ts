/** A socket of a stream, and everything that came over it: what the cases of streams talk with. */
import { onTestFinished } from "vitest";
import type { Group, Mq } from "./client.ts";
import { type Connected, type Connection, type Json, type Message, there, until } from "./kit.ts";

interface Received {
  readonly messages?: readonly Message[];
  readonly results?: readonly {
    receipt: string;
    ok: boolean;
    code?: string;
    invisibleUntil?: number;
  }[];
  readonly error?: Json;
}

/** One socket of a stream, and everything that came over it. */
class Stream {
  readonly socket: Connection;
  readonly frames: Received[] = [];
  pongs = 0;

  constructor(socket: Connection) {
    this.socket = socket;
    socket.onFrame((text) => {
      if (text === "pong") this.pongs += 1;
      else this.frames.push(JSON.parse(text) as Received);
    });
  }

  get messages(): Message[] {
    return this.frames.flatMap(({ messages = [] }) => messages);
  }

  get bodies(): unknown[] {
    return this.messages.map(({ body }) => body);
  }

  say(frame: Json | string): void {
    this.socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  /** Waits until so many messages came. */
  async count(count: number): Promise<Message[]> {
    await until(`${count} messages`, () => this.messages.length >= count);
    return this.messages;
  }

  /** The results of the last such frame. */
  async settle(frame: Json): Promise<Results> {
    const before = this.frames.length;
    this.say(frame);
    const found = await until("results", () =>
      this.frames.slice(before).find(({ results, error }) => results ?? error),
    );
    return there(found.results);
  }

  async error(frame: Json | string): Promise<Json> {
    const before = this.frames.length;
    this.say(frame);
    const found = await until("an error", () =>
      this.frames.slice(before).find(({ error }) => error !== undefined),
    );
    return there(found.error);
  }

  ack(...messages: readonly Message[]) {
    return this.settle({ ack: messages.map(({ receipt }) => receipt) });
  }
}

type Results = NonNullable<Received["results"]>;

const bearer = (mq: Mq): Record<string, string> => ({
  authorization: `Bearer ${mq.key}`,
  ...mq.headers,
});

export const connect = (mq: Mq, path: string, headers = bearer(mq)): Promise<Connected> =>
  there(mq.target.connect)(path, headers);

export async function streamOf(group: Group, query = "", headers?: Record<string, string>) {
  const answer = await connect(group.topic.mq, `${group.path}/stream${query}`, headers);
  if (answer.is !== "open") throw new Error(`refused: ${JSON.stringify(answer)}`);
  onTestFinished(() => answer.socket.close(1000));
  return new Stream(answer.socket);
}
