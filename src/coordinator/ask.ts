/**
 * Asks one producer about one transaction and reads the answer. Only an explicit, well-formed answer for this very
 * transaction counts; everything else is `unknown`, with the reason for the log. It never decides and never throws.
 */
import type { CheckBegun, ProducerGroupRecord } from "../protocol/rpc.ts";
import type { CheckTarget } from "../protocol/topic.ts";
import { checkArgument, checkEnvelope, webhookId } from "./envelope.ts";
import type { Ports } from "./ports.ts";
import { within } from "../platform/clock.ts";

type Resolution = "commit" | "rollback" | "unknown";

export interface Answer {
  readonly resolution: Resolution;
  /** Why it is unknown though nobody said so; absent for an answer. */
  readonly failure?: string;
  /** The HTTP status, where one came. */
  readonly status?: number;
}

const unknown = (failure: string): Answer => ({ resolution: "unknown", failure });

type Asking = Pick<ProducerGroupRecord, "secrets"> & { readonly timeoutMs: number };

/** One question and its answer, within `timeoutMs` once its large bodies are there. */
export async function ask(
  ports: Ports,
  check: CheckBegun,
  target: CheckTarget,
  { secrets, timeoutMs }: Asking,
): Promise<Answer> {
  const filled = await ports.bodies.completeCheck(check);
  try {
    return await askAbout(ports, filled.check, target, { secrets, timeoutMs });
  } catch {
    return unknown("failed");
  } finally {
    filled.end();
  }
}

async function askAbout(
  ports: Ports,
  check: CheckBegun,
  target: CheckTarget,
  { secrets, timeoutMs }: Asking,
): Promise<Answer> {
  if ("binding" in target) return askWorker(ports, check, target.binding, timeoutMs);
  const nowMs = ports.clock.nowMs();
  const { status, bodyText, failure } = await ports.post({
    url: target.url,
    secrets,
    id: webhookId(check, nowMs),
    body: checkEnvelope(check, nowMs),
    timeoutMs,
  });
  if (failure !== undefined) return { ...unknown(failure), status };
  if (status !== 200) return { ...unknown("status"), status };
  return { ...readAnswer(bodyText ?? "", check.transactionId), status };
}

async function askWorker(
  ports: Ports,
  check: CheckBegun,
  binding: string,
  timeoutMs: number,
): Promise<Answer> {
  const worker = ports.worker(binding);
  if (worker === undefined) return unknown("no_such_binding");
  const call = async (): Promise<Answer> => {
    const said = await worker.checkTransaction(checkArgument(check));
    return readValue(typeof said === "string" ? { resolution: said } : said, check.transactionId);
  };
  return (await within(ports.clock, timeoutMs, call())) ?? unknown("timeout");
}

/** Reads the body of a 200. */
export function readAnswer(text: string, transactionId: string): Answer {
  try {
    return readValue(JSON.parse(text), transactionId);
  } catch {
    return unknown("not_json");
  }
}

/** An answer that names a transaction must name the one that was asked about. */
function readValue(said: unknown, transactionId: string): Answer {
  if (typeof said !== "object" || said === null || Array.isArray(said))
    return unknown("no_resolution");
  if ("transactionId" in said && said.transactionId !== transactionId) {
    return unknown("other_transaction");
  }
  if (!Object.hasOwn(said, "resolution")) return unknown("no_resolution");
  const { resolution } = said as { resolution: unknown };
  if (resolution === "commit" || resolution === "rollback" || resolution === "unknown") {
    return { resolution };
  }
  return unknown("no_resolution");
}
