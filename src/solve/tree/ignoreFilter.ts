import { createIgnoreMatcher } from "../../dockerfile/ignore.ts";
export function createIgnoreFilter(ps: string[]): any { const m = createIgnoreMatcher(ps); return { root: () => 0, visit: (_s: any, p: string) => { const i = m.matches(p); return { keep: !i, descend: !i, state: 0 }; } }; }
