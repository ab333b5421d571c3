/** What a bench asks and what it answers with: the shape that every file of bench/timed and bench/growth gives to run.ts. */
import type { Line } from "./compare.ts";

export interface Question {
  /** As `npm run bench -- NAME` takes it, and as its result file is called. */
  readonly name: string;
  readonly asks: string;
  readonly run: () => Promise<Report>;
}

export interface Report {
  readonly tables: readonly Table[];
  readonly budgets: readonly Checked[];
  /** Everything measured, for the JSON beside the table. */
  readonly figures: unknown;
}

interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A figure and its bound. */
export interface Checked {
  readonly what: string;
  readonly figure: number;
  readonly atLeast?: number;
  readonly atMost?: number;
}

export const isKept = ({ figure, atLeast = -Infinity, atMost = Infinity }: Checked): boolean =>
  figure >= atLeast && figure <= atMost;

/** A comparison as a table, with the bounds of its contenders. `unit` is what is counted by the second. */
export function reportOf(title: string, unit: string, lines: readonly Line[]): Report {
  const head = [title, `${unit}/s`, "p50 ms", "p99 ms", "CPU µs", "ratio", "budget"];
  const rows = lines.map((line) => [
    line.name,
    line.perSecond.toFixed(0),
    line.p50Ms.toFixed(2),
    line.p99Ms.toFixed(2),
    line.processorUs.toFixed(0),
    line.ratio.toFixed(2),
    line.atLeast === undefined ? "" : `≥ ${line.atLeast}`,
  ]);
  const budgets = lines.flatMap(({ name, ratio, atLeast }) =>
    atLeast === undefined ? [] : [{ what: `${title}, against ${name}`, figure: ratio, atLeast }],
  );
  return { tables: [{ title, head, rows }], budgets, figures: { [title]: lines } };
}

/** Several reports as one. */
export const together = (reports: readonly Report[]): Report => ({
  tables: reports.flatMap(({ tables }) => tables),
  budgets: reports.flatMap(({ budgets }) => budgets),
  figures: Object.assign({}, ...reports.map(({ figures }) => figures)) as unknown,
});
