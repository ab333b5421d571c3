/**
 * The rule of producer sequences: what a message's mark means beside the last one that was taken. An epoch starts at
 * sequence 1 and each next is one more; a newer epoch fences the older ones. Pure; who remembers what was taken is
 * queue/duplicates/producers.ts.
 */
import { refuse, type Refusal } from "../protocol/errors.ts";
import type { ProducerSeat } from "../protocol/producing.ts";

/** What a producer says of a message: which one of which of its lives this is. */
export interface ProducerMark {
  readonly id: string;
  readonly epoch: number;
  readonly sequence: number;
}

export type ProducerVerdict =
  | { readonly is: "next" }
  /** It was taken before. */
  | { readonly is: "repeat" }
  /** A newer epoch is at work. */
  | { readonly is: "fenced"; readonly epoch: number }
  | { readonly is: "gap"; readonly expected: number };

const NEXT: ProducerVerdict = { is: "next" };
const REPEAT: ProducerVerdict = { is: "repeat" };

/** `seat`: what was taken last; undefined when nothing is remembered. */
export function judgeProducer(
  seat: ProducerSeat | undefined,
  { epoch, sequence }: Pick<ProducerMark, "epoch" | "sequence">,
): ProducerVerdict {
  if (seat !== undefined && epoch < seat.epoch) return { is: "fenced", epoch: seat.epoch };
  const taken = seat?.epoch === epoch ? seat.sequence : 0;
  if (sequence <= taken) return REPEAT;
  return sequence === taken + 1 ? NEXT : { is: "gap", expected: taken + 1 };
}

/** The later of two seats. */
export function laterSeat(
  one: ProducerSeat | undefined,
  other: ProducerSeat | undefined,
): ProducerSeat | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  const isLater =
    other.epoch > one.epoch || (other.epoch === one.epoch && other.sequence > one.sequence);
  return isLater ? other : one;
}

/** Why a mark is refused; `index` is its message's place in the request. */
export function producerRefusal(
  verdict: Extract<ProducerVerdict, { is: "fenced" | "gap" }>,
  mark: ProducerMark & { readonly messageGroup: string | undefined; readonly index: number },
): Refusal {
  const { id, epoch, sequence, messageGroup, index } = mark;
  const facts = { producer: id, ...(messageGroup === undefined ? {} : { messageGroup }), index };
  if (verdict.is === "fenced") {
    const detail = `Producer ${id} is at epoch ${verdict.epoch} by now`;
    return refuse("producer_fenced", detail, { ...facts, epoch: verdict.epoch, actual: epoch });
  }
  const detail = `Producer ${id} has to go on with sequence ${verdict.expected}`;
  return refuse("sequence_gap", detail, { ...facts, expected: verdict.expected, actual: sequence });
}
