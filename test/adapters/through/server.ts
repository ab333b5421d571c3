/** The server that a door stands in front of, and who else may come to it. */
import { HalfMQ } from "../../../src/client/index.ts";
import { type Answerer, type Listening, there, unique } from "../../conformance/kit.ts";
import type { Making, Who } from "./through.ts";

/** A running HalfMQ: its address, its root key, and a place where it finds endpoints of the suite. Everybody calls `fetch`. */
export interface Server {
  readonly url: string;
  readonly key: string;
  listen(answer: Answerer): Promise<Listening>;
}

export const nativeOf = ({ url, key }: Pick<Server, "key" | "url">): HalfMQ =>
  new HalfMQ({ url, key });

/** A key, and the pair of SDKs that sign. */
export interface Credentials {
  readonly key: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export const ownerOf = ({ key }: Server): Credentials => ({
  key,
  accessKeyId: "root",
  secretAccessKey: key,
});

export async function credentialsOf(server: Server, who: Who, topic: string): Promise<Credentials> {
  if (who === "nobody") return ownerOf({ ...server, key: `${server.key}x` });
  const scope = who === "who may only send" ? "send" : "consume";
  const made = await nativeOf(server).keys.put(unique("key"), { scopes: [scope], topics: [topic] });
  const key = there(made.key);
  const answer = await fetch(`${server.url}/v1/signing-pair`, {
    headers: { authorization: `Bearer ${key}` },
  });
  return { key, ...((await answer.json()) as Omit<Credentials, "key">) };
}

/** A group as it is set natively. */
export const settingsOf = ({ ordered = false, maxAttempts, invisibleSeconds }: Making) => ({
  ordered,
  ...(maxAttempts === undefined ? {} : { maxAttempts }),
  ...(invisibleSeconds === undefined ? {} : { invisibleMs: invisibleSeconds * 1_000 }),
});

/** Bodies of a group's dead letters, as the native API lists them. */
export async function nativeDeadLetters(
  server: Server,
  topic: string,
  group: string,
): Promise<string[]> {
  const letters = await nativeOf(server).groups.deadLetters<string>(topic, group).all();
  return letters.map(({ body, bodyBase64 = "" }) => body ?? atob(bodyBase64));
}
