import type { MountNamespace } from "./MountNamespace.ts";
import type { Runtime } from "./Runtime.ts";

/** In what a process of ours runs. */
export type Sandbox =
  /** Namespaces, by an OCI runtime. `namespace` is from `enterMountNamespace(linux, runtime)`, once per process. */
  | { kind: "oci"; runtime: Runtime; namespace: MountNamespace }
  /** Another root by chroot(2), and nothing else of its own: for who may make neither namespaces nor mounts. */
  | { kind: "chroot" };
