/**
 * What `once` and the transaction table promise, asked of a real database, whichever it is. Each database's own file says how
 * it is opened and how its work writes.
 */
import { describe, expect, test } from "vitest";
import {
  createOnceTable,
  type Database,
  once,
  type Statement,
  TransactionTable,
} from "../../../src/client/databases.ts";
import { RollbackError } from "../../../src/client/transact.ts";

/** A database with the tables of `TABLES`, and how work writes in it. */
interface Bench<Tx> {
  readonly db: Database<Tx>;
  /** Puts a statement into the work's transaction. */
  readonly write: (tx: Tx, statement: Statement) => unknown;
}

/** What not every database can. */
export interface Abilities {
  /** Whether work may wait, so that others come meanwhile. */
  readonly waits: boolean;
  /** Whether a guard of one's own goes together with other statements. */
  readonly mixes: boolean;
}

type Within<Tx> = (run: (bench: Bench<Tx>) => Promise<void>) => Promise<void>;

/** `payment` takes anything, `receipt` each message once, `account` has a version. */
export const TABLES: readonly string[] = [
  "CREATE TABLE payment (message VARCHAR(64), amount INTEGER)",
  "CREATE TABLE receipt (message VARCHAR(64) PRIMARY KEY, amount INTEGER)",
  "CREATE TABLE account (id VARCHAR(64) PRIMARY KEY, version INTEGER, balance INTEGER)",
];

let names = 0;
const newId = (): string => `m-${++names}`;
const handler = "billing";
const AT_ONCE = 16;

type Reader = { readonly db: Pick<Database<unknown>, "dialect" | "rows"> };

function statements({ db: { dialect } }: Reader) {
  const [one, two, three] = dialect === "postgres" ? ["$1", "$2", "$3"] : ["?", "?", "?"];
  const ignoring = dialect === "mysql" ? "INSERT IGNORE INTO" : "INSERT INTO";
  const conflict = dialect === "mysql" ? "" : " ON CONFLICT DO NOTHING";
  return {
    pay: (id: string): Statement => ({
      sql: `INSERT INTO payment VALUES (${one}, ${two})`,
      params: [id, 5],
    }),
    receipt: (id: string): Statement => ({
      sql: `${ignoring} receipt VALUES (${one}, ${two})${conflict}`,
      params: [id, 5],
    }),
    open: (id: string): Statement => ({
      sql: `INSERT INTO account VALUES (${one}, 0, 0)`,
      params: [id],
    }),
    raise: (id: string, version: number): Statement => ({
      sql: `UPDATE account SET version = ${one}, balance = balance + 1 WHERE id = ${two} AND version < ${three}`,
      params: [version, id, version],
    }),
    broken: { sql: "INSERT INTO nowhere VALUES (1)" },
  };
}

async function countIn(bench: Reader, table: string, id: string): Promise<number> {
  const mark = bench.db.dialect === "postgres" ? "$1" : "?";
  const sql = `SELECT COUNT(*) AS count FROM ${table} WHERE message = ${mark}`;
  const [row] = await bench.db.rows({ sql, params: [id] });
  return Number(row?.["count"]);
}

/** Defines every case for one database. */
export function databaseCases<Tx>(
  name: string,
  { waits, mixes }: Abilities,
  within: Within<Tx>,
): void {
  describe(name, () => {
    onceCases(within, waits);
    if (mixes) mixedGuardCase(within);
    else loneGuardCase(within);
    preconditionCase(within);
    transactionCases(within);
    if (waits) for (const commits of [true, false]) waitingCase(within, commits);
    raceCase(within);
  });
}

