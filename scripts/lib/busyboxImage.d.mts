export function busyboxImage(): { layers: Uint8Array[]; config: object };
