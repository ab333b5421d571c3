/** What all batches have in common: how many entries, what their ids are, which of them are good, and how one that failed is told of. */
import { done, fault, type Fault, isSendersFault, queryCodeOf, type Result } from "./faults.ts";
import type { z } from "zod";
import type { BatchInput } from "./inputs.ts";
import { judge } from "./judging.ts";

const ENTRIES_MAX = 10;
const ID = /^[A-Za-z0-9_-]{1,80}$/;

export interface FailedEntry {
  readonly Id: string;
  readonly SenderFault: boolean;
  readonly Code: string;
  readonly Message: string;
}

export const failed = (Id: string, why: Fault): FailedEntry => ({
  Id,
  SenderFault: isSendersFault(why),
  Code: queryCodeOf(why.name),
  Message: why.detail,
});

/** An entry by its id, and what it says or what is wrong with it. */
interface Judged<T> {
  readonly Id: string;
  readonly said: Result<T>;
}

/** Each entry judged for itself; a fault when the batch is refused as a whole, as SQS does where a parameter is missing. */
export function entriesOf<S extends z.ZodType>(
  schema: S,
  { Entries }: BatchInput,
): Result<readonly Judged<z.output<S>>[]> {
  const wrong = batchFault(Entries);
  if (wrong !== undefined) return wrong;
  const all = Entries.map((entry) => ({ Id: entry.Id, said: judge(schema, entry) }));
  for (const { said } of all) if (!said.ok && said.name === "MissingParameter") return said;
  return done(all);
}

function batchFault(entries: readonly { readonly Id: string }[]): Fault | undefined {
  if (entries.length === 0) {
    return fault("EmptyBatchRequest", "There should be at least one entry in the request.");
  }
  if (entries.length > ENTRIES_MAX) {
    const detail = `Maximum number of entries per request are ${ENTRIES_MAX}. You have sent ${entries.length}.`;
    return fault("TooManyEntriesInBatchRequest", detail);
  }
  const ids = entries.map(({ Id }) => Id);
  if (!ids.every((id) => ID.test(id))) {
    const detail = "A batch entry id is 1 to 80 letters, digits, hyphens and underscores.";
    return fault("InvalidBatchEntryId", detail);
  }
  if (new Set(ids).size === ids.length) return undefined;
  return fault("BatchEntryIdsNotDistinct", "Two or more batch entries have the same Id.");
}
