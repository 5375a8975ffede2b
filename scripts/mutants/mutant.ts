/** A bug that could have been written, and the tests that must notice it. */
export interface Mutant {
  /** What the product does wrong with it, in a few words. */
  name: string;
  file: string;
  /** Stands in the file exactly once. */
  find: string;
  replace: string;
  /** Files of tests; a name behind "::" chooses tests in it. */
  tests: string[];
}
