/**
 * The door of Amazon SQS: programs that use an SQS SDK reach HalfMQ by changing its endpoint. It reads, asks who it is, has the
 * action done and writes the answer; it knows no action itself. Protocol rules from AWS's model of SQS (2012-11-05).
 */
import type { Signed } from "../../auth/signed.ts";
import { systemClock } from "../../platform/clock.ts";
import { readBytes } from "../../platform/read-bytes.ts";
import { inTwoWrites } from "../../platform/two-writes.ts";
import type { Outcome } from "../../protocol/errors.ts";
import type { Door, DoorEdge, Outlive } from "../door.ts";
import { act, type Answer } from "./actions.ts";
import type { Context } from "./context.ts";
import type { Dialect, Encoded, Said } from "./dialect.ts";
import { done, fault, faultOf, type Result } from "./faults.ts";
import { actionOf, readJson, writeJson, writeJsonFault } from "./json.ts";
import { isQuery, readQuery } from "./query.ts";
import { writeXml, writeXmlFault } from "./xml.ts";

/** Who signed a request, as soon as its body is there. */
type ReadSignature = (request: Request) => Promise<Outcome<Signed>>;

const JSON_DIALECT: Dialect = {
  read: (request, text) => readJson(request.headers, text),
  write: writeJson,
  writeFault: writeJsonFault,
};

const QUERY_DIALECT: Dialect = { read: readQuery, write: writeXml, writeFault: writeXmlFault };

/** Whoever waited for so long may have gone away meanwhile; what it does not take is given back. */
const WAITED_MS = 50;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function sqsDoor(edge: DoorEdge, readSignature: ReadSignature): Door {
  return {
    takes: (request) => dialectOf(request) !== undefined,
    async answer(request, outlive) {
      const requestId = edge.newRequestId();
      const dialect = dialectOf(request) ?? JSON_DIALECT;
      const send = (encoded: Encoded, onGone?: () => void) =>
        response(encoded, requestId, edge.nowMs(), onGone);
      try {
        const startedAt = edge.nowMs();
        const told = await answerTo(edge, { request, outlive, dialect, readSignature });
        if (!told.ok) return send(dialect.writeFault(told, requestId));
        const { answer, said } = told.value;
        const encoded = dialect.write(answer, said, requestId);
        const { giveBack } = answer;
        const hasWaited = edge.nowMs() - startedAt >= WAITED_MS;
        return giveBack !== undefined && hasWaited
          ? send(encoded, () => outlive(giveBack()))
          : send(encoded);
      } catch (error) {
        edge.log.error("internal_error", {
          requestId,
          door: "sqs",
          reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
        });
        const detail = `A bug; the log has it under ${requestId}.`;
        return send(dialect.writeFault(fault("InternalFailure", detail), requestId));
      }
    },
  };
}

function dialectOf(request: Request): Dialect | undefined {
  if (request.method === "POST" && actionOf(request.headers) !== undefined) return JSON_DIALECT;
  return isQuery(request) ? QUERY_DIALECT : undefined;
}

interface Asked {
  readonly request: Request;
  readonly outlive: Outlive;
  readonly dialect: Dialect;
  readonly readSignature: ReadSignature;
}

/** The signature's first half is judged before the body is read: a stranger's body costs nothing. */
async function answerTo(
  edge: DoorEdge,
  { request, outlive, dialect, readSignature }: Asked,
): Promise<Result<{ readonly answer: Answer; readonly said: Said }>> {
  const signed = await readSignature(request);
  if (!signed.ok) return faultOf(signed);
  const body = await readBytes(request, systemClock);
  if (!body.ok) return faultOf(body);
  const caller = signed.value.verify(body.value);
  if (!caller.ok) return faultOf(caller);
  const text = textOf(body.value);
  if (!text.ok) return text;
  const said = dialect.read(request, text.value);
  if (!said.ok) return said;
  const context: Context = {
    edge,
    caller: caller.value,
    origin: new URL(request.url).origin,
    region: signed.value.region,
    nowMs: edge.nowMs(),
    outlive,
    signal: request.signal,
  };
  const answer = await act(context, said.value.action, said.value.input);
  return answer.ok ? done({ answer: answer.value, said: said.value }) : answer;
}

function textOf(bytes: Uint8Array): Result<string> {
  try {
    return done(decoder.decode(bytes));
  } catch {
    return fault("SerializationException", "The request body is not UTF-8.");
  }
}

/** SDKs set their clock by the date. */
function response(
  { status, text, headers }: Encoded,
  requestId: string,
  nowMs: number,
  onGone?: () => void,
): Response {
  return new Response(onGone === undefined ? text : inTwoWrites(text, onGone), {
    status,
    headers: {
      ...headers,
      date: new Date(nowMs).toUTCString(),
      "x-amzn-requestid": requestId,
    },
  });
}
