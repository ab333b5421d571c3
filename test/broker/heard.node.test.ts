/** What an isolate knows of a topic's queues: a queue is left out only when whatever comes to it will ring. */
import { expect, test } from "vitest";
import { Heard } from "../../src/broker/heard.ts";
import type { Rung } from "../../src/protocol/rpc.ts";

const rung = (
  since: number,
  number: number,
  ...rings: [queue: number, number: number][]
): Rung => ({
  rings: rings.map(([queue, each]) => ({ queue, number: each })),
  since,
  mark: { life: 1, number },
});

function heard(...holding: number[]): Heard {
  const made = new Heard();
  made.begin(rung(10, 10), holding);
  return made;
}

test("nothing is known before all queues were asked", () => {
  const made = new Heard();
  made.left(3, true, made.asks(3));
  expect(made.hear(rung(10, 12, [3, 12], [5, 11]))).toEqual([3, 5]);
  expect([made.mark, made.maybe]).toEqual([undefined, []]);
});

test("what holds something is kept until it was found empty", () => {
  const made = heard(4, 7);
  expect(made.maybe).toEqual([4, 7]);
  made.left(4, false, made.asks(4));
  made.left(7, true, made.asks(7));
  made.left(8, true, made.asks(8));
  expect(made.maybe).toEqual([7, 8]);
});

test("a ring between a question and its answer stands", () => {
  const made = heard();
  const asked = made.asks(3);
  expect(made.hear(rung(10, 11, [3, 11]))).toEqual([3]);
  made.left(3, false, asked);
  expect(made.maybe).toEqual([3]);
  made.left(3, false, made.asks(3));
  expect(made.maybe).toEqual([]);
});

test("rings that another poll has heard and seen to are not asked for again, but for the last", () => {
  const made = heard();
  made.hear(rung(10, 12, [3, 12], [5, 11]));
  made.left(3, false, made.asks(3));
  made.left(5, false, made.asks(5));
  expect(made.hear(rung(10, 13, [6, 13], [3, 12], [5, 11]))).toEqual([6]);
  expect(made.maybe).toEqual([6]);
  expect(made.mark).toEqual({ life: 1, number: 13 });
});

test("an answer that began after what is known proves nothing of the time between", () => {
  const made = heard();
  expect(made.hear(rung(15, 16, [3, 16]))).toEqual([3]);
  expect(made.mark).toEqual({ life: 1, number: 10 });
});

test("an answer of another life changes nothing, and a late one does not turn back", () => {
  const made = heard();
  expect(made.hear({ ...rung(0, 50, [3, 50]), mark: { life: 2, number: 50 } })).toEqual([3]);
  made.hear(rung(10, 14, [4, 14]));
  made.hear(rung(10, 12, [5, 12]));
  expect(made.mark).toEqual({ life: 1, number: 14 });
  expect(made.maybe).toEqual([4]);
});

test("a bell that forgot is no beginning", () => {
  const made = new Heard();
  made.begin({ ...rung(0, 3), isLost: true }, []);
  expect(made.mark).toBeUndefined();
});
