/**
 * The door of Amazon SQS: programs that use an SQS SDK reach HalfMQ by changing its endpoint. It reads, asks who it is, has the
 * action done and writes the answer; it knows no action itself. Protocol rules from AWS's model of SQS (2012-11-05).
 */
import type { Signed } from "../../auth/signed.ts";
import { utf8Text } from "../../core/bytes.ts";
import { readBytes } from "../../platform/read-bytes.ts";
import type { Outcome } from "../../protocol/errors.ts";
import type { Door, DoorEdge, Outlive } from "../door.ts";
import { type AnswerBody, bodyFor, type GiveBack } from "../leaving.ts";
import { unforeseen } from "../refusing.ts";
import { act } from "./actions.ts";
import type { Context } from "./context.ts";
import type { Dialect, Encoded } from "./dialect.ts";
import { done, fault, faultOf, type Result } from "./faults.ts";
import { actionOf, readJson, writeJson, writeJsonFault } from "./json.ts";
import { LeftTasks } from "./left-tasks.ts";
import { holdsForeignSign } from "./message-attributes.ts";
import { goOn } from "./moving.ts";
import { isQuery, readQuery } from "./query.ts";
import { writeXml, writeXmlFault } from "./xml.ts";

/** Who signed a request, as soon as its body is there. */
type ReadSignature = (request: Request) => Promise<Outcome<Signed>>;

const JSON_DIALECT: Dialect = {
  says: () => true,
  read: (request, text) => readJson(request.headers, text),
  write: writeJson,
  writeFault: writeJsonFault,
};

const QUERY_DIALECT: Dialect = {
  says: (text) => !holdsForeignSign(text),
  read: readQuery,
  write: writeXml,
  writeFault: writeXmlFault,
};

export function sqsDoor(edge: DoorEdge, readSignature: ReadSignature): Door {
  const left = new LeftTasks();
  return {
    takes: (request) => dialectOf(request) !== undefined,
    async answer(request, outlive) {
      const requestId = edge.newRequestId();
      const dialect = dialectOf(request) ?? JSON_DIALECT;
      const askedAt = edge.clock.nowMs();
      const asked = { request, outlive, requestId, dialect, readSignature, left };
      const told = await answerTo(edge, asked).catch((error: unknown) =>
        faultOf(unforeseen(edge, "sqs", requestId, error)),
      );
      const nowMs = edge.clock.nowMs();
      if (!told.ok) return response(dialect.writeFault(told, requestId), requestId, nowMs);
      const { encoded, giveBack } = told.value;
      const body = bodyFor({ edge, outlive }, askedAt, encoded.text, giveBack);
      return response(encoded, requestId, nowMs, body);
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
  readonly requestId: string;
  readonly dialect: Dialect;
  readonly readSignature: ReadSignature;
  readonly left: LeftTasks;
}

/** The signature's first half is judged before the body is read: a stranger's body costs nothing. */
async function answerTo(
  edge: DoorEdge,
  { request, outlive, requestId, dialect, readSignature, left }: Asked,
): Promise<Result<{ readonly encoded: Encoded; readonly giveBack: GiveBack | undefined }>> {
  const signed = await readSignature(request);
  if (!signed.ok) return faultOf(signed);
  const body = await readBytes(request, edge.clock);
  if (!body.ok) return faultOf(body);
  const caller = signed.value.verify(body.value);
  if (!caller.ok) return faultOf(caller);
  const text = utf8Text(body.value);
  if (text === undefined) return fault("SerializationException", "The request body is not UTF-8.");
  const said = dialect.read(request, text);
  if (!said.ok) return said;
  const context: Context = {
    edge,
    caller: caller.value,
    origin: new URL(request.url).origin,
    region: signed.value.region,
    nowMs: edge.clock.nowMs(),
    says: dialect.says,
    outlive,
    signal: request.signal,
    left,
  };
  goOn(context);
  const answer = await act(context, said.value.action, said.value.input);
  if (!answer.ok) return answer;
  const encoded = dialect.write(answer.value, said.value, requestId);
  return done({ encoded, giveBack: answer.value.giveBack });
}

/** SDKs set their clock by the date. */
const response = (
  { status, text, headers }: Encoded,
  requestId: string,
  nowMs: number,
  body: AnswerBody = text,
): Response =>
  new Response(body, {
    status,
    headers: {
      ...headers,
      date: new Date(nowMs).toUTCString(),
      "x-amzn-requestid": requestId,
    },
  });
