// The panels that docs/observability.md shows as pictures: docs/pictures/<file>.png, drawn by scripts/observe/pictures.ts.

export interface Picture {
  file: string;
  board: string;
  panel: string;
  /** Of a board that has one service to choose. */
  service?: string;
}

export const PICTURES: Picture[] = [
  { file: "tried-again", board: "Messaging", panel: "Tried again or parked" },
  { file: "parked", board: "Messaging", panel: "Messages that wait for a person" },
  { file: "answers", board: "Data", panel: "What else answers" },
  { file: "waiting", board: "Messaging", panel: "Age of the oldest that waits" },
  { file: "orders", board: "Orders", panel: "What becomes of them" },
  { file: "promise", board: "Promises", panel: "stock-freshness" },
];
