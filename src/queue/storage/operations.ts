/**
 * The numbers of the journal's operations. They are persisted: never reuse one, never change what one means.
 * 21, 22, 32 and 34 were used before the first release. Each stands in front of its fields in a delta; the class named beside it writes and reads it.
 */
export const OPERATION = {
  // delivery/state.ts: group, epoch, then …
  lease: 1,
  done: 2,
  retry: 3,
  extend: 4,
  expired: 6,
  scanned: 7,
  seek: 8,
  attempt: 9,
  drained: 10,
  seen: 71,
  truncated: 72,
  paced: 73,
  buried: 74,
  // halves.ts
  checkBegun: 11,
  checkEnded: 12,
  postponed: 13,
  decided: 14,
  resumed: 15,
  placed: 16,
  // delayed.ts
  retimed: 23,
  arrived: 24,
  settled: 25,
  // links.ts
  linkOpened: 31,
  linkTaken: 33,
  linkPut: 35,
  linkVoided: 36,
  linkTook: 37,
  // producers.ts
  produced: 41,
  producersForgotten: 42,
  // stand-ins.ts
  standInPut: 51,
  standInTaken: 52,
  standInReleased: 53,
  standInSettled: 54,
  // trace.ts
  traced: 61,
} as const;
