/**
 * How the last check of a transaction ended that did not decide it: why nobody answered, or that the answer was unknown. Kept
 * beside its progress, and with its decision, so that whoever finds a transaction discarded sees why. Pure.
 */
import type { ByteReader, ByteWriter } from "../../core/bytes.ts";
import type { LastCheck } from "../../protocol/rpc.ts";

/** `unknown` was said; every other outcome is a failure. */
export const hasFailed = (last: LastCheck | undefined): boolean =>
  last !== undefined && last.outcome !== "unknown";

export function writeLastCheck(writer: ByteWriter, last: LastCheck | undefined): void {
  if (last === undefined) writer.uint(0);
  else
    writer
      .uint(last.at)
      .text(last.outcome)
      .uint(last.status ?? 0);
}

export function readLastCheck(reader: ByteReader): LastCheck | undefined {
  const at = reader.uint();
  if (at === 0) return undefined;
  const outcome = reader.text();
  const status = reader.uint();
  return { at, outcome, ...(status === 0 ? {} : { status }) };
}
