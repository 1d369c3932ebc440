// Types that the modules of web/ share. They are for tsc alone and never shipped.

/** Anything that JSON made. */
type Row = Record<string, any>;
/** One widget of a known node, see id2face_core/sharing/rules.py. */
type Rule = {
  name: string;
  kind: string;
  default?: unknown;
  low?: number;
  high?: number;
  options?: string[];
  pattern?: string;
  control?: boolean;
};
type Known = { widgets: Rule[]; inputs: string[]; outputs: string[]; extra?: unknown[] };
type Table = { nodes: Record<string, Known> } & Record<"types" | "dropped" | "control" | "root" | "node", string[]>;
type Removal = { node: string; type: string; name: string; what: string };
type Session = import("../web/share/rules.mjs").Session;
type Side = "input" | "output";
/** The definition of a subgraph: its new identifier, and its sockets' new names. */
type Subgraph = { id: string; number: number; raw: Row; inputs: Map<string, string>; outputs: Map<string, string> };
/** [origin, slot, target, slot, type] */
type Link = [number, number, number, number, string];
/** A graph or subgraph while its nodes are cleaned. */
type Scope = { prefix: string; nodes: Map<number, Row>; links: Map<number, Link>; subgraphs: Map<string, Subgraph> };


// What the server sends, see nodes/panels.py and nodes/gallery.py.
type FaceRow = { frame: number; face: number; status: string; reason: string; picture: number | null };
type FacesPanel = { pictures: string; frames: number; faces: FaceRow[] };
type Verdict = { name: string; threshold: number; worst: number | null; faces: number; failed: number };
type CheckPanel = { passed: boolean; blocked: boolean; recognisers: Verdict[]; views: number; before: string; after: string };
type ReportPanel = { faces: { status: string; reason: string; count: number }[] };
type IdentityRow = { file: string; sealed: boolean; locked: boolean; version: string };
/** Pictures of frames after, and how to get the one before. */
type Pair = { after: string[]; before: (i: number) => Promise<string | null> };
