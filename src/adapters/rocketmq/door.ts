/**
 * The door for Alibaba Cloud's MQ HTTP protocol: takes what its SDKs send, knows who signed it, and answers XML as their parsers
 * want it. It serves from the root of the host, where the SDKs sign the path, and beside `/v1`. It decides nothing itself.
 */
import type { Signer } from "../../auth/signing-keys.ts";
import { utf8Text } from "../../core/bytes.ts";
import { readBytes } from "../../platform/read-bytes.ts";
import type { Outcome } from "../../protocol/errors.ts";
import type { Door, DoorEdge, Outlive } from "../door.ts";
import { type AnswerBody, bodyFor } from "../leaving.ts";
import { unforeseen } from "../refusing.ts";
import { addressOf, targetOf } from "./address.ts";
import { ack, consume } from "./consuming.ts";
import { type Answer, type Context, inInstance } from "./context.ts";
import { fault, type Fault, faultOf, type Result, STATUS } from "./faults.ts";
import { consumeHalf, decide } from "./halves.ts";
import { LACKS, TOKEN_HEADER } from "./lacks.ts";
import { publish } from "./publishing.ts";
import { readHandles } from "./settled.ts";
import { claimOf, digestFault, signedTarget } from "./signature.ts";
import { CONTENT_TYPE, leafDocument } from "./xml.ts";

const PATH_PREFIX = /^\/{1,2}topics\//;

export type FindSigner = (accessKeyId: string) => Promise<Outcome<Signer>>;

export function rocketmqDoor(edge: DoorEdge, findSigner: FindSigner): Door {
  return {
    // Whatever is signed so gets XML: these SDKs take an answer that is none for a success.
    takes: ({ url, headers }) =>
      PATH_PREFIX.test(targetOf(url)) || headers.get("authorization")?.startsWith("MQ ") === true,
    async answer(request, outlive) {
      const requestId = edge.newRequestId();
      const askedAt = edge.clock.nowMs();
      const told = await answerTo(edge, { request, outlive, requestId, findSigner }).catch(
        (error: unknown) => faultOf(unforeseen(edge, "rocketmq", requestId, error)),
      );
      if (!told.ok) return faultResponse(told, requestId, new URL(request.url).host);
      const { status, text, giveBack } = told.value;
      if (status === 204) return response(status, null, requestId);
      return response(status, bodyFor({ edge, outlive }, askedAt, text, giveBack), requestId);
    },
  };
}

interface Asked {
  readonly request: Request;
  readonly outlive: Outlive;
  readonly requestId: string;
  readonly findSigner: FindSigner;
}

async function answerTo(edge: DoorEdge, asked: Asked): Promise<Result<Answer>> {
  const { request, outlive, requestId, findSigner } = asked;
  const { method, headers, signal } = request;
  const signed = { method, target: targetOf(request.url), headers };
  const claim = claimOf(signed, edge.clock.nowMs());
  if (!claim.ok) return claim;
  const signer = await findSigner(claim.value.accessKeyId);
  if (!signer.ok) return faultOf(signer);
  const { secret, principal } = signer.value;
  if (principal === undefined) return fault("InvalidAccessKeyId", "There is no such key");
  const target = await signedTarget(secret, claim.value, signed);
  if (target === undefined) {
    return fault("SignatureDoesNotMatch", "The signature is not one of this request by this key");
  }
  // What was signed is what the SDK meant, however it was quoted on the way.
  const address = addressOf(method, target);
  if (!address.ok) return address;
  if (headers.has(TOKEN_HEADER))
    return fault("InvalidArgument", `${TOKEN_HEADER}: ${LACKS[TOKEN_HEADER]}`);
  const caller = inInstance(principal, address.value.instance);
  if (!caller.ok) return caller;
  const body = await readBytes(request, edge.clock);
  if (!body.ok) return faultOf(body);
  const altered = digestFault(headers, body.value);
  if (altered !== undefined) return altered;
  const text = utf8Text(body.value);
  if (text === undefined) return fault("MalformedXML", "The body is not UTF-8");
  const context = {
    edge,
    caller: caller.value,
    address: address.value,
    requestId,
    outlive,
    signal,
  };
  return act(context, text);
}

async function act(context: Context, text: string): Promise<Result<Answer>> {
  const { verb } = context.address;
  switch (verb) {
    case "publish":
      return publish(context, text);
    case "consume":
    case "consumeOrdered":
      return consume(context, verb === "consumeOrdered");
    case "consumeHalf":
      return consumeHalf(context);
    case "ack":
    case "decide": {
      const handles = readHandles(text);
      if (!handles.ok) return handles;
      return verb === "ack" ? ack(context, handles.value) : decide(context, handles.value);
    }
  }
}

/** All four leaves are there always: SDKs read them without looking. */
function faultResponse({ code, detail }: Fault, requestId: string, host: string): Response {
  const text = leafDocument("Error", {
    Code: code,
    Message: detail,
    RequestId: requestId,
    HostId: `http://${host}`,
  });
  return response(STATUS[code], text, requestId);
}

const response = (status: number, body: AnswerBody | null, requestId: string): Response =>
  new Response(body, {
    status,
    headers: {
      "x-mq-request-id": requestId,
      ...(body === null ? {} : { "content-type": CONTENT_TYPE }),
    },
  });
