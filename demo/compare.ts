/**
 * The verdict: the order service's database, the stock's and the broker's transactions side by side. Every difference is a
 * sentence; no sentence means that they agree. It reads and changes nothing.
 */
import type { OrderStore, SaleRow } from "./order-store.ts";
import type { Order } from "./orders.ts";
import type { StockStore } from "./stock-store.ts";

/** A transaction as the broker lists it, as far as it is compared. */
export interface Listed {
  readonly transactionId: string;
  readonly state: string;
  readonly decidedBy?: string;
}

export function differences(
  orders: readonly Order[],
  store: OrderStore,
  stock: StockStore,
  listed: readonly Listed[],
): string[] {
  const sales = store.rows();
  return [
    ...everyOrderIsFinal(orders, sales),
    ...stockHasWhatWasSold(sales, stock),
    ...creditMatches(orders, sales, store),
    ...quantitiesMatch(orders, sales, stock),
    ...brokerAgrees(sales, listed),
  ];
}

function everyOrderIsFinal(orders: readonly Order[], sales: readonly SaleRow[]): string[] {
  const final = countBy(sales.filter((sale) => sale.outcome !== "abandoned"));
  return orders
    .filter((order) => final.get(order.order) !== 1)
    .map((order) => `order ${order.order} is final ${final.get(order.order) ?? 0} times`);
}

function stockHasWhatWasSold(sales: readonly SaleRow[], stock: StockStore): string[] {
  const sold = new Set(sales.filter((sale) => sale.outcome === "sold").map((sale) => sale.order));
  const inStock = countBy(stock.deliveries());
  return [
    ...[...sold]
      .filter((order) => inStock.get(order) !== 1)
      .map(
        (order) => `order ${order} was sold and is ${inStock.get(order) ?? 0} times in the stock`,
      ),
    ...[...inStock.keys()]
      .filter((order) => !sold.has(order))
      .map((order) => `order ${order} was not sold and is in the stock`),
  ];
}

function creditMatches(
  orders: readonly Order[],
  sales: readonly SaleRow[],
  store: OrderStore,
): string[] {
  const due = sumBy(soldOf(orders, sales), (order) => [order.customer, order.amountCents]);
  return unequal(due, store.spentCents(), "cents were due from", "paid by");
}

function quantitiesMatch(
  orders: readonly Order[],
  sales: readonly SaleRow[],
  stock: StockStore,
): string[] {
  const sold = sumBy(soldOf(orders, sales), (order) => [order.article, order.quantity]);
  return unequal(sold, stock.taken(), "pieces were sold of", "taken of");
}

/** Transaction by transaction: committed there if, and only if, sold here; nothing open, nothing given up. */
function brokerAgrees(sales: readonly SaleRow[], listed: readonly Listed[]): string[] {
  const outcomes = new Map(sales.map((sale) => [sale.transactionId, sale.outcome]));
  const states = new Map(listed.map((each) => [each.transactionId, each.state]));
  return [
    ...listed
      .filter(({ state }) => state !== "committed" && state !== "rolledBack")
      .map(({ transactionId, state }) => `${transactionId} is ${state} in the broker`),
    ...listed
      .filter(
        (each) => (each.state === "committed") !== (outcomes.get(each.transactionId) === "sold"),
      )
      .map((each) => {
        const local = outcomes.get(each.transactionId) ?? "unknown";
        return `${each.transactionId} is ${each.state} in the broker and ${local} at the order service`;
      }),
    ...sales
      .filter((sale) => !states.has(sale.transactionId))
      .map((sale) => `${sale.transactionId} is ${sale.outcome} and the broker does not list it`),
  ];
}

function soldOf(orders: readonly Order[], sales: readonly SaleRow[]): Order[] {
  const byNumber = new Map(orders.map((order) => [order.order, order]));
  return sales
    .filter((sale) => sale.outcome === "sold")
    .flatMap((sale) => byNumber.get(sale.order) ?? []);
}

function countBy(rows: readonly { readonly order: number }[]): Map<number, number> {
  return sumBy(rows, ({ order }) => [order, 1]);
}

function sumBy<T, K>(rows: readonly T[], entry: (row: T) => readonly [K, number]): Map<K, number> {
  const sums = new Map<K, number>();
  for (const row of rows) {
    const [key, amount] = entry(row);
    sums.set(key, (sums.get(key) ?? 0) + amount);
  }
  return sums;
}

function unequal(
  expected: ReadonlyMap<string, number>,
  actual: ReadonlyMap<string, number>,
  due: string,
  done: string,
): string[] {
  return [...new Set([...expected.keys(), ...actual.keys()])]
    .filter((name) => (expected.get(name) ?? 0) !== (actual.get(name) ?? 0))
    .map(
      (name) =>
        `${expected.get(name) ?? 0} ${due} ${name}, ${actual.get(name) ?? 0} ${done} ${name}`,
    );
}
