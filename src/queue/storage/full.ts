/** What a queue says while its storage is nearly full. When that is, store.ts measures. */
import { refuse, type Refusal } from "../../protocol/errors.ts";

/** Retention looks again within ten seconds. */
export const STORAGE_FULL: Refusal = {
  ...refuse("storage_full", "The queue's storage is nearly full; it still gives out and settles."),
  retryAfterMs: 10_000,
};
