/**
 * What a request's line says: the topic and the parameters, as Alibaba Cloud's MQ HTTP protocol has them. SDKs paste topic,
 * group and instance into the line as they are, so these are taken literally; only a tag is in percent-encoding. It judges
 * no signature.
 */
import { nameFault } from "../../core/name.ts";
import { done, fault, type Fault, type Result } from "./faults.ts";

type Verb = "publish" | "consume" | "consumeOrdered" | "consumeHalf" | "ack" | "decide";

export interface Address {
  readonly verb: Verb;
  readonly topic: string;
  /** The instance; absent: the one that the key belongs to. */
  readonly instance?: string;
  /** The group; empty for a publish. */
  readonly consumer: string;
  /** `TagA||TagB`, decoded. */
  readonly tag?: string;
  readonly maxMessages: number;
  readonly waitMs: number;
  readonly decision: "commit" | "rollback";
}

const PATH = /^\/{1,2}topics\/([^/?]+)\/messages$/;
const PARAMETERS = new Set(["ns", "consumer", "tag", "numOfMessages", "waitseconds", "trans"]);
const MESSAGES_MAX = 16;
const WAIT_SECONDS_MAX = 30;

const VERBS: Readonly<Record<string, Verb>> = {
  "POST ": "publish",
  "GET ": "consume",
  "GET order": "consumeOrdered",
  "GET pop": "consumeHalf",
  "DELETE ": "ack",
  "DELETE commit": "decide",
  "DELETE rollback": "decide",
};

/** The path and query of a URL, as its text has them. */
export function targetOf(url: string): string {
  const from = url.indexOf("/", url.indexOf("://") + 3);
  return from < 0 ? "/" : url.slice(from);
}

export function addressOf(method: string, target: string): Result<Address> {
  const [path = "", ...rest] = target.split("?");
  const topic = PATH.exec(path)?.[1];
  if (topic === undefined) {
    return fault("InvalidRequestURL", "The path is /topics/{topic}/messages, at the host's root");
  }
  const query = queryOf(rest.join("?"));
  if (!query.ok) return query;
  const { ns, consumer = "", tag, trans = "" } = query.value;
  const verb = VERBS[`${method} ${trans}`];
  if (verb === undefined) {
    return fault("InvalidQueryString", `There is no ${method} with trans=${trans}`);
  }
  const wrong =
    misnamed("topic", topic) ?? (verb === "publish" ? undefined : misnamed("consumer", consumer));
  if (wrong !== undefined) return wrong;
  const counts = verb.startsWith("consume") ? countsOf(query.value) : done(NO_COUNTS);
  if (!counts.ok) return counts;
  return done({
    verb,
    topic,
    consumer,
    ...counts.value,
    ...(ns === undefined || ns === "" ? {} : { instance: ns }),
    ...(tag === undefined || tag === "" ? {} : { tag }),
    decision: trans === "rollback" ? "rollback" : "commit",
  });
}

type Query = Readonly<Record<string, string>>;
type Counts = Pick<Address, "maxMessages" | "waitMs">;

const NO_COUNTS: Counts = { maxMessages: 0, waitMs: 0 };

/** What is not known, or said twice, is refused: a typing error never passes for a default. */
function queryOf(text: string): Result<Query> {
  const query: Record<string, string> = {};
  for (const pair of text === "" ? [] : text.split("&")) {
    const at = pair.indexOf("=");
    const name = at < 0 ? pair : pair.slice(0, at);
    if (!PARAMETERS.has(name) || name in query) {
      const detail = `The parameter ${name.slice(0, 64)} is unknown, or given twice`;
      return fault("InvalidQueryString", detail);
    }
    query[name] = at < 0 ? "" : pair.slice(at + 1);
  }
  if (query["tag"] === undefined) return done(query);
  try {
    return done({ ...query, tag: decodeURIComponent(query["tag"]) });
  } catch {
    return fault("InvalidQueryString", "tag is not UTF-8 in percent-encoding");
  }
}

function misnamed(field: string, text: string): Fault | undefined {
  const wrong = nameFault(text);
  return wrong === undefined ? undefined : fault("InvalidArgument", `${field}: ${wrong.message}`);
}

function countsOf(query: Query): Result<Counts> {
  const maxMessages = wholeOf(query["numOfMessages"]);
  if (maxMessages === undefined || maxMessages < 1 || maxMessages > MESSAGES_MAX) {
    return fault("InvalidArgument", `numOfMessages is 1 to ${MESSAGES_MAX}`);
  }
  const seconds = wholeOf(query["waitseconds"] ?? "0");
  if (seconds === undefined || seconds > WAIT_SECONDS_MAX) {
    return fault("InvalidArgument", `waitseconds is 0 to ${WAIT_SECONDS_MAX}`);
  }
  return done({ maxMessages, waitMs: seconds * 1_000 });
}

const wholeOf = (text = ""): number | undefined =>
  /^\d{1,9}$/.test(text) ? Number(text) : undefined;
