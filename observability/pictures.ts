// The panels that docs/observability.md shows as pictures: docs/pictures/<file>.png, drawn by scripts/observe/pictures.ts.

export interface Picture {
  file: string;
  /** Of the incident that is told there (tests/observability/incident.ts). */
  scene: Scene;
  board: string;
  panel: string;
  /** Of a board that has one service to choose. */
  service?: string;
}

export type Scene = "nothing gets on" | "large orders stand still";

export const PICTURES: Picture[] = [
  { file: "waiting", scene: "nothing gets on", board: "Messaging", panel: "Age of the oldest that waits" },
  { file: "orders", scene: "nothing gets on", board: "Orders", panel: "What becomes of them" },
  { file: "answers", scene: "nothing gets on", board: "Data", panel: "What else answers" },
  { file: "promise", scene: "nothing gets on", board: "Promises", panel: "stock-freshness" },
  { file: "retried", scene: "large orders stand still", board: "Messaging", panel: "Tried again or parked" },
  { file: "parked", scene: "large orders stand still", board: "Messaging", panel: "Messages that wait for a person" },
];
