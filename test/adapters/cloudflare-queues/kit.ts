/** What the cases of the Cloudflare Queues door share: the unmodified client, pointed at the server under test. */
import Cloudflare, { APIError } from "cloudflare";
import { HalfMQ } from "../../../src/client/index.ts";
import { unique } from "../../conformance/kit.ts";

/** A running server: its address and its root key. `fetch` for where nothing listens. */
export interface Server {
  readonly url: string;
  readonly key: string;
  readonly fetch?: typeof fetch;
}

export interface World {
  readonly server: Server;
  readonly cf: Cloudflare;
  readonly native: HalfMQ;
}

export type Cases = Readonly<Record<string, (world: World) => Promise<void>>>;

export const account_id = "default";

const over = ({ fetch: own }: Server) => (own === undefined ? {} : { fetch: own });

/** The client as its users make it: a base URL and a token; one attempt, so that a test sees the first answer. */
export const client = (server: Server, apiToken = server.key): Cloudflare =>
  new Cloudflare({
    baseURL: `${server.url}/client/v4`,
    apiToken,
    maxRetries: 0,
    ...over(server),
  });

export const worldOf = (server: Server): World => ({
  server,
  cf: client(server),
  native: new HalfMQ({ url: server.url, key: server.key, ...over(server) }),
});

/** A queue of its own, by its id. */
export async function queue({ cf }: Pick<World, "cf">): Promise<string> {
  const made = await cf.queues.create({ account_id, queue_name: unique("queue") });
  return made.queue_id ?? "";
}

export interface Pulled {
  readonly id: string;
  readonly body: string;
  readonly attempts: number;
  readonly lease_id: string;
  readonly timestamp_ms: number;
  readonly metadata: Readonly<Record<string, string>>;
}

type More = Readonly<Record<string, unknown>>;

/** What is pulled, waiting up to twenty seconds for it unless told otherwise. */
export async function pull(
  { cf }: Pick<World, "cf">,
  id: string,
  more: More = {},
): Promise<readonly Pulled[]> {
  const body = { account_id, batch_size: 100, wait_ms: 20_000, ...more };
  const { messages = [] } = (await cf.queues.messages.pull(id, body)) ?? {};
  return messages as unknown as readonly Pulled[];
}

/** What a call that must fail was refused with. */
export async function refusal(call: Promise<unknown>): Promise<{
  readonly status: number | undefined;
  readonly codes: readonly (number | undefined)[];
}> {
  const error = await call.then(
    () => new Error("it was not refused"),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof APIError)) throw error;
  return { status: error.status as number, codes: error.errors.map(({ code }) => code) };
}

export const decoded = (base64: string): unknown =>
  JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(base64), (each) => each.charCodeAt(0))));
