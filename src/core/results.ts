/** What became of receipts, as the wire shows it. Pure. */
import type { Settled } from "../protocol/rpc.ts";

/** An extended lease shows its new receipt in the place of the old one's answer. */
function resultOf(settled: Settled): Readonly<Record<string, unknown>> {
  const { receipt } = settled;
  if (!settled.ok) return { receipt, ok: false, code: settled.code };
  return settled.extended === undefined ? { receipt, ok: true } : { ok: true, ...settled.extended };
}

export const resultsOf = (results: readonly Settled[]) => ({ results: results.map(resultOf) });
