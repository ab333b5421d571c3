/** Twenty digits that rise within a message group of a FIFO queue: the queue of the topic, then the offset in it. */
export const sequenceNumber = (queue: number, offset: number): string =>
  String(queue).padStart(3, "0") + String(offset).padStart(17, "0");
