/** Every advisory lock of the platform: two of one number in one database would wait for each other without need. */
export const LOCKS = {
  /** One migrates a database. */
  migrate: 7_201,
  /** One makes databases and roles on a server. */
  provision: 7_203,
  /** Orders of one customer are counted one after the other: with the customer's id, in a migration of the order service. */
  unpaidOrders: 7_204,
  /** Appends to the log of facts take turns. */
  append: 7_210,
  /** One makes a signing key. */
  signingKeys: 7_220,
  /** Requests and guesses about one mail address take turns: with the beginning of its digest. */
  mailAddress: 7_221,
} as const;
