/** What all batches have in common: how many entries, what their ids are, and how one that failed is told of. */
import { fault, type Fault, isSendersFault, queryCodeOf } from "./faults.ts";

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

/** Why the batch as a whole is refused; nothing when each entry is judged for itself. */
export function batchFault(entries: readonly { readonly Id: string }[]): Fault | undefined {
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