function onceCases<Tx>(within: Within<Tx>, waits: boolean): void {
  test("a message's work is done once, for each handler", () =>
    within(async (bench) => {
      const { pay } = statements(bench);
      const id = newId();
      await createOnceTable(bench.db);
      const deliver = (handler: string) =>
        once(bench.db, { id }, (tx) => bench.write(tx, pay(id)), { handler });
      expect([await deliver(handler), await deliver(handler)]).toEqual([true, false]);
      expect(await countIn(bench, "payment", id)).toBe(1);
      expect([await deliver("mailing"), await deliver("mailing")]).toEqual([true, false]);
      expect(await countIn(bench, "payment", id)).toBe(2);
    }));

  test("many deliveries at once do the work once", () =>
    within(async (bench) => {
      const { pay } = statements(bench);
      const id = newId();
      await createOnceTable(bench.db);
      const done = await Promise.all(
        Array.from({ length: AT_ONCE }, () =>
          once(bench.db, { id }, (tx) => bench.write(tx, pay(id)), { handler }),
        ),
      );
      expect(done.filter(Boolean)).toHaveLength(1);
      expect(await countIn(bench, "payment", id)).toBe(1);
    }));

  test("work that fails leaves nothing, and is done when it comes again", () =>
    within(async (bench) => {
      const { pay, broken } = statements(bench);
      const id = newId();
      await createOnceTable(bench.db);
      const deliver = (...work: readonly Statement[]) =>
        once(
          bench.db,
          { id },
          async (tx) => {
            for (const each of work) await bench.write(tx, each);
          },
          { handler },
        );
      const sync = (...work: readonly Statement[]) =>
        once(bench.db, { id }, (tx) => work.map((each) => bench.write(tx, each)), { handler });
      const tried = waits ? deliver : sync;
      await expect(tried(pay(id), broken)).rejects.toThrow();
      expect(await countIn(bench, "payment", id)).toBe(0);
      expect(await tried(pay(id))).toBe(true);
      expect(await countIn(bench, "payment", id)).toBe(1);
    }));

  test("a handler or an id that the table cannot tell from others is refused", () =>
    within(async (bench) => {
      await createOnceTable(bench.db);
      for (const bad of ["", "é", "a b", "x".repeat(256)]) {
        await expect(once(bench.db, { id: "m" }, () => 0, { handler: bad })).rejects.toThrow(
          "must be 1 to 255",
        );
        await expect(once(bench.db, { id: bad }, () => 0, { handler })).rejects.toThrow(
          "must be 1 to 255",
        );
      }
    }));
}

function mixedGuardCase<Tx>(within: Within<Tx>): void {
  test("a unique constraint of one's own turns the second one away, work and all", () =>
    within(async (bench) => {
      const { receipt, pay } = statements(bench);
      const id = newId();
      const deliver = () =>
        once(bench.db, { id }, (tx) => bench.write(tx, pay(id)), { by: receipt(id) });
      expect([await deliver(), await deliver()]).toEqual([true, false]);
      expect(await countIn(bench, "receipt", id)).toBe(1);
      expect(await countIn(bench, "payment", id)).toBe(1);
    }));
}

function loneGuardCase<Tx>(within: Within<Tx>): void {
  test("a unique constraint of one's own turns the second one away, and stands alone", () =>
    within(async (bench) => {
      const { receipt, pay } = statements(bench);
      const id = newId();
      const by = receipt(id);
      const deliver = () => once(bench.db, { id }, () => undefined, { by });
      expect([await deliver(), await deliver()]).toEqual([true, false]);
      expect(await countIn(bench, "receipt", id)).toBe(1);
      const mixed = once(bench.db, { id }, (tx) => bench.write(tx, pay(id)), { by });
      await expect(mixed).rejects.toThrow(TypeError);
      expect(await countIn(bench, "payment", id)).toBe(0);
    }));
}

function preconditionCase<Tx>(within: Within<Tx>): void {
  test("a precondition on the update keeps what is older from being done", () =>
    within(async (bench) => {
      const { open, raise } = statements(bench);
      const id = newId();
      await bench.db.run(open(id));
      const deliver = (version: number) =>
        once(bench.db, { id }, () => undefined, { by: raise(id, version) });
      const done = [await deliver(1), await deliver(1), await deliver(3), await deliver(2)];
      expect(done).toEqual([true, false, true, false]);
      const [account] = await bench.db.rows({ sql: `SELECT * FROM account WHERE id = '${id}'` });
      expect([Number(account?.["version"]), Number(account?.["balance"])]).toEqual([3, 2]);
    }));
}

