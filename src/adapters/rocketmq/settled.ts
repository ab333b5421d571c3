/** The receipt handles of an ack, commit or rollback: read from the request, and those that failed told in the answer. */
import type { Answer } from "./context.ts";
import { done, fault, type Result } from "./faults.ts";
import { documentOf, element, readLeaves } from "./xml.ts";

export interface Failed {
  readonly handle: string;
  /** Malformed, or too late. */
  readonly code: "ReceiptHandleError" | "MessageNotExist";
  readonly detail: string;
}

export function readHandles(text: string): Result<readonly string[]> {
  const leaves = readLeaves(text, "ReceiptHandles");
  if (!leaves.ok) return leaves;
  if (leaves.value.length === 0)
    return fault("MissingReceiptHandle", "ReceiptHandles holds at least one ReceiptHandle");
  if (leaves.value.some(({ name }) => name !== "ReceiptHandle"))
    return fault("MalformedXML", "ReceiptHandles holds elements named ReceiptHandle");
  return done(leaves.value.map((leaf) => leaf.text));
}

/** Nothing to tell when all went well. */
export function settledAnswer(failed: readonly Failed[]): Answer {
  if (failed.length === 0) return { status: 204, text: "" };
  const errors = failed.map(({ handle, code, detail }) =>
    element("Error", { ErrorCode: code, ErrorMessage: detail, ReceiptHandle: handle }),
  );
  return { status: 404, text: documentOf("Errors", errors.join("")) };
}
