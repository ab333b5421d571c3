/** What a chaos run was, in a page of Markdown: how much was asked, what struck, how fast it came back. Pure. */
import type { Chaos } from "./chaos.ts";

export function report(chaos: Chaos, command: string): string {
  const { ran, violations, strikes, habits, line, recoveriesMs, drainMs, runs, changes } = chaos;
  const ends = new Map<string, Record<"ok" | "refused" | "lost", number>>();
  const kinds = new Map<number, string>();
  for (const event of ran.events) {
    if (event.is === "invoke") kinds.set(event.op, event.request.is);
    if (event.is !== "ok" && event.is !== "refused" && event.is !== "lost") continue;
    const kind = kinds.get(event.op) ?? "?";
    const counts = ends.get(kind) ?? { ok: 0, refused: 0, lost: 0 };
    counts[event.is]++;
    ends.set(kind, counts);
  }
  const sum = (of: "ok" | "refused" | "lost"): number =>
    [...ends.values()].reduce((total, counts) => total + counts[of], 0);
  const stored = ran.rest.topics.reduce((total, { log }) => total + log.length, 0);
  const transactions = ran.rest.topics.flatMap((topic) => topic.transactions).length;
  const expired = ran.rest.topics
    .flatMap(({ groups }) => groups)
    .reduce((total, group) => total + group.expired, 0);
  const sorted = recoveriesMs.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    `${Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0)} ms`;
  return [
    `\`${command}\``,
    "",
    "| | |",
    "|---|---|",
    `| operations | ${ran.events.filter(({ is }) => is === "invoke").length}: ${sum("ok")} answered, ${sum("refused")} refused, ${sum("lost")} of unknown outcome |`,
    ...[...ends].map(
      ([kind, { ok, refused, lost }]) =>
        `| … ${kind} | ${ok} answered, ${refused} refused, ${lost} unknown |`,
    ),
    `| at the end | ${stored} messages, ${transactions} transactions, ${runs} runs of schedules and ${changes} changes of the catalogue, all read and compared; ${expired} messages let go by retention or at their end |`,
    `| strikes | ${listed(strikes)} |`,
    `| line | ${listed(line)} |`,
    `| endpoints | ${listed(habits)} |`,
    `| recoveries | ${sorted.length}; from kill to answer: median ${at(0.5)}, 99 % ${at(0.99)}, longest ${at(1)} |`,
    `| drained | ${Math.round(drainMs)} ms after the last strike |`,
    `| memory | ${Math.round(chaos.peakBytes / 1_048_576)} MiB at most in workerd's last life; ${Math.round(chaos.floodTakenMax / 1_048_576)} MiB taken of an endless answer |`,
    `| broken promises | ${violations.length === 0 ? "none" : violations.length} |`,
    ...violations
      .slice(0, 40)
      .map(
        ({ invariant, what, mark }) =>
          `- ${invariant}: ${what}${mark === undefined ? "" : ` (${mark})`}`,
      ),
  ].join("\n");
}

const listed = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