function transactionCases<Tx>(within: Within<Tx>): void {
  test("a local transaction that committed is answered commit, and is not done again", () =>
    within(async (bench) => {
      const { pay } = statements(bench);
      const id = newId();
      const table = new TransactionTable(bench.db);
      await table.create();
      const run = () =>
        table.run({ id }, (tx) => {
          const written = bench.write(tx, pay(id));
          return written instanceof Promise ? written.then(() => "sold") : "sold";
        });
      expect(await run()).toBe("sold");
      expect(await run()).toBeUndefined();
      expect(await countIn(bench, "payment", id)).toBe(1);
      const { answer } = table;
      expect([await answer({ transactionId: id }), await answer({ transactionId: id })]).toEqual([
        "commit",
        "commit",
      ]);
    }));

  test("once a check is answered rollback, a local transaction that comes late writes nothing", () =>
    within(async (bench) => {
      const { pay } = statements(bench);
      const id = newId();
      const table = new TransactionTable(bench.db);
      await table.create();
      expect(await table.answer({ transactionId: id })).toBe("rollback");
      const late = table.run({ id }, (tx) => bench.write(tx, pay(id)));
      await expect(late).rejects.toThrow(RollbackError);
      expect(await countIn(bench, "payment", id)).toBe(0);
      expect(await table.answer({ transactionId: id })).toBe("rollback");
      const other = new TransactionTable(bench.db, { prefix: "elsewhere/" });
      await other.run({ id }, (tx) => bench.write(tx, pay(id)));
      expect(await other.answer({ transactionId: id })).toBe("commit");
    }));

  test("a local transaction that failed is answered rollback", () =>
    within(async (bench) => {
      const { pay, broken } = statements(bench);
      const id = newId();
      const table = new TransactionTable(bench.db);
      await table.create();
      const failed = table.run({ id }, (tx) => {
        const first = bench.write(tx, pay(id));
        return first instanceof Promise
          ? first.then(() => bench.write(tx, broken))
          : bench.write(tx, broken);
      });
      await expect(failed).rejects.not.toThrow(RollbackError);
      expect(await countIn(bench, "payment", id)).toBe(0);
      expect(await table.answer({ transactionId: id })).toBe("rollback");
    }));
}

function waitingCase<Tx>(within: Within<Tx>, commits: boolean): void {
  test(`a check that comes during the local transaction waits for its end (it commits: ${commits})`, () =>
    within(async (bench) => {
      const { pay } = statements(bench);
      const id = newId();
      const table = new TransactionTable(bench.db);
      await table.create();
      const inside = Promise.withResolvers<void>();
      const asked = Promise.withResolvers<void>();
      const running = table.run({ id }, async (tx) => {
        await bench.write(tx, pay(id));
        inside.resolve();
        await asked.promise;
        if (!commits) throw new Error("no");
      });
      const ended = running.then(
        () => "commit",
        () => "rollback",
      );
      await inside.promise;
      const answer = table.answer({ transactionId: id });
      asked.resolve();
      const word = commits ? "commit" : "rollback";
      expect([await ended, await answer]).toEqual([word, word]);
      expect(await countIn(bench, "payment", id)).toBe(commits ? 1 : 0);
    }));
}

function raceCase<Tx>(within: Within<Tx>): void {
  test("whoever is first, the answer and what is written agree", () =>
    within(async (bench) => {
      const { pay } = statements(bench);
      const table = new TransactionTable(bench.db);
      await table.create();
      const ids = Array.from({ length: 40 }, newId);
      const ended = await Promise.all(
        ids.map(async (id, index) => {
          const run = () =>
            table
              .run({ id }, (tx) => bench.write(tx, pay(id)))
              .then(
                () => "commit",
                (error: unknown) => (error instanceof RollbackError ? "rollback" : error),
              );
          const answer = () => table.answer({ transactionId: id });
          const both = index % 2 === 0 ? [run(), answer()] : [answer(), run()];
          return Promise.all(both);
        }),
      );
      for (const [index, [one, other]] of ended.entries()) {
        expect(one).toBe(other);
        const written = await countIn(bench, "payment", ids[index] ?? "");
        expect(written).toBe(one === "commit" ? 1 : 0);
      }
    }));
}
