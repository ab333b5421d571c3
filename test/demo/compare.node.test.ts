/** The demo's verdict must not agree with what is wrong: each kind of difference is made on purpose. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { differences, type Listed } from "../../demo/compare.ts";
import { OrderStore } from "../../demo/order-store.ts";
import type { Order } from "../../demo/orders.ts";
import { StockStore } from "../../demo/stock-store.ts";

const cheap = (order: number): Order => ({
  order,
  customer: "Ada",
  article: "anvil",
  quantity: 2,
  amountCents: 500,
});
const dear: Order = { ...cheap(3), amountCents: 10_000_000 };
const orders = [cheap(1), cheap(2), dear];

let store: OrderStore;
let stock: StockStore;
let listed: Listed[];

/** Two orders sold and one refused, after one transaction was abandoned: all agree. */
beforeEach(() => {
  store = new OrderStore(":memory:");
  stock = new StockStore(":memory:");
  expect(store.decide("t0", 1)).toBe("abandoned");
  expect(store.sell("t1", cheap(1))).toBe("sold");
  expect(store.sell("t2", cheap(2))).toBe("sold");
  expect(store.sell("t3", dear)).toBe("refused");
  stock.take("m1", cheap(1));
  stock.take("m2", cheap(2));
  listed = [
    { transactionId: "t0", state: "rolledBack" },
    { transactionId: "t1", state: "committed" },
    { transactionId: "t2", state: "committed" },
    { transactionId: "t3", state: "rolledBack" },
  ];
});

afterEach(() => {
  store.close();
  stock.close();
});

const found = (): string => differences(orders, store, stock, listed).join("\n");

test("agreement has no differences, and a message that comes twice is none", () => {
  stock.take("m1", cheap(1));
  expect(found()).toBe("");
  expect(stock.duplicates()).toBe(1);
});

test("a sold order that the stock has twice is one", () => {
  stock.take("m1-again", cheap(1));
  expect(found()).toContain("order 1 was sold and is 2 times in the stock");
  expect(found()).toContain("4 pieces were sold of anvil, 6 taken of anvil");
});

test("a refused order in the stock is one", () => {
  stock.take("m3", dear);
  expect(found()).toContain("order 3 was not sold and is in the stock");
});

test("a sold order that is missing in the stock, and in the order table, is one", () => {
  const more = [...orders, cheap(4), cheap(5)];
  store.sell("t4", cheap(4));
  const text = differences(more, store, stock, listed).join("\n");
  expect(text).toContain("order 4 was sold and is 0 times in the stock");
  expect(text).toContain("order 5 is final 0 times");
  expect(text).toContain("t4 is sold and the broker does not list it");
});

test("a transaction that is open, discarded, or decided the other way is one", () => {
  listed = [
    { transactionId: "t0", state: "committed" },
    { transactionId: "t1", state: "rolledBack" },
    { transactionId: "t2", state: "prepared" },
    { transactionId: "t3", state: "discarded" },
  ];
  expect(found()).toContain("t0 is committed in the broker and abandoned at the order service");
  expect(found()).toContain("t1 is rolledBack in the broker and sold at the order service");
  expect(found()).toContain("t2 is prepared in the broker");
  expect(found()).toContain("t3 is discarded in the broker");
});

test("a check that finds nothing blocks the local commit that comes late", () => {
  expect(store.decide("t9", 2)).toBe("abandoned");
  expect(store.sell("t9", cheap(2))).toBe("abandoned");
});
