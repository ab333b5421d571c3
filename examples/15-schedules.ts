/** Messages that are sent by the calendar: a nightly one, and one every second so that there is something to see. */
import { HalfMQ } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;
const mq = new HalfMQ({ url, key });

await mq.schedules.put("nightly-report", {
  topic: "example-15",
  cron: "30 2 * * *",
  timeZone: "Europe/Berlin",
  message: { body: { report: "sales" }, tag: "nightly" },
  missed: "once",
});
const { nextRunAt = 0 } = await mq.schedules.get("nightly-report");
const berlin = new Intl.DateTimeFormat("en-GB", { timeZone: "Europe/Berlin", timeStyle: "short" });
console.log(`the next report is due at ${berlin.format(nextRunAt)} in Berlin`);

await mq.schedules.put("tick", {
  topic: "example-15",
  cron: "* * * * * *",
  message: { body: "tick" },
});
for await (const message of mq.consumer("example-15", "clock")) {
  const { halfmqSchedule, halfmqScheduledAt } = message.properties ?? {};
  const lateMs = message.data.sentAt - Number(halfmqScheduledAt);
  console.log(`${halfmqSchedule}: ${lateMs >= 0 ? "not early" : "early"}`);
  await message.ack();
  break;
}

const { paused } = await mq.schedules.pause("tick");
console.log(paused ? "paused" : "still running");
for (const name of ["tick", "nightly-report"]) await mq.schedules.delete(name);
console.log(`${(await mq.schedules.list().all()).length} schedules are left`);
