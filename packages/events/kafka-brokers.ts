const FORM = "KAFKA_BROKERS must be host:port, or several by comma";

/** Where to begin: any broker names the others. */
export function readKafkaBrokers(text: string): string[] {
  return text.split(",").map((each) => {
    const broker = each.trim();
    const port = /^[\w.-]+:(\d{1,5})$/.exec(broker)?.[1];
    if (port === undefined || Number(port) < 1 || Number(port) > 65_535)
      throw new Error(`${FORM}, found ${JSON.stringify(broker)}`);
    return broker;
  });
}
