/**
 * Bugs to be planted: each one change of the source that somebody could make, and the promises that it breaks. `from`
 * stands in its file exactly once, or the mutation no longer means anything.
 */

import type { Faults } from "../world/host.ts";

export interface Mutation {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** Any of these shows it. */
  readonly breaks: readonly string[];
  /** One that showed it, so that it is seen at once. */
  readonly seed: number;
  /** What makes it show, where it else does so in one seed of many. */
  readonly faults?: Partial<Faults>;
  /** Where it takes longer than most. */
  readonly steps?: number;
}

export const MUTATIONS: readonly Mutation[] = [
  {
    name: "arms the alarm late",
    file: "src/queue/queue.ts",
    from: "this.#armedAt = Math.max(next, nowMs);",
    to: "this.#armedAt = Math.max(next, nowMs) + 60_000;",
    breaks: ["S2"],
    seed: 2,
  },
  {
    name: "drops page writes",
    file: "src/queue/storage/journal.ts",
    from: "for (const page of this.#saves) this.#write(page);",
    to: "",
    breaks: ["I1", "L3", "T2", "T6", "V1", "E1"],
    seed: 3,
  },
  {
    name: "accepts an old receipt",
    file: "src/queue/delivery/group.ts",
    from: "if (flight.generation === generation) return",
    to: "if (flight.generation >= generation) return",
    breaks: ["L2"],
    seed: 4,
  },
  {
    name: "says yes to a commit after the rollback",
    file: "src/core/half-message.ts",
    from: '(decision === "rollback" && state === "rolledBack");',
    to: 'decision === "rollback" || (decision === "commit" && state === "rolledBack");',
    breaks: ["T2"],
    seed: 1,
  },
  {
    name: "delivers what is rolled back",
    file: "src/queue/deciding.ts",
    from: 'how.to === "committed"\n      ?',
    to: 'how.to !== "discarded"\n      ?',
    breaks: ["T3"],
    seed: 1,
  },
  {
    name: "shows a message when a commit comes, and commits when it comes again",
    file: "src/queue/deciding.ts",
    from: "const outcome = apply(store, call, nowMs);",
    to: `const half = store.halves.open.get(call.position);
      if (half !== undefined && call.decision === "commit" && !("isShown" in half)) {
        Object.assign(half, { isShown: true });
        const { preparedAt, position } = half;
        for (const [index, message] of store.halves.read(position)?.messages.entries() ?? [])
          deliver(store, { position, index, preparedAt }, message, nowMs);
        return refuse("unavailable", "Once more.");
      }
      const outcome = apply(store, call, nowMs);`,
    breaks: ["T1"],
    seed: 1,
  },
  {
    name: "takes silence for a commit",
    file: "src/queue/checking.ts",
    from: '{ to: "discarded", by: undefined }',
    to: '{ to: "committed", by: undefined }',
    breaks: ["T5"],
    seed: 1,
  },
  {
    name: "answers what the disk refused",
    file: "src/queue/flush.ts",
    from: "this.#break(batch, error);\n      return;",
    to: "for (const [at, { answer }] of batch.entries()) if (answers[at] !== undefined) answer(answers[at]);\n      this.#break([], error);\n      return;",
    breaks: ["I1", "L3", "T2", "T4", "T6", "V1", "E1"],
    seed: 57,
  },
  {
    name: "forgets keys when it wakes",
    file: "src/queue/keys/key-index.ts",
    from: "for (const [text, record] of records) this.#keepYoung(text, record);",
    to: "void records;",
    breaks: ["I5", "D1"],
    seed: 11,
  },
  {
    name: "forgets leases when it wakes",
    file: "src/queue/delivery/state.ts",
    from: "if (page !== undefined) this.#applyLease(page, from, to, delivery);",
    to: "",
    breaks: ["L1", "O1"],
    seed: 43,
  },
  {
    name: "takes a forwarded message twice",
    file: "src/queue/sending.ts",
    from: "const news = entries.slice(before + 1 - call.first);",
    to: "const news = entries;",
    breaks: ["I5"],
    seed: 102,
    faults: { lostAnswers: 0.2 },
  },
  {
    name: "gives an ordered group's messages at once",
    file: "src/queue/delivery/chooser.ts",
    from: "if (!mayGo) {",
    to: "if (mayGo === undefined) {",
    breaks: ["O1"],
    seed: 5,
  },
  {
    name: "delivers delayed messages early",
    file: "src/queue/sending.ts",
    from: "store.delayed.index.popDue(nowMs, max)",
    to: "store.delayed.index.popDue(nowMs + 3_000, max)",
    breaks: ["S1"],
    seed: 3,
  },
  {
    name: "delivers once too often",
    file: "src/queue/delivery/poison.ts",
    from: "return flight.attempt >= this.#memory.route.settings.maxAttempts;",
    to: "return flight.attempt > this.#memory.route.settings.maxAttempts;",
    breaks: ["R1"],
    seed: 3,
  },
  {
    name: "takes an error for a push that was taken",
    file: "src/push/classify.ts",
    from: "if (status < 200 || status > 299)",
    to: "if (status < 200 || status > 599)",
    breaks: ["I1"],
    seed: 36,
  },
  {
    name: "gives back what is still being pushed",
    file: "src/push/pusher.ts",
    from: "const verdict = await deliver(this.#ports, batch);",
    to: "void settle(this.#ports, batch, {});\n    const verdict = await deliver(this.#ports, batch);",
    breaks: ["L1"],
    seed: 38,
  },
  {
    name: "gives a socket more than its credit",
    file: "src/gateway/session.ts",
    from: "return Math.max(0, this.credit - this.#held.size - this.#lost - this.reserved);",
    to: "return Math.max(0, this.credit - this.reserved);",
    breaks: ["S4"],
    seed: 7,
  },
  {
    name: "gives back what other sockets hold",
    file: "src/gateway/gateway.ts",
    from: 'desk.sessions.delete(session);\n    if (desk.sessions.size === 0) this.#desks.delete(session.consumerId ?? "");\n    const receipts = session.receipts;',
    to: 'const receipts = [...desk.sessions].flatMap((each) => each.receipts);\n    desk.sessions.delete(session);\n    if (desk.sessions.size === 0) this.#desks.delete(session.consumerId ?? "");',
    breaks: ["L1"],
    seed: 1,
  },
  {
    name: "gives two consumers of a broadcast group one number",
    file: "src/queue/store.ts",
    from: 'this.facts.set("consumers", String(number));',
    to: "",
    breaks: ["V1"],
    seed: 8,
  },
  {
    name: "passes over dead letters that it redrives at a rate",
    file: "src/queue/redriving.ts",
    from: "at = [group.number, taken.at(-1) ?? after];",
    to: "at = [group.number, (taken.at(-1) ?? after) + 1_000];",
    breaks: ["R3"],
    seed: 11,
  },
  {
    name: "does not count what retention takes",
    file: "src/queue/delivery/state.ts",
    from: "uint(lost);\n    this.expired += lost;",
    to: "uint(lost);",
    breaks: ["X4"],
    seed: 38,
  },
  {
    name: "lets go what is leased",
    file: "src/queue/retention.ts",
    from: "if (store.groups.holdsBetween(segment.first, end)) break;",
    to: "",
    breaks: ["X3"],
    seed: 24,
  },
  {
    name: "lets go what is half as old as it may be",
    file: "src/queue/retention.ts",
    from: "if (segment.storedAt + retentionMs > nowMs",
    to: "if (segment.storedAt + retentionMs / 2 > nowMs",
    breaks: ["X2"],
    seed: 53,
  },
  {
    name: "delivers what has expired",
    file: "src/queue/delivery/chooser.ts",
    from: "if (expiresAt !== undefined && expiresAt <= into.nowMs) {",
    to: "if (expiresAt !== undefined && expiresAt + 2_000 <= into.nowMs) {",
    breaks: ["X1"],
    seed: 50,
  },
  {
    name: "sends a run under no number",
    file: "src/scheduler/firing.ts",
    from: "producer: { id: producer, epoch: run, sequence: 1 },",
    to: "",
    breaks: ["C1"],
    seed: 72,
  },
  {
    name: "makes up for what a pause left out",
    file: "src/scheduler/scheduler.ts",
    from: "const nextAt = paused ? schedule.nextAt : this.#occurrencesOf(seat).next(this.#nowMs);",
    to: "const { nextAt } = schedule;",
    breaks: ["C4"],
    seed: 14,
  },
  {
    name: "asks once too often",
    file: "src/core/half-message.ts",
    from: "half.checks >= half.policy.maxChecks",
    to: "half.checks > half.policy.maxChecks",
    breaks: ["T6"],
    seed: 1,
  },
  {
    name: "gives shared calls each other's answers",
    file: "src/broker/shared-calls.ts",
    from: "answer(answers[index] ?? NEVER_CAME)",
    to: "answer(answers[batch.answer.length - 1 - index] ?? NEVER_CAME)",
    breaks: ["I1", "L1", "L2", "L3"],
    seed: 9,
  },
  {
    name: "mixes up the answers that it kept of calls whose leader is gone",
    file: "src/broker/shared-calls.ts",
    from: "tell(batch, answers ?? [])",
    to: "tell(batch, (answers ?? []).toReversed())",
    breaks: ["I1", "L1", "L2", "L3", "P1", "T2", "T4"],
    seed: 6,
    faults: { lostTrips: 0.9 },
  },
  {
    name: "lets what a filter passed over and retention took wait for ever once it has woken",
    file: "src/queue/delivery/state.ts",
    from: "if (this.#pages.openBelow(first) > 0) this.#applyTruncate(first);",
    to: "void first;",
    breaks: ["V1"],
    seed: 20067,
    steps: 2_000,
  },
];
