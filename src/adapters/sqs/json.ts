/** The protocol AWS JSON 1.0: the action stands in a header, its input and output are JSON. */
import type { Answer } from "./actions.ts";
import {
  FAULTS,
  fault,
  type Fault,
  isSendersFault,
  queryCodeOf,
  type Result,
  shapeOf,
  done,
} from "./faults.ts";
import type { Encoded, Said } from "./dialect.ts";

const TARGET = /^AmazonSQS\.([A-Za-z]{1,64})$/;

export const actionOf = (headers: Headers): string | undefined =>
  TARGET.exec(headers.get("x-amz-target") ?? "")?.[1];

export function readJson(headers: Headers, text: string): Result<Said> {
  const action = actionOf(headers) ?? "";
  try {
    const input: unknown = text === "" ? {} : JSON.parse(text);
    return done({ action, input });
  } catch {
    return fault("SerializationException", "The request body is not JSON.");
  }
}

export const writeJson = ({ output }: Answer): Encoded => ({
  status: 200,
  text: JSON.stringify(output),
  headers: { "content-type": "application/x-amz-json-1.0" },
});

export const writeJsonFault = (why: Fault): Encoded => ({
  status: FAULTS[why.name].status,
  text: JSON.stringify({ __type: shapeOf(why.name), message: why.detail }),
  headers: {
    "content-type": "application/x-amz-json-1.0",
    // SDKs that once spoke the query protocol go by this code.
    "x-amzn-query-error": `${queryCodeOf(why.name)};${isSendersFault(why) ? "Sender" : "Receiver"}`,
  },
});
