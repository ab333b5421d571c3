/** The tables of docs/cost.md, as `npm run cost` prints them. */
import { table } from "../kit/table.ts";
import { billOf, elsewhere, type Bill } from "./bill.ts";
import { PRICES } from "./prices.ts";
import { IDLE_SHAPES, SHAPES, type Shape, type Use } from "./shapes.ts";

const MILLION = 1_000_000;

interface Measured {
  readonly shape: Shape;
  readonly use: Use;
  readonly bill: Bill;
  readonly count: number;
}

/** What all shapes use, and what that costs: messages by the million, months one by one. */
export interface AllMeasured {
  readonly messages: readonly Measured[];
  readonly months: readonly Measured[];
}

export const measureAll = async (): Promise<AllMeasured> => ({
  messages: await measured(SHAPES, MILLION),
  months: await measured(IDLE_SHAPES, 1),
});

const measured = (shapes: readonly Shape[], count: number): Promise<Measured[]> =>
  Promise.all(
    shapes.map(async (shape) => {
      const use = await shape.measure();
      return { shape, use, bill: billOf(use, count), count };
    }),
  );

/** Every table, under a heading of its own. */
export const costTables = ({ messages, months }: AllMeasured): string =>
  [
    "### A million messages",
    totals(messages),
    "### A consumer that waits for a month",
    totals(months),
    "### Where the dollars go",
    parts([...messages, ...months]),
    "### What a message uses",
    uses(messages),
    "### What a waiting consumer uses in a month",
    uses(months),
    "### Prices",
    prices(),
  ].join("\n\n");

const dollars = (amount: number | undefined): string =>
  amount === undefined ? "has none" : `$${amount.toFixed(amount < 0.01 ? 3 : 2)}`;

const times = (theirs: number | undefined, ours: number): string =>
  theirs === undefined ? "" : `${Number((theirs / ours).toPrecision(2))} × HalfMQ`;

function totals(lines: readonly Measured[]): string {
  const head = ["shape", "HalfMQ", "Cloudflare Queues", "is", "SQS", "is"];
  const rows = lines.map(({ shape, bill, count }) => {
    const { queues, sqs } = elsewhere(shape, count);
    return [
      `${shape.name}: ${shape.does}`,
      dollars(bill.total),
      dollars(queues),
      times(queues, bill.total),
      dollars(sqs),
      times(sqs, bill.total),
    ];
  });
  return table(head, rows);
}

function parts(lines: readonly Measured[]): string {
  const head = ["shape", "requests", "CPU", "object requests", "object time"];
  const more = ["rows written", "rows read", "storage", "together"];
  const rows = lines.map(({ shape, bill }) => [
    shape.name,
    ...[bill.requests, bill.cpu, bill.objectRequests, bill.duration].map(dollars),
    ...[bill.rowsWritten, bill.rowsRead, bill.storage, bill.total].map(dollars),
  ]);
  return table([...head, ...more], rows);
}

function uses(lines: readonly Measured[]): string {
  const head = ["shape", "requests", "object requests", "ms of an object"];
  const rows = lines.map(({ shape, use }) => [
    shape.name,
    ...[use.requests, use.objectRequests, use.activeMs].map(count),
    ...[use.rowsWritten, use.rowsRead, use.bytesWritten].map(count),
  ]);
  return table([...head, "rows written", "rows read", "bytes written"], rows);
}

/** To two digits: what is behind them changes with every change of the code. */
function count(value: number): string {
  return value === 0 ? "0" : String(Number(value.toPrecision(value >= 1 && value < 10 ? 3 : 2)));
}

function prices(): string {
  const rows = Object.values(PRICES).map(({ what, dollars, per, source, read }) => [
    what,
    per === 1 ? `$${dollars}` : `$${dollars} a million`,
    `[${source.split("/")[0] ?? ""}](https://${source}/)`,
    read,
  ]);
  return table(["one", "price", "source", "read"], rows);
}
